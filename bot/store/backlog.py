"""Count what is pending, up to a limit each, so that a long history costs no more than a short one."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, ScalarSelect, Select, bindparam, func, select, text

from bot.domain.models import Organization
from bot.domain.notifications import Backlog
from bot.domain.states import State
from bot.store.database import Database
from bot.store.sqltypes import database_now
from bot.store.tables import outbox, rotations

COUNT_LIMIT = 10_000


def _count(query: Select[Any]) -> ScalarSelect[int]:
    return select(func.count()).select_from(query.limit(COUNT_LIMIT).subquery()).scalar_subquery()


_rotations = select(rotations.c.id).where(rotations.c.organization == bindparam("organization"))
# Exactly the condition of the partial index, and no condition that fits an index over all rotations.
_unresolved = select(rotations.c.id).where(
    text("state = 'unknown' AND resolved_as IS NULL"), rotations.c.organization.concat("") == bindparam("organization")
)
_notifications = select(outbox.c.created_at).where(outbox.c.organization == bindparam("organization"))
_BACKLOG = select(
    _count(_rotations.where(rotations.c.state == str(State.REQUESTED))).label("requested"),
    _count(_rotations.where(rotations.c.state == str(State.ROTATING))).label("rotating"),
    _count(_unresolved).label("unresolved"),
    _count(_notifications).label("notifications"),
    _notifications.order_by(outbox.c.id).limit(1).scalar_subquery().label("oldest"),
    database_now().label("now"),
)


class SqlBacklog:
    """The pending work of one organization in one database."""

    def __init__(self, database: Database, organization: Organization) -> None:
        self._database = database
        self._organization = organization

    async def read(self) -> Backlog:
        """Count everything in one statement."""
        return await self._database.read(self._read)

    def _read(self, connection: Connection) -> Backlog:
        row = connection.execute(_BACKLOG, {"organization": self._organization}).one()
        oldest = max(0.0, (row.now - row.oldest).total_seconds()) if isinstance(row.oldest, datetime) else 0.0
        return Backlog(row.requested, row.rotating, row.unresolved, row.notifications, oldest)
