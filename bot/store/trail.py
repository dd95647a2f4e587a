"""The audit trail in SQL: appended to in the transaction of the change that an event records, and read by key."""

from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    Connection,
    Select,
    Text,
    bindparam,
    column,
    func,
    insert,
    literal_column,
    select,
    text,
    true,
    tuple_,
    type_coerce,
)
from sqlalchemy import Row as SqlRow
from sqlalchemy.exc import IntegrityError

from bot.domain.errors import DuplicateDelivery, KeyChanged, Unguarded
from bot.domain.events import Action, Event, RecordedEvent, TrailHead
from bot.domain.models import Actor, GroupName, Organization, RotationId, TeamId, UserId
from bot.domain.periods import rfc3339
from bot.domain.readable import Readable
from bot.store.database import Database
from bot.store.rows import read, readable
from bot.store.sqltypes import EARLIEST, LATEST, UtcTime, database_now, hidden
from bot.store.tables import REKEYED, audit_events
from bot.trail.chain import GENESIS, Row, Seal, detail_text, named_key
from bot.trail.records import EventFilter

# Built once: SQLAlchemy recognises statements by identity, which takes a fifth of the time.
HEAD = select(audit_events.c.seq, audit_events.c.hash).order_by(audit_events.c.seq.desc()).limit(1)
"""The newest row."""
_last = HEAD.subquery("last")
_detail = type_coerce(audit_events.c.detail, Text).label("detail")
# Ordered by the plain number, SQLite, which has no statistics, would look for it in all rows.
NEWEST_CHANGE_OF_KEY = (
    select(audit_events.c.seq, _detail).where(text(REKEYED)).order_by(text("+seq DESC")).limit(literal_column("1"))
)
"""The newest row that changed the key."""
_rekeyed = NEWEST_CHANGE_OF_KEY.with_only_columns(_detail).scalar_subquery().label("rekeyed")
_LOCK_HEAD = {
    "sqlite": select(_last.c.seq, _last.c.hash, database_now().label("now"), _rekeyed).select_from(
        select(literal_column("1")).subquery("one_row").outerjoin(_last, true())
    ),
    # Waits for the lock of the writer before, and only then reads what that one committed.
    "postgresql": select(column("seq"), column("hash"), column("now", UtcTime()), column("rekeyed")).select_from(
        func.turso_rotate_take_turn().table_valued("seq", "hash", "now", "rekeyed")
    ),
}
_INSERT = insert(audit_events).execution_options(preserve_rowcount=True)
_DUPLICATES = {"audit_events is append-only: known delivery", "UNIQUE constraint failed: audit_events.delivery"}
_ROW = select(audit_events).where(audit_events.c.seq == bindparam("of_seq"))
_HASH = select(audit_events.c.hash).where(audit_events.c.seq == bindparam("of_seq"))
ROTATION_EVENTS = (
    select(audit_events).where(audit_events.c.rotation_id == bindparam("of_rotation")).order_by(audit_events.c.seq)
)


def take_turn(connection: Connection) -> SqlRow[Any]:
    """Let no other writer append until this transaction ends; return the head of the trail, the time and the key."""
    return connection.execute(_LOCK_HEAD[connection.dialect.name]).one()


def record(connection: Connection, seal: Seal, event: Event, at: datetime | None = None) -> None:
    """Append an event in this transaction; call it last, because from then on other writers wait for the commit.

    `at` is the time that the transaction wrote to the row of a rotation or a grant, so that both agree whatever the
    clock does in between; without one it is now. Raises `DuplicateDelivery` if an event of the same delivery is already
    recorded, `KeyChanged` if the trail has another key by now (rows under two keys would never verify), or `Unguarded`
    if the database drops the event.
    """
    last = take_turn(connection)
    if last.rekeyed is not None and named_key(last.rekeyed) != seal.fingerprint:
        raise KeyChanged
    at = at or last.now
    row = _row(event, (last.seq or 0) + 1, at, last.hash or GENESIS)
    sealed = {**row._asdict(), "at": at, "detail": event.detail, "hash": seal.hash(row)}
    try:
        if connection.execute(_INSERT, sealed).rowcount == 0:
            raise Unguarded(["audit_events"])  # by a trigger that somebody added, or a rule
    except IntegrityError as error:
        if _is_duplicate(error):
            raise DuplicateDelivery from error
        raise Unguarded(["audit_events"]) from error  # by a constraint that somebody added


