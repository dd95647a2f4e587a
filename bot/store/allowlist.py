"""Grants in SQL: added and revoked together with their audit event, never deleted."""

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
from bot.domain.readable import Readable
from bot.store.database import Database
from bot.store.rows import fault_of_text, read, readable
from bot.store.sqltypes import database_now
from bot.store.tables import allowlist
from bot.store.trail import record
from bot.trail.chain import Seal


def _with_time(*conditions: ColumnElement[bool]) -> Select[Any]:
    """Select grants and the time in one round trip; if there are no grants, one row holds the time alone."""
    one_row = select(literal_column("1").label("one")).subquery("one_row")
    found = one_row.outerjoin(allowlist, and_(true(), *conditions))
    return select(database_now().label("now"), allowlist).select_from(found).order_by(allowlist.c.id)


_NOT_REVOKED = allowlist.c.revoked_at.is_(None)
_ALL_EVER = _with_time()
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
        """Read them and the database's time in one statement."""
        return await self._held(_HELD_BY, {"of_team": actor.team_id, "of_user": actor.user_id})

    async def all(self, *, revoked: bool = False) -> GrantSnapshot:
        """Read them and the database's time in one statement, oldest first."""
        return await self._held(_ALL_EVER if revoked else _ALL, {})

    async def add(self, new: NewGrant, event: Event) -> Grant:
        """Insert it, and add its id to the event's detail."""
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

        def transaction(connection: Connection) -> Grant:
            row = connection.execute(_ADD, columns).one()
            record(connection, self._seal, replace(event, detail={**event.detail, "grant": row.id}), row.granted_at)
            return grant_of(row)

        return await self._database.write(transaction)

    async def revoke(
        self, actor: Actor, pattern: str | None, event: Event, *, role: Role | None = None
    ) -> Readable[Grant]:
        """Revoke all that match with one UPDATE, and record them one by one, also those that cannot be read."""
        statement = _REVOKE if pattern is None else _REVOKE.where(allowlist.c.pattern == pattern)
        statement = statement if role is None else statement.where(allowlist.c.role == str(role))
        columns = {
            "of_team": actor.team_id,
            "of_user": actor.user_id,
            "revoked_by_team": event.actor.team_id,
            "revoked_by_user": event.actor.user_id,
        }

        def transaction(connection: Connection) -> Readable[Grant]:
            rows = sorted(connection.execute(statement, columns), key=lambda row: int(row.id))
            for row in rows:
                detail = {**event.detail, "grant": row.id, "role": row.role, "pattern": row.pattern}
                record(connection, self._seal, replace(event, detail=detail), row.revoked_at)
            return readable(rows, grant_of)

        return await self._database.write(transaction)

    async def _held(self, query: Select[Any], chosen: dict[str, Any]) -> GrantSnapshot:
        def transaction(connection: Connection) -> GrantSnapshot:
            rows = connection.execute(query, chosen).all()
            found = readable([row for row in rows if row.id is not None], grant_of)
            return GrantSnapshot(tuple(found), rows[0].now, tuple(found.unreadable))

        return await self._database.read(transaction)


def grant_of(row: Row[Any]) -> Grant:
    """Read a grant from its row. Raises `UnreadableRow`."""
    return read(row, allowlist, _grant)


def _grant(row: Row[Any]) -> Grant:
    revoked_by = None
    if row.revoked_at is not None:
        if fault_of_text(row.revoked_by_team) or fault_of_text(row.revoked_by_user):
            raise TypeError("revoked by nobody")
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
