"""Read the audit trail in its order, of any length and with anything in it, in one snapshot and constant memory."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import URL, Connection, func, select
from sqlalchemy.exc import DBAPIError

from bot.store import reconcile, schema
from bot.store.snapshot import explained, open_snapshot
from bot.store.tables import audit_events
from bot.trail.chain import Row

_AT_A_TIME = 2000
_REST = 'action, team_id, user_id, organization, "group", rotation_id, detail, delivery, prev_hash, hash'
# In PostgreSQL's text a year before the first looks like one after it.
_AT = {
    "sqlite": "at",
    "postgresql": "to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') "
    "|| CASE WHEN at < '0001-01-01T00:00:00Z' THEN ' BC' ELSE '' END",
}


class TrailSnapshot:
    """The trail as it stood when it was opened."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def last(self) -> int | None:
        """Read the highest number, if there is one."""
        with explained():
            found: object = self._connection.execute(select(func.max(audit_events.c.seq))).scalar()
        return found if isinstance(found, int) else None

    def span(self, since: datetime | None, until: datetime | None) -> tuple[int, int] | None:
        """Find the first and the last row of a period, if it has any; `until` is the first instant after it."""
        seq, at = audit_events.c.seq, audit_events.c.at
        query = select(func.min(seq), func.max(seq))
        query = query if since is None else query.where(at >= since)
        query = query if until is None else query.where(at < until)
        with explained():
            first, last = self._connection.execute(query).one()
        return None if first is None else (first, last)

    def rows(self, first: int | None = None, last: int | None = None) -> Iterator[Row]:
        """Read the rows by their numbers: all, or all from one to another. Raises `DatabaseError`."""
        dialect = self._connection.dialect.name
        where = "" if first is None else f" WHERE seq BETWEEN {first} AND {last}"
        query = f"SELECT seq, {_AT[dialect]}, {_REST} FROM audit_events{where} ORDER BY seq"  # noqa: S608 - names above
        driver: Any = self._connection.connection.dbapi_connection
        with explained():
            try:
                yield from _sqlite(driver, query) if dialect == "sqlite" else _postgresql(driver, query)
            except self._connection.dialect.loaded_dbapi.Error as error:
                raise DBAPIError(None, None, error) from error

    def unguarded(self) -> set[str]:
        """Name the triggers that no longer guard history."""
        with explained():
            return schema.unguarded(self._connection)

    def mismatches(self) -> list[str]:
        """Say which rotations and grants stand otherwise than the trail has it, up to a limit; it must be sound."""
        with explained():
            return list(islice(reconcile.mismatches(self._connection), reconcile.MOST))


@contextmanager
def open_trail(url: URL) -> Iterator[TrailSnapshot]:
    """Open the trail in a snapshot of its own. Raises `DatabaseError`."""
    with open_snapshot(url) as connection:
        yield TrailSnapshot(connection)


def _postgresql(driver: Any, query: str) -> Iterator[Row]:
    with driver.cursor("trail", row_factory=lambda _: Row._make) as cursor:
        cursor.itersize = _AT_A_TIME
        yield from cursor.execute(query)


def _sqlite(driver: Any, query: str) -> Iterator[Row]:
    """Read as text at full speed, and more slowly from the first bytes on that are none."""
    done = 0
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
