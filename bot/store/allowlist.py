"""Grants in SQL: added and revoked together with their audit event, never deleted."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    insert,
    literal_column,
    select,
    true,
    update,
)

from bot.domain.events import Event
from bot.domain.grants import Grant, GrantSnapshot, NewGrant, Role
from bot.domain.models import Actor, GrantId, TeamId, UserId
from bot.store.database import Database
from bot.store.sqltypes import database_now
from bot.store.tables import allowlist
from bot.store.trail import record
from bot.trail.chain import Seal


def _with_time(*conditions: ColumnElement[bool]) -> Select[Any]:
    """Select grants in one round trip with the time: a row that holds only the time stands for none at all."""
    here = select(literal_column("1").label("one")).subquery("here")
    found = here.outerjoin(allowlist, and_(true(), *conditions))
    return select(database_now().label("now"), allowlist).select_from(found).order_by(allowlist.c.id)


_NOT_REVOKED = allowlist.c.revoked_at.is_(None)
_EVER = _with_time()
_ALL = _with_time(_NOT_REVOKED)
_HELD_BY = _with_time(
    allowlist.c.team_id == bindparam("of_team"), allowlist.c.user_id == bindparam("of_user"), _NOT_REVOKED
)
_ADD = insert(allowlist).values(granted_at=database_now()).returning(allowlist)
_REVOKE = (
    update(allowlist)
    .where(allowlist.c.team_id == bindparam("of_team"), allowlist.c.user_id == bindparam("of_user"))
    .where(allowlist.c.revoked_at.is_(None))
    .values(revoked_at=database_now())
    .returning(allowlist)
)


class SqlGrants:
    """The allowlist of one database."""

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal

    async def held_by(self, actor: Actor) -> GrantSnapshot:
        """Read the actor's grants and the database's time."""
        return await self._held(_HELD_BY, {"of_team": actor.team_id, "of_user": actor.user_id})

    async def all(self, *, revoked: bool = False) -> GrantSnapshot:
        """Read every grant, oldest first; those that were revoked too if asked for."""
        return await self._held(_EVER if revoked else _ALL, {})

    async def add(self, new: NewGrant, event: Event) -> Grant:
        """Insert a grant; its id is added to the event's detail."""
        columns = {
            "team_id": new.actor.team_id,
            "user_id": new.actor.user_id,
            "pattern": new.pattern,
            "until": new.until,
            "note": new.note,
            "role": str(new.role),
            "granted_by_team": event.actor.team_id,
            "granted_by_user": event.actor.user_id,
        }

        def work(connection: Connection) -> Grant:
            row = connection.execute(_ADD, columns).one()
            record(connection, self._seal, replace(event, detail={**event.detail, "grant": row.id}))
            return _grant(row)

        return await self._database.write(work)

    async def revoke(
        self, actor: Actor, pattern: str | None, event: Event, *, role: Role | None = None
    ) -> Sequence[Grant]:
        """Mark the actor's grants (with that pattern, of that role, or all) as revoked; one event for each."""
        statement = _REVOKE if pattern is None else _REVOKE.where(allowlist.c.pattern == pattern)
        statement = statement if role is None else statement.where(allowlist.c.role == str(role))
        columns = {
            "of_team": actor.team_id,
            "of_user": actor.user_id,
            "revoked_by_team": event.actor.team_id,
            "revoked_by_user": event.actor.user_id,
        }

        def work(connection: Connection) -> Sequence[Grant]:
            rows = sorted(connection.execute(statement, columns), key=lambda row: int(row.id))
            for row in rows:
                detail = {**event.detail, "grant": row.id, "role": row.role, "pattern": row.pattern}
                record(connection, self._seal, replace(event, detail=detail))
            return [_grant(row) for row in rows]

        return await self._database.write(work)

    async def _held(self, query: Select[Any], chosen: dict[str, Any]) -> GrantSnapshot:
        def work(connection: Connection) -> GrantSnapshot:
            rows = connection.execute(query, chosen).all()
            return GrantSnapshot(tuple(_grant(row) for row in rows if row.id is not None), rows[0].now)

        return await self._database.read(work)


def _grant(row: Row[Any]) -> Grant:
    revoked_by = None
    if row.revoked_at is not None:
        revoked_by = Actor(TeamId(row.revoked_by_team), UserId(row.revoked_by_user))
    return Grant(
        id=GrantId(row.id),
        actor=Actor(TeamId(row.team_id), UserId(row.user_id)),
        pattern=row.pattern,
        until=row.until,
        note=row.note,
        granted_at=row.granted_at,
        granted_by=Actor(TeamId(row.granted_by_team), UserId(row.granted_by_user)),
        revoked_at=row.revoked_at,
        revoked_by=revoked_by,
        role=Role(row.role),
    )
