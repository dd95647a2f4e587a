"""Rotations in SQL: every move is one conditional UPDATE, and commits together with its audit event."""

from collections.abc import Sequence
from typing import Any
from zlib import crc32

from sqlalchemy import Connection, Row, and_, bindparam, func, insert, or_, select, text, true, update

from bot.domain.errors import GroupBusy
from bot.domain.events import STATE_AFTER, Event
from bot.domain.models import Actor, ChannelId, GrantId, GroupName, Organization, Rotation, RotationId, TeamId, UserId
from bot.domain.notifications import NotificationKind
from bot.domain.ports import NewRotation
from bot.domain.states import MOVES, State
from bot.store.database import Database
from bot.store.outbox import enqueue
from bot.store.sqltypes import database_later, database_now
from bot.store.tables import allowlist, rotations
from bot.store.trail import record
from bot.trail.chain import Seal

_REACHED_TURSO = (State.ROTATING, State.SUCCEEDED, State.UNKNOWN)
_ANNOUNCED = frozenset({State.SUCCEEDED, State.FAILED, State.UNKNOWN})
_GROUPS = 0x7475_726F  # "turo": the advisory locks under which PostgreSQL starts rotations, one for each group

# Statements are built once: SQLAlchemy recognises them by identity, which takes a fifth of the time.
_columns = rotations.c
_SELECT = select(rotations).where(_columns.organization == bindparam("of_organization"))
_GET = _SELECT.where(_columns.id == bindparam("of_id"))
_LAST = (
    _SELECT.where(_columns.group == bindparam("of_group"), _columns.state.in_(_REACHED_TURSO))
    .where(_columns.started_at.is_not(None))
    .order_by(_columns.started_at.desc())
    .limit(1)
)
_RUNNING = _SELECT.where(_columns.group == bindparam("of_group"), _columns.state == State.ROTATING)
_OVERDUE = (
    # Exactly the condition of the partial index, and no condition that fits an index over all rotations, which SQLite
    # would take without statistics.
    select(rotations)
    .where(text("state IN ('requested', 'rotating')"))
    .where(_columns.organization.concat("") == bindparam("of_organization"))
    .where(
        or_(
            and_(_columns.state == State.REQUESTED, _columns.expires_at <= database_now()),
            and_(_columns.state == State.ROTATING, _columns.lease_until <= database_now()),
        )
    )
    .order_by(_columns.requested_at)
    .limit(1000)
)
_OPEN = (
    insert(rotations)
    .values(requested_at=database_now(), expires_at=database_later("in_seconds"), state=str(State.REQUESTED))
    .returning(_columns.requested_at, _columns.expires_at)  # the rest is known, and reading it back costs more
)
_EXPECTED = (
    _columns.organization == bindparam("of_organization"),
    _columns.id == bindparam("of_id"),
    _columns.state == bindparam("expected"),
)
_REQUESTED = (*_EXPECTED, _columns.expires_at > database_now())
_CHANGE = update(rotations).where(*_EXPECTED)
_CLAIM = (
    update(rotations)
    .where(*_REQUESTED)
    .values(state=str(State.ROTATING), started_at=database_now(), lease_until=database_later("in_seconds"))
    .returning(rotations)
)
# Turso's answer, if it arrives late, replaces what a person judged in the meantime; the trail keeps both.
_MOVE = _CHANGE.values(ended_at=database_now(), lease_until=None, resolved_as=None).returning(rotations)
_MOVE_CLAIMED = _MOVE.where(_columns.claim == bindparam("of_claim"))
# On PostgreSQL the lock keeps the grant from being revoked until the transaction ends.
_MAY_START = (
    select(allowlist.c.id)
    .join(rotations, true())
    .where(allowlist.c.id == bindparam("of_grant"), allowlist.c.revoked_at.is_(None))
    .where(or_(allowlist.c.until.is_(None), allowlist.c.until > database_now()))
    .where(*_REQUESTED)
    .with_for_update(read=True, of=allowlist)
)
# Without it, two could start at once, or one could end while another looks for the running one.
_LOCK_GROUP = select(func.pg_advisory_xact_lock(_GROUPS, bindparam("of_crc")))


