"""Rotations in SQL: every move is one conditional UPDATE, and commits together with its audit event."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any
from zlib import crc32

from sqlalchemy import Connection, Row, and_, bindparam, func, insert, not_, or_, select, text, true, update

from bot.domain.events import STATE_AFTER, Action, Event
from bot.domain.models import (
    Actor,
    ChannelId,
    Databases,
    GroupName,
    GroupWorld,
    HandRotation,
    Organization,
    Rotation,
    RotationId,
    TeamId,
    UserId,
)
from bot.domain.notifications import NotificationKind
from bot.domain.ports import ASKED_AGAIN, WORLD_GONE, NewClaim, NewRotation, Opened, Superseded
from bot.domain.states import MOVES, State
from bot.store.database import Database
from bot.store.outbox import enqueue
from bot.store.sqltypes import database_later, database_now
from bot.store.tables import CHANGES_WORLD, allowlist, audit_events, rotations
from bot.store.trail import record
from bot.trail.chain import Seal

_REACHED_TURSO = (State.ROTATING, State.SUCCEEDED, State.UNKNOWN)
_ANNOUNCED = frozenset({State.SUCCEEDED, State.FAILED, State.UNKNOWN})
MAX_WAITING = 20
"""How many requests that wait for confirmation are read of one group."""
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
_events = audit_events.c
_CHANGES_WORLD = (
    _events.organization == bindparam("of_organization"),
    _events.group == bindparam("of_group"),
    text(CHANGES_WORLD),
)
_WORLD = select(func.coalesce(func.max(_events.seq), 0)).where(*_CHANGES_WORLD)
_BY_HAND = (
    select(_events.team_id, _events.user_id, _events.detail)
    .where(*_CHANGES_WORLD, _events.action == str(Action.NOTED))
    .order_by(_events.seq.desc())
    .limit(1)
)
_starting = rotations.alias("starting")
_WORLD_GONE = (
    select(_events.seq)
    .outerjoin(_starting, _starting.c.id == _events.rotation_id)
    .where(*_CHANGES_WORLD, _events.seq > bindparam("of_world"), _starting.c.state.is_distinct_from(str(State.FAILED)))
    .limit(1)
)
# Exactly the condition of the partial index.
_OPEN_IN_GROUP = (
    text("state IN ('requested', 'rotating')"),
    _columns.organization == bindparam("of_organization"),
    _columns.group == bindparam("of_group"),
    _columns.state == str(State.REQUESTED),
    _columns.expires_at > database_now(),
)
_PERSON = (_columns.team_id == bindparam("of_team"), _columns.user_id == bindparam("of_user"))
_WAITING = (
    select(rotations).where(*_OPEN_IN_GROUP, not_(and_(*_PERSON))).order_by(_columns.requested_at).limit(MAX_WAITING)
)
_SUPERSEDE = (
    update(rotations)
    .where(*_OPEN_IN_GROUP, *_PERSON)
    .values(state=str(State.SUPERSEDED), ended_at=database_now())
    .returning(_columns.id)
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

    def __init__(self, database: Database, seal: Seal, organization: Organization) -> None:
        self._database = database
        self._seal = seal
        self._organization = organization

    async def open(self, new: NewRotation) -> Opened:
        """Insert it, and end older requests of the same person, each with its event."""

        def transaction(connection: Connection) -> Opened:
            opened, older = self._open(connection, new, ASKED_AGAIN)
            self._record(connection, (new.event, *older))
            return opened

        return await self._database.write(transaction)

    def _record(self, connection: Connection, events: Iterable[Event]) -> None:
        for event in events:
            record(connection, self._seal, event)

    def _open(self, connection: Connection, new: NewRotation, why: str) -> tuple[Opened, list[Event]]:
        """Insert it, and end the same person's older requests, whose events are returned; nothing is recorded yet."""
        group = self._group(new.event)
        # First, or a rotation that starts meanwhile would be in the number, but not in what the card says.
        number = connection.execute(_WORLD, group).scalar_one()
        older = self._supersede(connection, new, why)
        world = self._world(connection, new.event)
        columns: dict[str, Any] = {
            "id": new.id,
            "organization": self._organization,
            "group": new.event.group,
            "team_id": new.event.actor.team_id,
            "user_id": new.event.actor.user_id,
            "channel_id": new.channel_id,
            "reason": new.reason,
            "in_seconds": new.seconds,
            "databases": None if new.databases is None else asdict(new.databases),
            "world": number,
            "detail": {},
        }
        requested_at, expires_at = connection.execute(_OPEN, columns).one()
        rotation = Rotation(
            id=new.id,
            organization=self._organization,
            group=columns["group"],
            requester=new.event.actor,
            channel_id=new.channel_id,
            reason=new.reason,
            state=State.REQUESTED,
            requested_at=requested_at,
            expires_at=expires_at,
            databases=new.databases,
        )
        return Opened(rotation, world), older

    def _world(self, connection: Connection, event: Event) -> GroupWorld:
        """Read what a card says of the group's past."""
        group = self._group(event)
        last, by_hand = connection.execute(_LAST, group).first(), connection.execute(_BY_HAND, group).first()
        return GroupWorld(
            last=None if last is None else rotation_of(last),
            by_hand=None if by_hand is None else _by_hand(by_hand),
            waiting=tuple(rotation_of(row) for row in connection.execute(_WAITING, {**group, **_person(event.actor)})),
        )

    def _supersede(self, connection: Connection, new: NewRotation, why: str) -> list[Event]:
        """End the same person's open requests; return the events to be recorded."""
        detail = new.superseding(new.id, why).detail
        chosen = {**self._group(new.event), **_person(new.event.actor), "detail": detail}
        return [new.superseding(RotationId(row.id), why) for row in connection.execute(_SUPERSEDE, chosen)]

    async def get(self, rotation_id: RotationId) -> Rotation | None:
        """Read it, if it is one of this organization."""
        chosen = {"of_organization": self._organization, "of_id": rotation_id}
        row = await self._database.read(lambda connection: connection.execute(_GET, chosen).first())
        return None if row is None else rotation_of(row)

    async def claim(self, claim: NewClaim) -> Rotation | Superseded | None:
        """Check everything by the database's clock and under its locks."""
        request = self._change(claim.rotation_id, State.REQUESTED)
        may_start = _REQUEST if claim.grant is None else _MAY_START

        def transaction(connection: Connection) -> Rotation | Superseded | None:
            if connection.dialect.name == "postgresql":  # SQLite has one writer at a time anyway
                name = f"{self._organization}/{claim.event.group}"
                connection.execute(_LOCK_GROUP, {"of_crc": _signed_crc(name)})
            found = connection.execute(may_start, {**request, "of_grant": claim.grant}).first()
            if found is None:
                return None
            if self._is_gone(connection, claim.event, found.world):
                return self._request_anew(connection, claim)
            columns = {**request, "claim": claim.claim, "in_seconds": claim.seconds}
            row = connection.execute(_CLAIM, columns).first()
            if row is None:
                return None
            record(connection, self._seal, claim.event)
            return rotation_of(row)

        return await self._database.write(transaction)

    def _is_gone(self, connection: Connection, event: Event, world: int) -> bool:
        """Return whether the group is being rotated, or was since a request for it was made."""
        group = self._group(event)
        running = connection.execute(_RUNNING, group).first()
        return running is not None or connection.execute(_WORLD_GONE, {**group, "of_world": world}).first() is not None

    def _request_anew(self, connection: Connection, claim: NewClaim) -> Superseded:
        """Open the request anew, which ends the old one; the first row names the delivery of the press."""
        opened, (first, *others) = self._open(connection, claim.instead, WORLD_GONE)
        self._record(connection, (replace(first, delivery=claim.event.delivery), *others, claim.instead.event))
        old = connection.execute(_GET, {"of_organization": self._organization, "of_id": claim.rotation_id}).one()
        return Superseded(rotation_of(old), opened)

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
            enqueue(connection, rotation_id, _notified(moved), replace=expected is State.UNKNOWN)
            record(connection, self._seal, event)
            return moved

        return await self._database.write(transaction)

    async def overdue(self) -> Sequence[Rotation]:
        """Compare with the database's clock; a thousand at most."""
        chosen = {"of_organization": self._organization}
        return await self._database.read(
            lambda connection: [rotation_of(row) for row in connection.execute(_OVERDUE, chosen)]
        )

    def _group(self, event: Event) -> dict[str, Any]:
        return {"of_organization": self._organization, "of_group": event.group}

    def _change(self, rotation_id: RotationId, expected: State) -> dict[str, Any]:
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


def _person(actor: Actor) -> dict[str, str]:
    return {"of_team": actor.team_id, "of_user": actor.user_id}


def _by_hand(row: Row[Any, Any, Any]) -> HandRotation:
    at, note = datetime.fromisoformat(row.detail["rotated_at"]), str(row.detail.get("note", ""))
    return HandRotation(at, Actor(TeamId(row.team_id), UserId(row.user_id)), note)


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
        databases=None if row.databases is None else Databases(row.databases["count"], tuple(row.databases["names"])),
    )
