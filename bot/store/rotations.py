"""Rotations in SQL: every move is one conditional UPDATE, and commits together with its audit event."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any
from zlib import crc32

from sqlalchemy import Connection, bindparam, func, insert, or_, select, true, update

from bot.domain.events import STATE_AFTER, Event
from bot.domain.models import GroupName, Organization, Rotation, RotationId
from bot.domain.notifications import NotificationKind
from bot.domain.ports import ASKED_AGAIN, NewClaim, NewRotation, Opened, Superseded
from bot.domain.readable import Readable
from bot.domain.states import MOVES, State
from bot.store.database import Database
from bot.store.guards import require_guards
from bot.store.outbox import enqueue
from bot.store.overdue import read_overdue
from bot.store.rows import readable, rotation_of
from bot.store.sqltypes import database_later, database_now
from bot.store.tables import allowlist, rotations
from bot.store.trail import record
from bot.store.world import OF_PERSON, OPEN_IN_GROUP, world_for, world_is_gone, world_number
from bot.trail.chain import Seal

_ANNOUNCED = frozenset({State.SUCCEEDED, State.FAILED, State.UNKNOWN})
_GROUPS = 0x7475_726F  # "turo": the advisory locks under which PostgreSQL starts rotations, one for each group

# Statements are built once: SQLAlchemy recognises them by identity, which takes a fifth of the time.
_columns = rotations.c
_SELECT = select(rotations).where(_columns.organization == bindparam("of_organization"))
_GET = _SELECT.where(_columns.id == bindparam("of_id"))
_OPEN_OF_PERSON = select(rotations).where(*OPEN_IN_GROUP, *OF_PERSON).with_for_update()
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
# On PostgreSQL the lock keeps the grant from being revoked, and the request from being decided, until the
# transaction ends.
_MAY_START = (
    select(_columns.world)
    .select_from(allowlist)
    .join(rotations, true())
    .where(allowlist.c.id == bindparam("of_grant"), allowlist.c.revoked_at.is_(None))
    .where(or_(allowlist.c.until.is_(None), allowlist.c.until > database_now()))
    .where(*_REQUESTED)
    .with_for_update(read=True)
)
_REQUEST = select(_columns.world).where(*_REQUESTED).with_for_update(read=True)
# Without it, two could start at once, or one could end while another looks for the running one.
_LOCK_GROUP = select(func.pg_advisory_xact_lock(_GROUPS, bindparam("of_crc")))


class SqlRotations:
    """The rotations of one organization in one database."""

    def __init__(
        self, database: Database, seal: Seal, organization: Organization, *, overdue_at_once: int = 1000
    ) -> None:
        self._overdue_at_once = overdue_at_once
        self._database = database
        self._seal = seal
        self._organization = organization

    async def open(self, new: NewRotation) -> Opened:
        """Insert it, and end older requests of the same person, each with its event."""

        def transaction(connection: Connection) -> Opened:
            require_guards(connection)
            self._lock_group(connection, new.event)
            chosen = {"of_organization": self._organization, "of_group": new.group}
            chosen |= {"of_team": new.event.actor.team_id, "of_user": new.event.actor.user_id}
            older = readable(connection.execute(_OPEN_OF_PERSON, chosen), rotation_of)
            opened, events = self._insert(connection, new), [new.superseding(each.id, ASKED_AGAIN) for each in older]
            ended = [self._end(connection, event) for event in events]
            record(connection, self._seal, new.recorded, opened.rotation.requested_at)
            for event, rotation in zip(events, ended, strict=True):
                record(connection, self._seal, event, rotation.ended_at)
            return replace(opened, superseded=tuple(ended))

        return await self._database.write(transaction)

    async def note(self, event: Event) -> None:
        """Record it under the group's lock, so that no rotation starts unaware of it."""

        def transaction(connection: Connection) -> None:
            self._lock_group(connection, event)
            record(connection, self._seal, event)

        await self._database.write(transaction)

    def _lock_group(self, connection: Connection, event: Event) -> None:
        """Take turns with whatever else opens, starts or notes rotations of the group, until the transaction ends."""
        if connection.dialect.name == "postgresql":  # SQLite has one writer at a time anyway
            name = f"{self._organization}/{event.group}"
            connection.execute(_LOCK_GROUP, {"of_crc": _signed_crc(name)})

    def _insert(self, connection: Connection, new: NewRotation) -> Opened:
        """Insert a request, with the world that its card describes."""
        group = new.group
        columns: dict[str, Any] = {
            "id": new.id,
            "organization": self._organization,
            "group": group,
            "team_id": new.event.actor.team_id,
            "user_id": new.event.actor.user_id,
            "channel_id": new.channel_id,
            "reason": new.reason,
            "in_seconds": new.seconds,
            "databases": None if new.databases is None else asdict(new.databases),
            "world": world_number(connection, self._organization, group),
            "detail": {},
        }
        requested_at, expires_at = connection.execute(_OPEN, columns).one()
        rotation = Rotation(
            id=new.id,
            organization=self._organization,
            group=group,
            requester=new.event.actor,
            channel_id=new.channel_id,
            reason=new.reason,
            state=State.REQUESTED,
            requested_at=requested_at,
            expires_at=expires_at,
            databases=new.databases,
        )
        return Opened(rotation, world_for(connection, self._organization, group, new.event.actor))

    def _end(self, connection: Connection, event: Event) -> Rotation:
        """End a request that this transaction has locked."""
        columns = {**self._change(event.rotation_id, State.REQUESTED), "detail": event.detail}
        row = connection.execute(_MOVE, {**columns, "state": str(STATE_AFTER[event.action])}).one()
        return rotation_of(row)

    async def get(self, rotation_id: RotationId) -> Rotation | None:
        """Read it, if it is one of this organization."""
        chosen = {"of_organization": self._organization, "of_id": rotation_id}
        row = await self._database.read(lambda connection: connection.execute(_GET, chosen).first())
        return None if row is None else rotation_of(row)

    async def is_outdated(self, rotation_id: RotationId) -> bool:
        """Look without a lock."""
        chosen = {"of_organization": self._organization, "of_id": rotation_id}

        def transaction(connection: Connection) -> bool:
            row = connection.execute(_GET, chosen).first()
            return row is not None and world_is_gone(connection, self._organization, GroupName(row.group), row.world)

        return await self._database.read(transaction)

    async def claim(self, claim: NewClaim) -> Rotation | Superseded | None:
        """Check everything by the database's clock and under its locks."""
        request = self._change(claim.rotation_id, State.REQUESTED)
        may_start = _REQUEST if claim.grant is None else _MAY_START

        def transaction(connection: Connection) -> Rotation | Superseded | None:
            require_guards(connection)
            self._lock_group(connection, claim.event)
            found = connection.execute(may_start, {**request, "of_grant": claim.grant}).first()
            if found is None:
                return None
            if world_is_gone(connection, self._organization, claim.instead.group, found.world):
                return self._request_anew(connection, claim)
            columns = {**request, "claim": claim.claim, "in_seconds": claim.seconds}
            row = connection.execute(_CLAIM, columns).first()
            if row is None:
                return None
            record(connection, self._seal, claim.event, row.started_at)
            return rotation_of(row)

        return await self._database.write(transaction)

    def _request_anew(self, connection: Connection, claim: NewClaim) -> Superseded:
        """End the request, also if it has just expired, and open it anew; the first row is that of the press."""
        event = claim.superseding()
        old, opened = self._end(connection, event), self._insert(connection, claim.instead)
        record(connection, self._seal, event, old.ended_at)
        record(connection, self._seal, claim.instead.recorded, opened.rotation.requested_at)
        return Superseded(old, opened)

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
            moved = rotation_of(row)
            enqueue(connection, moved, _notified(moved), replace=expected is State.UNKNOWN)
            record(connection, self._seal, event, moved.ended_at)
            return moved

        return await self._database.write(transaction)

    async def overdue(self) -> Readable[Rotation]:
        """Compare with the database's clock."""
        return await self._database.read(
            lambda connection: read_overdue(connection, self._organization, self._overdue_at_once)
        )

    def _change(self, rotation_id: RotationId | None, expected: State) -> dict[str, Any]:
        return {"of_organization": self._organization, "of_id": rotation_id, "expected": str(expected)}


def _signed_crc(name: str) -> int:
    """Return the number of a group's lock; two groups with the same number would only wait for each other."""
    return crc32(name.encode()) - 2**31


def _notified(rotation: Rotation) -> Iterator[NotificationKind]:
    """Yield who must be told; a person at a terminal reads it there."""
    if rotation.requester.in_slack:
        yield NotificationKind.CARD
    if rotation.state in _ANNOUNCED:
        yield NotificationKind.ANNOUNCEMENT
