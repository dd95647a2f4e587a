"""Open the database for one command, after a look at its schema."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from bot.config import DatabaseSettings
from bot.store import schema
from bot.store.database import Database, open_database

T = TypeVar("T")


def with_database(settings: DatabaseSettings, use: Callable[[Database], Awaitable[T]]) -> T:
    """Run one use of the database. Raises `DatabaseError`."""

    async def run() -> T:
        database = open_database(settings.database_url)
        try:
            await schema.check(database)
            return await use(database)
        finally:
            await database.close()

    return asyncio.run(run())