def _is_duplicate(error: IntegrityError) -> bool:
    """Return whether an event of the same delivery is recorded: no other constraint may read like that."""
    if (diagnostic := getattr(error.orig, "diag", None)) is not None:
        return str(diagnostic.constraint_name) == "uq_audit_events_delivery"
    return str(error.orig) in _DUPLICATES


def _row(event: Event, seq: int, at: datetime, prev_hash: str) -> Row:
    return Row(
        seq=seq,
        at=rfc3339(at),
        action=str(event.action),
        team_id=event.actor.team_id,
        user_id=event.actor.user_id,
        organization=event.organization,
        group=event.group,
        rotation_id=event.rotation_id,
        detail=detail_text(event.detail),
        delivery=event.delivery,
        prev_hash=prev_hash,
    )


def recorded_of(row: SqlRow[Any]) -> RecordedEvent:
    """Return the event that a row holds. Raises `UnreadableRow`."""
    return read(row, audit_events, _recorded)


def _recorded(row: SqlRow[Any]) -> RecordedEvent:
    event = Event(
        action=Action(row.action),
        actor=Actor(TeamId(row.team_id), UserId(row.user_id)),
        organization=Organization(row.organization),
        group=GroupName(row.group) if row.group is not None else None,
        rotation_id=RotationId(row.rotation_id) if row.rotation_id is not None else None,
        detail=row.detail,
        delivery=row.delivery,
    )
    return RecordedEvent(row.seq, row.at, event, row.prev_hash, row.hash)


@cache
def _page(columns: tuple[str, ...], limit: int) -> Select[Any]:
    key = audit_events.c.at, audit_events.c.seq
    below, above = (tuple_(*(hidden(f"{end}_{part.name}", part.type) for part in key)) for end in ("below", "above"))
    query = select(audit_events).where(tuple_(*key) < below, tuple_(*key) > above)
    query = query.where(*(audit_events.c[name] == hidden(name) for name in columns))
    return query.order_by(*(part.desc() for part in key)).limit(literal_column(str(limit)))


class SqlTrail:
    """The audit trail of one database."""

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal

    async def append(self, event: Event) -> None:
        """Record an event in a transaction of its own. Raises `DuplicateDelivery`."""
        await self._database.write(lambda connection: record(connection, self._seal, event))

    async def head(self) -> TrailHead:
        """Read it by the primary key."""
        row = await self._database.read(lambda connection: connection.execute(HEAD).first())
        return TrailHead(0, GENESIS) if row is None else TrailHead(row.seq, row.hash)

    async def contains(self, head: TrailHead) -> bool:
        """Return whether a head that was read earlier is still a row of the trail."""
        chosen = {"of_seq": head.seq}
        found = await self._database.read(lambda connection: connection.execute(_HASH, chosen).scalar())
        return head.seq == 0 or found == head.hash

    async def page(
        self, query: EventFilter, *, limit: int, before: RecordedEvent | None = None
    ) -> Readable[RecordedEvent]:
        """Read a page of events, newest first; with `before`, those that are older than it."""
        chosen = {"group": query.group, "user_id": query.user_id, "action": query.action}
        statement = _page(tuple(name for name, value in chosen.items() if value is not None), limit)
        below = [(query.until or LATEST, 0), *([(before.at, before.seq)] if before is not None else [])]
        values = {
            **{name: None if value is None else str(value) for name, value in chosen.items()},
            **dict(zip(("below_at", "below_seq"), min(below), strict=True)),
            "above_at": query.since or EARLIEST,
            "above_seq": 0,
        }
        return await self._database.read(
            lambda connection: readable(connection.execute(statement, values), recorded_of)
        )

    async def row(self, seq: int) -> RecordedEvent | None:
        """Read the event with this number. Raises `UnreadableRow`."""
        return await self._database.read(
            lambda connection: next(map(recorded_of, connection.execute(_ROW, {"of_seq": seq})), None)
        )

    async def story(self, rotation_id: RotationId) -> Readable[RecordedEvent]:
        """Read the events of one rotation in order."""
        chosen = {"of_rotation": rotation_id}
        return await self._database.read(
            lambda connection: readable(connection.execute(ROTATION_EVENTS, chosen), recorded_of)
        )
