"""Grants in SQL: added and revoked together with their audit event, never deleted."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from bot.models import Actor, Event, Grant, GrantId, TeamId, UserId
from bot.ports import Held, NewGrant
from bot.store.audit import record
from bot.store.database import Database, now_in
from bot.store.tables import allowlist


class SqlGrants:
    """The allowlist of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def held_by(self, actor: Actor) -> Held:
        """Read the actor's grants and the database's time."""
        query = _of(actor).where(allowlist.c.revoked_at.is_(None))

        def work(connection: Connection) -> Held:
            rows = connection.execute(query).all()
            return Held(tuple(map(_grant, rows)), now_in(connection))

        return await self._database.read(work)

    async def all(self, *, revoked: bool = False) -> Held:
        """Read every grant, oldest first; those that were revoked too if asked for."""
        query = select(allowlist).order_by(allowlist.c.id)
        if not revoked:
            query = query.where(allowlist.c.revoked_at.is_(None))

        def work(connection: Connection) -> Held:
            rows = connection.execute(query).all()
            return Held(tuple(map(_grant, rows)), now_in(connection))

        return await self._database.read(work)

    async def add(self, new: NewGrant, event: Event) -> Grant:
        """Insert a grant; its id is added to the event's detail."""

        def work(connection: Connection) -> Grant:
            row = connection.execute(
                insert(allowlist)
                .values(
                    team_id=new.actor.team_id,
                    user_id=new.actor.user_id,
                    pattern=new.pattern,
                    until=new.until,
                    note=new.note,
                    granted_at=now_in(connection),
                    granted_by_team=event.actor.team_id,
                    granted_by_user=event.actor.user_id,
                )
                .returning(allowlist)
            ).one()
            record(connection, replace(event, detail={**event.detail, "grant": row.id}))
            return _grant(row)

        return await self._database.write(work)

    async def revoke(self, actor: Actor, pattern: str | None, event: Event) -> Sequence[Grant]:
        """Mark the actor's grants (with that pattern, or all) as revoked; one event for each."""
        chosen = allowlist.c.pattern == pattern if pattern is not None else allowlist.c.id.is_not(None)

        def work(connection: Connection) -> Sequence[Grant]:
            rows = connection.execute(
                update(allowlist)
                .where(allowlist.c.team_id == actor.team_id, allowlist.c.user_id == actor.user_id)
                .where(allowlist.c.revoked_at.is_(None), chosen)
                .values(
                    revoked_at=now_in(connection),
                    revoked_by_team=event.actor.team_id,
                    revoked_by_user=event.actor.user_id,
                )
                .returning(allowlist)
            ).all()
            for row in rows:
                detail = {**event.detail, "grant": row.id, "pattern": row.pattern}
                record(connection, replace(event, detail=detail))
            return [_grant(row) for row in rows]

        return await self._database.write(work)


def _of(actor: Actor) -> Any:
    return select(allowlist).where(allowlist.c.team_id == actor.team_id, allowlist.c.user_id == actor.user_id)


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
    )
