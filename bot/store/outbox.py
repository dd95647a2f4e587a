"""What people are still to be told, written with the outcome and done by any replica, one at a time."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from bot.models import Errand, RotationId
from bot.ports import Letter
from bot.store.database import Database
from bot.store.sqltypes import database_later, database_now
from bot.store.tables import outbox

HEAD_START_SECONDS = 10.0
"""How long the replica that wrote an errand may try it before any replica takes it."""


_POST = insert(outbox).values(created_at=database_now(), due_at=database_later("in_seconds"), attempts=0)
_OF = select(outbox).where(outbox.c.rotation_id == bindparam("of_rotation")).order_by(outbox.c.id)
_DUE = select(outbox.c.id).where(outbox.c.due_at <= database_now()).order_by(outbox.c.due_at).limit(1)
_TAKE = (
    update(outbox)
    .where(outbox.c.id == _DUE.with_for_update(skip_locked=True).scalar_subquery())
    .values(due_at=database_later("in_seconds"), attempts=outbox.c.attempts + 1)
    .returning(outbox)
)
_PUT_OFF = update(outbox).where(outbox.c.id == bindparam("of_letter")).values(due_at=database_later("in_seconds"))
_DONE = delete(outbox).where(outbox.c.id == bindparam("of_letter"))


def post(connection: Connection, rotation_id: RotationId, errands: Iterable[Errand]) -> None:
    """Leave errands in the transaction at hand."""
    for errand in errands:
        letter = {"rotation_id": rotation_id, "errand": str(errand), "in_seconds": HEAD_START_SECONDS}
        connection.execute(_POST, letter)


class SqlOutbox:
    """The errands of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, rotation_id: RotationId) -> Sequence[Letter]:
        """Read the errands about one rotation."""
        chosen = {"of_rotation": rotation_id}
        return await self._database.read(lambda connection: [_letter(row) for row in connection.execute(_OF, chosen)])

    async def take(self, seconds: float) -> Letter | None:
        """Take the errand that is due longest; for so many seconds nobody else takes it."""

        def work(connection: Connection) -> Letter | None:
            row = connection.execute(_TAKE, {"in_seconds": seconds}).first()
            return None if row is None else _letter(row)

        return await self._database.write(work)

    async def any_due(self) -> bool:
        """Say whether an errand waits, without taking it."""
        return await self._database.read(lambda connection: connection.execute(_DUE).first() is not None)

    async def put_off(self, letter: Letter, seconds: float) -> None:
        """Try again in so many seconds."""
        chosen = {"of_letter": letter.id, "in_seconds": seconds}
        await self._database.write(lambda connection: connection.execute(_PUT_OFF, chosen).rowcount)

    async def done(self, letter: Letter) -> None:
        """Strike an errand off: people were told, or it was given up."""
        chosen = {"of_letter": letter.id}
        await self._database.write(lambda connection: connection.execute(_DONE, chosen).rowcount)


def _letter(row: Row[Any]) -> Letter:
    return Letter(row.id, RotationId(row.rotation_id), Errand(row.errand), row.created_at, row.attempts)
