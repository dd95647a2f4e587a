"""Look for damage in a SQLite file. PostgreSQL has no such check."""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import URL, Connection
from sqlalchemy.exc import OperationalError

from bot.domain.errors import DatabaseUnavailable
from bot.store.driver_errors import translated_errors
from bot.store.engines import unlimited

_LIMIT = 10
_STEPS = 10_000
_INDEXES = "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"


def damage(connection: Connection) -> Sequence[str]:
    """Describe where the file is damaged, and which indexes lack entries.

    `integrity_check` would also compare each entry, and take longer than the rest of `audit verify`.
    """
    if connection.dialect.name != "sqlite":
        return []
    return [*_found(connection), *_incomplete_indexes(connection)]


def quick_damage(url: URL, seconds: float) -> Sequence[str] | None:
    """Describe where the tables of a SQLite file are damaged; `None` if it takes longer. Raises `DatabaseError`."""
    until, engine = time.monotonic() + seconds, unlimited(url, read_only=True)
    try:
        with translated_errors(), engine.connect() as connection:
            driver: Any = connection.connection.dbapi_connection
            driver.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
            return _found(connection)
    except DatabaseUnavailable as error:
        if _is_interrupt(error.__cause__):
            return None
        raise
    finally:
        engine.dispose()


def _found(connection: Connection) -> Sequence[str]:
    found = connection.exec_driver_sql(f"PRAGMA quick_check({_LIMIT})").scalars().all()
    return [] if found == ["ok"] else found


def _incomplete_indexes(connection: Connection) -> Iterator[str]:
    for index, table, definition in connection.exec_driver_sql(_INDEXES).all():
        condition = definition.partition(" WHERE ")[2] or "true"
        entries, rows = (
            connection.exec_driver_sql(f'SELECT count(*) FROM "{table}" {how} WHERE {condition}').scalar_one()  # noqa: S608 - of the schema
            for how in (f'INDEXED BY "{index}"', "NOT INDEXED")
        )
        if entries != rows:
            yield f"index {index} has {entries} entries for {rows} rows"


def _is_interrupt(error: BaseException | None) -> bool:
    return (
        isinstance(error, OperationalError) and getattr(error.orig, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT
    )
