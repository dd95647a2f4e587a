"""Open the database for one command, after a look at its schema."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import typer

from bot.config import DatabaseSettings, load
from bot.ops import log
from bot.store.database import Database, open_database
from bot.store.key_check import ANOTHER_KEY, check_key
from bot.store.schema import check_schema

T = TypeVar("T")


def configured() -> DatabaseSettings:
    """Read the settings, and log as they say. Raises `SettingsError`."""
    settings = load(DatabaseSettings)
    log.configure(settings.log_level, settings.log_format, settings.secrets())
    return settings


def with_database(settings: DatabaseSettings, use: Callable[[Database], Awaitable[T]], *, writes: bool = False) -> T:
    """Run one use of the database; one that writes has to carry the trail's seal.

    Raises `DatabaseError`, or `SettingsError` where `AUDIT_KEY` is missing.
    """

    async def run() -> T:
        database = open_database(settings.database_url)
        try:
            await check_schema(database)
            if writes and not await check_key(database, settings.seal()):
                typer.echo(f"turso-rotate: {ANOTHER_KEY}", err=True)
            return await use(database)
        finally:
            await database.close()

    return asyncio.run(run())
