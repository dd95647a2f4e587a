"""What people judge unknown rotations to have been, in SQL: kept with its audit event, while the state stays."""

from dataclasses import replace

from sqlalchemy import Connection, bindparam, select, update

from bot.domain.events import Event
from bot.domain.models import Organization, Rotation, RotationId
from bot.domain.notifications import NotificationKind
from bot.domain.states import State
from bot.store.database import Database
from bot.store.outbox import post_anew
from bot.store.rotations import SqlRotations, rotation_of
from bot.store.tables import rotations
from bot.store.trail import record
from bot.trail.chain import Seal

_columns = rotations.c
_IT = (
    _columns.organization == bindparam("of_organization"),
    _columns.id == bindparam("of_id"),
    _columns.state == str(State.UNKNOWN),
)
_UNJUDGED = select(rotations).where(*_IT, _columns.resolved_as.is_distinct_from(bindparam("judged"))).with_for_update()
_JUDGE = update(rotations).where(*_IT).returning(rotations)


class SqlResolutions:
    """The rotations of one organization, as they are judged."""

    def __init__(self, database: Database, seal: Seal, organization: Organization) -> None:
        self._database = database
        self._seal = seal
        self._organization = organization
        self.get = SqlRotations(database, seal, organization).get

    async def resolve(self, rotation_id: RotationId, judged: State, event: Event) -> Rotation | None:
        """Keep what a person judges an unknown to have been, and leave word for the channel; the state stays."""
        it = {"of_organization": self._organization, "of_id": rotation_id}

        def work(connection: Connection) -> Rotation | None:
            before = connection.execute(_UNJUDGED, {**it, "judged": str(judged)}).first()
            if before is None:
                return None
            facts = {**before.detail, "resolved_by": event.actor.user_id, "note": event.detail["note"]}
            row = connection.execute(_JUDGE, {**it, "resolved_as": str(judged), "detail": facts}).one()
            # No head start: whoever judges on a terminal tells nobody.
            post_anew(connection, rotation_id, (NotificationKind.ANNOUNCEMENT,), 0)
            instead_of = {"instead_of": before.resolved_as} if before.resolved_as else {}
            record(connection, self._seal, replace(event, detail={**event.detail, **instead_of}))
            return rotation_of(row)

        return await self._database.write(work)
