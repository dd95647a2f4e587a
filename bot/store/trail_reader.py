"""Read the whole audit trail in order, in one snapshot and constant memory, even where rows are corrupt."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import URL, Connection, func, select
from sqlalchemy.exc import DBAPIError

from bot.store import guards, reconcile
from bot.store.driver_errors import translated_errors
from bot.store.snapshot import open_snapshot
from bot.store.tables import audit_events
from bot.trail.chain import Row

_BATCH = 2000
_COLUMNS = 'action, team_id, user_id, organization, "group", rotation_id, detail, delivery, prev_hash, hash'
# PostgreSQL writes a year before Christ like one after, so it is marked.
_AT = {
    "sqlite": "at",
    "postgresql": "to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') "
    "|| CASE WHEN at < '0001-01-01T00:00:00Z' THEN ' BC' ELSE '' END",
}


class TrailSnapshot:
    """The trail in the state in which it was opened."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def last(self) -> int | None:
        """Read the highest number, if there are rows."""
        with translated_errors():
            found: object = self._connection.execute(select(func.max(audit_events.c.seq))).scalar()
        return found if isinstance(found, int) else None

    def span(self, since: datetime | None, until: datetime | None) -> tuple[int, int] | None:
        """Find the first and last row of a period, if it has any; `until` is the first instant after it."""
        seq, at = audit_events.c.seq, audit_events.c.at
        query = select(func.min(seq), func.max(seq))
        query = query if since is None else query.where(at >= since)
        query = query if until is None else query.where(at < until)
        with translated_errors():
            first, last = self._connection.execute(query).one()
        return None if first is None else (first, last)

    def rows(self, first: int | None = None, last: int | None = None) -> Iterator[Row]:
        """Read the rows in order: all, or those from `first` to `last`. Raises `DatabaseError`."""
        dialect = self._connection.dialect.name
        where = "" if first is None else f" WHERE seq BETWEEN {first} AND {last}"
        query = f"SELECT seq, {_AT[dialect]}, {_COLUMNS} FROM audit_events{where} ORDER BY seq"  # noqa: S608 - names above
        driver: Any = self._connection.connection.dbapi_connection
        with translated_errors():
            try:
                yield from _sqlite(driver, query) if dialect == "sqlite" else _postgresql(driver, query)
            except self._connection.dialect.loaded_dbapi.Error as error:
                raise DBAPIError(None, None, error) from error

    def broken_guards(self) -> set[str]:
        """Return the names of the guards of history that are missing, disabled or changed, and of what was added."""
        with translated_errors():
            return guards.broken_guards(self._connection)

    def mismatches(self) -> list[str]:
        """Describe rotations and grants that differ from the trail, up to a limit. Verify the trail first."""
        with translated_errors():
            return list(islice(reconcile.mismatches(self._connection), reconcile.MAX_REPORTED))


@contextmanager
def open_trail(url: URL) -> Iterator[TrailSnapshot]:
    """Open a snapshot of the trail. Raises `DatabaseError`."""
    with open_snapshot(url) as connection:
        yield TrailSnapshot(connection)


def _postgresql(driver: Any, query: str) -> Iterator[Row]:
    with driver.cursor("trail", row_factory=lambda _: Row._make) as cursor:
        cursor.itersize = _BATCH
        yield from cursor.execute(query)


def _sqlite(driver: Any, query: str) -> Iterator[Row]:
    """Read at full speed, and more slowly from the first row on that is not UTF-8."""
    done = 0
    driver.text_factory = str
    try:
        for row in driver.execute(query):
            yield Row._make(row)
            done += 1
    except sqlite3.OperationalError as error:
        if "decode" not in str(error):
            raise
    else:
        return
    driver.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
    yield from map(Row._make, islice(driver.execute(query), done, None))
