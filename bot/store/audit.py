"""The audit trail in SQL: appended in the transaction of what it describes, and read by key."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, func, insert, select, tuple_
from sqlalchemy.exc import IntegrityError

from bot.audit import Filter
from bot.errors import Duplicate
from bot.models import Action, Actor, Event, GroupName, Organization, Recorded, RotationId, TeamId, UserId
from bot.store.database import Database
from bot.store.sqltypes import database_now
from bot.store.tables import audit_events

_LOCK = 0x7475_7273_6F72_6F74  # "tursorot": the advisory lock under which PostgreSQL's events are numbered

# Built once: SQLAlchemy then takes a fifth of the time, as it knows a statement again by identity.
_TAKE_TURN = select(func.pg_advisory_xact_lock(_LOCK))
# A statement of its own, so that it sees what was committed while the turn was waited for.
_LAST = select(func.coalesce(func.max(audit_events.c.seq), 0), database_now())
_INSERT = insert(audit_events)
_STORY = select(audit_events).where(audit_events.c.rotation_id == bindparam("of_rotation")).order_by(audit_events.c.seq)


def record(connection: Connection, event: Event) -> Recorded:
    """Append an event in the transaction at hand; call it last, as it serialises writers until the commit.

    Raises `Duplicate` if an event of the same delivery stands already.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_TAKE_TURN)
    last, now = connection.execute(_LAST).one()
    recorded = Recorded(last + 1, now, event)
    try:
        connection.execute(_INSERT, _columns(recorded))
    except IntegrityError as error:
        if "delivery" in str(error.orig):
            raise Duplicate from error
        raise
    return recorded


def _columns(recorded: Recorded) -> dict[str, Any]:
    event = recorded.event
    return {
        "seq": recorded.seq,
        "at": recorded.at,
        "action": str(event.action),
        "team_id": event.actor.team_id,
        "user_id": event.actor.user_id,
        "organization": event.organization,
        "group": event.group,
        "rotation_id": event.rotation_id,
        "detail": event.detail,
        "delivery": event.delivery,
    }


def _recorded(row: Row[Any]) -> Recorded:
    event = Event(
        action=Action(row.action),
        actor=Actor(TeamId(row.team_id), UserId(row.user_id)),
        organization=Organization(row.organization),
        group=GroupName(row.group) if row.group is not None else None,
        rotation_id=RotationId(row.rotation_id) if row.rotation_id is not None else None,
        detail=row.detail,
        delivery=row.delivery,
    )
    return Recorded(row.seq, row.at, event)


def _narrowed(query: Select[Any], wanted: Filter) -> Select[Any]:
    columns = audit_events.c
    for column, value in (
        (columns.group, wanted.group),
        (columns.user_id, wanted.user_id),
        (columns.action, wanted.action),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.since is not None:
        query = query.where(columns.at >= wanted.since)
    return query if wanted.until is None else query.where(columns.at < wanted.until)


class SqlTrail:
    """The audit trail of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, event: Event) -> None:
        """Record an event by itself. Raises `Duplicate`."""
        await self._database.write(lambda connection: record(connection, event))

    async def page(self, wanted: Filter, *, limit: int, before: Recorded | None = None) -> Sequence[Recorded]:
        """Read a page of events, newest first, from the one after `before`."""
        query = (
            _narrowed(select(audit_events), wanted)
            .order_by(audit_events.c.at.desc(), audit_events.c.seq.desc())
            .limit(limit)
        )
        if before is not None:
            query = query.where(tuple_(audit_events.c.at, audit_events.c.seq) < (before.at, before.seq))
        return await self._database.read(lambda connection: [_recorded(row) for row in connection.execute(query)])

    async def story(self, rotation_id: RotationId) -> Sequence[Recorded]:
        """Read the events of one rotation in their order."""
        chosen = {"of_rotation": rotation_id}
        return await self._database.read(
            lambda connection: [_recorded(row) for row in connection.execute(_STORY, chosen)]
        )
