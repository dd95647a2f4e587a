"""Read any number of rows in constant memory, at the speed of the driver, and as text whatever they hold."""

import sqlite3
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from bot.store.engines import any_text

T = TypeVar("T")

_BATCH = 2000
_NOT_UTF8 = "turso_rotate.not_utf8"
"""What a connection knows once it met a text that is not UTF-8: nothing is read at full speed over it again."""


def time_text(connection: Connection, column: str) -> str:
    """Return an expression for a time as the canonical form has it."""
    if connection.dialect.name == "sqlite":
        return column
    # PostgreSQL writes a year before Christ like one after, so it is marked.
    return (
        f"to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') "
        f"|| CASE WHEN {column} < '0001-01-01T00:00:00Z' THEN ' BC' ELSE '' END"
    )


def stream(connection: Connection, query: str, name: str, make: Callable[[Any], T]) -> Iterator[T]:
    """Make something of each row; `name` tells cursors that are open at the same time apart."""
    try:
        if connection.dialect.name == "sqlite":
            yield from _sqlite(connection, query, make)
        else:
            driver: Any = connection.connection.dbapi_connection
            with driver.cursor(name, row_factory=lambda _: make) as cursor:
                cursor.itersize = _BATCH
                yield from cursor.execute(query)
    except connection.dialect.loaded_dbapi.Error as error:
        raise DBAPIError(None, None, error) from error


def _sqlite(connection: Connection, query: str, make: Callable[[Any], T]) -> Iterator[T]:
    """Read at full speed, and more slowly from the first row on that is not UTF-8.

    Streams that are open at the same time share the connection, and with it how text is decoded.
    """
    driver: Any = connection.connection.dbapi_connection
    done = 0
    if not connection.info.get(_NOT_UTF8):
        driver.text_factory = str
    try:
        for row in driver.execute(query):
            yield make(row)
            done += 1
    except sqlite3.OperationalError as error:
        if "decode" not in str(error):
            raise
        connection.info[_NOT_UTF8] = True
    else:
        return
    finally:
        driver.text_factory = any_text
    yield from map(make, islice(driver.execute(query), done, None))
