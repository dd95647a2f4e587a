"""Judgements of unknown rotations in SQL: each is kept together with its audit event, and the state stays."""

from dataclasses import replace

from sqlalchemy import Connection, bindparam, select, update

from bot.domain.events import Event
from bot.domain.models import Organization, Rotation, RotationId
from bot.domain.notifications import NotificationKind
from bot.domain.states import State
from bot.store.database import Database
from bot.store.outbox import enqueue
from bot.store.rotations import SqlRotations
from bot.store.rows import rotation_of
from bot.store.tables import rotations
from bot.store.trail import record
from bot.trail.chain import Seal

_columns = rotations.c
_UNKNOWN_ROTATION = (
    _columns.organization == bindparam("of_organization"),
    _columns.id == bindparam("of_id"),
    _columns.state == str(State.UNKNOWN),
)
_LOCK = (
    select(rotations)
    .where(*_UNKNOWN_ROTATION, _columns.resolved_as.is_distinct_from(bindparam("resolved_as")))
    .with_for_update()
)
_RESOLVE = update(rotations).where(*_UNKNOWN_ROTATION).returning(rotations)


class SqlResolutions:
    """The judgements of one organization in one database."""

    def __init__(self, database: Database, seal: Seal, organization: Organization) -> None:
        self._database = database
        self._seal = seal
        self._organization = organization
        self._rotations = SqlRotations(database, seal, organization)

    async def get(self, rotation_id: RotationId) -> Rotation | None:
        """Read it, if it is one of this organization."""
        return await self._rotations.get(rotation_id)

    async def resolve(self, rotation_id: RotationId, resolved_as: State, event: Event) -> Rotation | None:
        """Lock the rotation, so that the event names the judgement that it replaces."""
        chosen = {"of_organization": self._organization, "of_id": rotation_id, "resolved_as": str(resolved_as)}

        def transaction(connection: Connection) -> Rotation | None:
            before = connection.execute(_LOCK, chosen).first()
            if before is None:
                return None
            facts = {**before.detail, "resolved_by": event.actor.user_id, "note": event.detail["note"]}
            row = connection.execute(_RESOLVE, {**chosen, "detail": facts}).one()
            judged = rotation_of(row)
            # No head start: a command on a terminal delivers nothing.
            enqueue(connection, judged, (NotificationKind.ANNOUNCEMENT,), head_start=0, replace=True)
            instead_of = {"instead_of": before.resolved_as} if before.resolved_as else {}
            record(connection, self._seal, replace(event, detail={**event.detail, **instead_of}))
            return judged

        return await self._database.write(transaction)
