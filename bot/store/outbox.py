"""What people are still to be told, written with the outcome and done by any replica, one at a time."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from bot.models import Errand, RotationId
from bot.ports import Letter
from bot.store.database import Database, now_in
from bot.store.sqltypes import database_now
from bot.store.tables import outbox

HEAD_START_SECONDS = 10.0
"""How long the replica that wrote an errand may try it before any replica takes it."""


def post(connection: Connection, rotation_id: RotationId, errands: Iterable[Errand]) -> None:
    """Leave errands in the transaction at hand."""
    now = now_in(connection)
    for errand in errands:
        connection.execute(
            insert(outbox).values(
                rotation_id=rotation_id,
                errand=str(errand),
                created_at=now,
                due_at=now + timedelta(seconds=HEAD_START_SECONDS),
                attempts=0,
            )
        )


class SqlOutbox:
    """The errands of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, rotation_id: RotationId) -> Sequence[Letter]:
        """Read the errands about one rotation."""
        query = select(outbox).where(outbox.c.rotation_id == rotation_id).order_by(outbox.c.id)
        return await self._database.read(lambda connection: [_letter(row) for row in connection.execute(query)])

    async def take(self, seconds: float) -> Letter | None:
        """Take the errand that is due longest; for so many seconds nobody else takes it."""
        due = (
            select(outbox.c.id)
            .where(outbox.c.due_at <= database_now())
            .order_by(outbox.c.due_at)
            .limit(1)
            .with_for_update(skip_locked=True)
        )

        def work(connection: Connection) -> Letter | None:
            row = connection.execute(
                update(outbox)
                .where(outbox.c.id == due.scalar_subquery())
                .values(due_at=now_in(connection) + timedelta(seconds=seconds), attempts=outbox.c.attempts + 1)
                .returning(outbox)
            ).first()
            return None if row is None else _letter(row)

        return await self._database.write(work)

    async def any_due(self) -> bool:
        """Say whether an errand waits, without taking it."""
        query = select(outbox.c.id).where(outbox.c.due_at <= database_now()).limit(1)
        return await self._database.read(lambda connection: connection.execute(query).first() is not None)

    async def put_off(self, letter: Letter, seconds: float) -> None:
        """Try again in so many seconds."""

        def work(connection: Connection) -> None:
            due = now_in(connection) + timedelta(seconds=seconds)
            connection.execute(update(outbox).where(outbox.c.id == letter.id).values(due_at=due))

        await self._database.write(work)

    async def done(self, letter: Letter) -> None:
        """Strike an errand off: people were told, or it was given up."""

        def work(connection: Connection) -> None:
            connection.execute(delete(outbox).where(outbox.c.id == letter.id))

        await self._database.write(work)


def _letter(row: Row[Any]) -> Letter:
    return Letter(row.id, RotationId(row.rotation_id), Errand(row.errand), row.created_at, row.attempts)