class SqlRotations:
    """The rotations of one organization in one database."""

    def __init__(self, database: Database, seal: Seal, organization: Organization) -> None:
        self._database = database
        self._seal = seal
        self._organization = organization

    async def open(self, new: NewRotation) -> tuple[Rotation, Rotation | None]:
        """Insert it with its event, and read the group's last rotation in the same transaction."""
        columns: dict[str, Any] = {
            "id": new.id,
            "organization": self._organization,
            "group": new.event.group,
            "team_id": new.event.actor.team_id,
            "user_id": new.event.actor.user_id,
            "channel_id": new.channel_id,
            "reason": new.reason,
            "in_seconds": new.seconds,
            "detail": {},
        }
        group = {"of_organization": self._organization, "of_group": new.event.group}

        def transaction(connection: Connection) -> tuple[Rotation, Rotation | None]:
            last = connection.execute(_LAST, group).first()
            requested_at, expires_at = connection.execute(_OPEN, columns).one()
            record(connection, self._seal, new.event)
            opened = Rotation(
                id=new.id,
                organization=self._organization,
                group=columns["group"],
                requester=new.event.actor,
                channel_id=new.channel_id,
                reason=new.reason,
                state=State.REQUESTED,
                requested_at=requested_at,
                expires_at=expires_at,
            )
            return opened, None if last is None else rotation_of(last)

        return await self._database.write(transaction)

    async def get(self, rotation_id: RotationId) -> Rotation | None:
        """Read it, if it is one of this organization."""
        chosen = {"of_organization": self._organization, "of_id": rotation_id}
        row = await self._database.read(lambda connection: connection.execute(_GET, chosen).first())
        return None if row is None else rotation_of(row)

    async def claim(
        self, rotation_id: RotationId, *, grant: GrantId, claim: str, lease: float, event: Event
    ) -> Rotation | None:
        """Check everything by the database's clock and under its locks."""
        request = self._change(rotation_id, State.REQUESTED)
        group = {"of_organization": self._organization, "of_group": event.group}

        def transaction(connection: Connection) -> Rotation | None:
            if connection.dialect.name == "postgresql":  # SQLite has one writer at a time anyway
                connection.execute(_LOCK_GROUP, {"of_crc": _signed_crc(f"{self._organization}/{event.group}")})
            if connection.execute(_MAY_START, {**request, "of_grant": grant}).first() is None:
                return None
            running = connection.execute(_RUNNING, group).first()
            if running is not None:
                raise GroupBusy(rotation_of(running))
            row = connection.execute(_CLAIM, {**request, "claim": claim, "in_seconds": lease}).first()
            if row is None:
                return None
            record(connection, self._seal, event)
            return rotation_of(row)

        return await self._database.write(transaction)

    async def move(
        self, rotation_id: RotationId, *, expected: State, event: Event, claim: str | None = None
    ) -> Rotation | None:
        """Move it with one conditional UPDATE, and queue the notifications about it."""
        to = STATE_AFTER[event.action]
        if to not in MOVES[expected] or to is State.ROTATING:
            raise AssertionError(f"{expected} → {to} is not a legal move")  # only `claim` starts a rotation
        columns = {**self._change(rotation_id, expected), "state": str(to), "detail": event.detail}
        if claim is not None:
            columns["of_claim"] = claim

        def transaction(connection: Connection) -> Rotation | None:
            row = connection.execute(_MOVE if claim is None else _MOVE_CLAIMED, columns).first()
            if row is None:
                return None
            enqueue(connection, rotation_id, _notified(to), replace=expected is State.UNKNOWN)
            record(connection, self._seal, event)
            return rotation_of(row)

        return await self._database.write(transaction)

    async def overdue(self) -> Sequence[Rotation]:
        """Compare with the database's clock; a thousand at most."""
        chosen = {"of_organization": self._organization}
        return await self._database.read(
            lambda connection: [rotation_of(row) for row in connection.execute(_OVERDUE, chosen)]
        )

    def _change(self, rotation_id: RotationId, expected: State) -> dict[str, Any]:
        return {"of_organization": self._organization, "of_id": rotation_id, "expected": str(expected)}


def _signed_crc(name: str) -> int:
    """Return the number of a group's lock; two groups with the same number would only wait for each other."""
    return crc32(name.encode()) - 2**31


def _notified(to: State) -> tuple[NotificationKind, ...]:
    return (NotificationKind.CARD, NotificationKind.ANNOUNCEMENT) if to in _ANNOUNCED else (NotificationKind.CARD,)


def rotation_of(row: Row[Any]) -> Rotation:
    """Read a rotation from its row."""
    return Rotation(
        id=RotationId(row.id),
        organization=Organization(row.organization),
        group=GroupName(row.group),
        requester=Actor(TeamId(row.team_id), UserId(row.user_id)),
        channel_id=ChannelId(row.channel_id),
        reason=row.reason,
        state=State(row.state),
        requested_at=row.requested_at,
        expires_at=row.expires_at,
        started_at=row.started_at,
        lease_until=row.lease_until,
        ended_at=row.ended_at,
        detail=row.detail,
        resolved_as=None if row.resolved_as is None else State(row.resolved_as),
    )
