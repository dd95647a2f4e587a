"""Rotations in SQL: every move is one conditional UPDATE, and commits together with its audit event."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from bot.errors import GroupBusy
from bot.models import (
    MOVES,
    Action,
    Actor,
    ChannelId,
    Errand,
    Event,
    GrantId,
    GroupName,
    Organization,
    Rotation,
    RotationId,
    State,
    TeamId,
    UserId,
)
from bot.ports import Draft
from bot.store.audit import record
from bot.store.database import Database, now_in
from bot.store.outbox import post
from bot.store.sqltypes import database_now
from bot.store.tables import allowlist, rotations

_STATE_OF = {Action.of(state): state for state in State}
_REACHED_TURSO = (State.ROTATING, State.SUCCEEDED, State.UNKNOWN)
_ANNOUNCED = frozenset({State.SUCCEEDED, State.FAILED, State.UNKNOWN})


class SqlRotations:
    """The rotations of one organization in one database."""

    def __init__(self, database: Database, organization: Organization) -> None:
        self._database = database
        self._organization = organization

    async def open(self, draft: Draft) -> Rotation:
        """Insert a requested rotation with its event. Raises `Duplicate`."""

        def work(connection: Connection) -> Rotation:
            now = now_in(connection)
            row = connection.execute(
                insert(rotations)
                .values(
                    id=draft.id,
                    organization=self._organization,
                    group=draft.event.group,
                    team_id=draft.event.actor.team_id,
                    user_id=draft.event.actor.user_id,
                    channel_id=draft.channel_id,
                    reason=draft.reason,
                    state=str(State.REQUESTED),
                    requested_at=now,
                    expires_at=now + timedelta(seconds=draft.seconds),
                    detail={},
                )
                .returning(rotations)
            ).one()
            record(connection, draft.event)
            return _rotation(row)

        return await self._database.write(work)

    async def get(self, rotation_id: RotationId) -> Rotation | None:
        """Read one rotation of this organization."""
        return await self._first(_select(self._organization).where(rotations.c.id == rotation_id))

    async def last_of(self, group: GroupName) -> Rotation | None:
        """Read the newest rotation of the group that reached Turso, or may have."""
        return await self._first(
            _select(self._organization)
            .where(rotations.c.group == group, rotations.c.state.in_(_REACHED_TURSO))
            .where(rotations.c.started_at.is_not(None))
            .order_by(rotations.c.started_at.desc())
            .limit(1)
        )

    async def claim(
        self, rotation_id: RotationId, *, grant: GrantId, claim: str, lease: float, event: Event
    ) -> Rotation | None:
        """Move `requested → rotating`, decided by the database alone; `lease` is in seconds."""

        def work(connection: Connection) -> Rotation | None:
            now = now_in(connection)
            if connection.execute(_still_holds(grant)).first() is None:
                return None
            row = connection.execute(
                update(rotations)
                .where(rotations.c.id == rotation_id, rotations.c.state == State.REQUESTED)
                .where(rotations.c.expires_at > database_now())
                .values(
                    state=str(State.ROTATING),
                    started_at=now,
                    lease_until=now + timedelta(seconds=lease),
                    claim=claim,
                )
                .returning(rotations)
            ).first()
            if row is None:
                return None
            record(connection, event)
            return _rotation(row)

        try:
            return await self._database.write(work)
        except IntegrityError as error:
            raise await self._busy(event.group) or error from error

    async def move(
        self, rotation_id: RotationId, *, expected: State, event: Event, claim: str | None = None
    ) -> Rotation | None:
        """Move to the end that the event names, and leave word for the people who are to be told."""
        to = _STATE_OF[event.action]
        if to not in MOVES[expected]:
            raise AssertionError(f"{expected} → {to} is no legal move")
        changed = update(rotations).where(rotations.c.id == rotation_id, rotations.c.state == expected)
        if claim is not None:
            changed = changed.where(rotations.c.claim == claim)

        def work(connection: Connection) -> Rotation | None:
            row = connection.execute(
                changed.values(
                    state=str(to), ended_at=now_in(connection), lease_until=None, detail=event.detail
                ).returning(rotations)
            ).first()
            if row is None:
                return None
            post(connection, rotation_id, _errands(to))
            record(connection, event)
            return _rotation(row)

        return await self._database.write(work)

    async def overdue(self) -> Sequence[Rotation]:
        """Read what is past its expiry or its lease by the database's clock, oldest first."""
        columns = rotations.c
        query = (
            _select(self._organization)
            .where(
                or_(
                    and_(columns.state == State.REQUESTED, columns.expires_at <= database_now()),
                    and_(columns.state == State.ROTATING, columns.lease_until <= database_now()),
                )
            )
            .order_by(columns.requested_at)
            .limit(1000)
        )
        return await self._database.read(lambda connection: [_rotation(row) for row in connection.execute(query)])

    async def _busy(self, group: GroupName | None) -> GroupBusy | None:
        running = _select(self._organization).where(rotations.c.group == group, rotations.c.state == State.ROTATING)
        holder = await self._first(running)
        return None if holder is None else GroupBusy(holder)

    async def _first(self, query: Any) -> Rotation | None:
        def work(connection: Connection) -> Rotation | None:
            row = connection.execute(query).first()
            return None if row is None else _rotation(row)

        return await self._database.read(work)


def _select(organization: Organization) -> Any:
    return select(rotations).where(rotations.c.organization == organization)


def _still_holds(grant: GrantId) -> Any:
    """Select the grant if it holds now, and keep it from being revoked until the transaction ends."""
    columns = allowlist.c
    held = or_(columns.until.is_(None), columns.until > database_now())
    return select(columns.id).where(columns.id == grant, columns.revoked_at.is_(None), held).with_for_update(read=True)


def _errands(to: State) -> tuple[Errand, ...]:
    return (Errand.CARD, Errand.ANNOUNCEMENT) if to in _ANNOUNCED else (Errand.CARD,)


def _rotation(row: Row[Any]) -> Rotation:
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
    )
