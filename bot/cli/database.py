"""Open the database for one command, after a check of its schema."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import typer

from bot.config import DatabaseSettings, load
from bot.domain.errors import CommitUnconfirmed, DatabaseError, SettingsError
from bot.domain.models import Organization
from bot.ops import log
from bot.store.database import Database, open_database
from bot.store.key_check import check_key
from bot.store.schema import check_schema

T = TypeVar("T")


def load_settings() -> DatabaseSettings:
    """Read the settings and configure logging. Raises `SettingsError`."""
    settings = load(DatabaseSettings)
    log.configure(settings.log_level, settings.log_format, settings.secrets())
    return settings


def require_organization(settings: DatabaseSettings) -> Organization:
    """Return the organization from the settings. Raises `SettingsError` if it is not set."""
    if settings.turso_organization is None:
        raise SettingsError("TURSO_ORGANIZATION is required.")
    return Organization(settings.turso_organization)


def with_database(settings: DatabaseSettings, use: Callable[[Database], Awaitable[T]], *, writes: bool = False) -> T:
    """Open the database, call `use` and return its result; before a write, check that the trail has the same key.

    Raises `DatabaseError`, or `SettingsError` if `AUDIT_KEY` is not the trail's.
    """

    async def run() -> T:
        database = open_database(settings.database_url)
        try:
            await check_schema(database)
            if writes:
                warn(await check_key(database, settings.seal()))
            return await (_changed(use(database)) if writes else use(database))
        finally:
            await database.close()

    return asyncio.run(run())


def warn(words: str) -> None:
    """Print a warning, if there is one."""
    if words:
        typer.echo(f"turso-rotate: {words}", err=True)


async def _changed(change: Awaitable[T]) -> T:
    """Wait for a change; if it was certainly not made, the error says so."""
    try:
        return await change
    except CommitUnconfirmed:
        raise
    except DatabaseError as error:
        error.args = (f"{error} Nothing was changed.",)
        raise
