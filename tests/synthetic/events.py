"""Synthetic audit events, sealed and inserted without the bot, hundreds of thousands in a few seconds."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from bot.domain.periods import rfc3339
from bot.trail.chain import GENESIS, UNKEYED, Row, Seal
from tests.store.attack import unguarded

START = datetime(2025, 1, 1, tzinfo=UTC)
_INDEXES = {
    "sqlite": "SELECT name, sql FROM sqlite_master "
    "WHERE type = 'index' AND tbl_name = '{table}' AND substr(name, 1, 3) = 'ix_'",
    "postgresql": "SELECT indexname, indexdef FROM pg_indexes "
    "WHERE tablename = '{table}' AND starts_with(indexname, 'ix_')",
}


def events(first: int, last: int) -> Iterator[Row]:
    """Generate the events `first..last`, one a second from `START` on, not sealed."""
    for seq in range(first, last + 1):
        yield Row(
            seq=seq,
            at=rfc3339(START + timedelta(seconds=seq)),
            action="rotation.denied" if seq % 3 else "history.denied",
            team_id="T0",
            user_id=f"U{seq % 50}",
            organization="acme",
            group="retired" if seq < 10_000 and seq % 100 == 1 else f"group{seq % 20}",
            rotation_id=f"r{seq // 3}",
            detail="{}",
            delivery=None,
            prev_hash="",
        )


def sealed(rows: Iterable[Row], seal: Seal = UNKEYED, last: str = GENESIS) -> Iterator[Row]:
    """Seal rows in order, each with the hash of the row before it; `last` comes before the first."""
    for row in rows:
        linked = row._replace(prev_hash=last)
        last = seal.hash(linked)
        yield linked._replace(hash=last)


def insert_events(connection: Connection, rows: Iterable[Row]) -> None:
    """Insert sealed rows."""
    insert_rows(connection, "audit_events", Row._fields, rows)


def insert_rows(connection: Connection, table: str, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    """Insert rows, and build the indexes afterwards, which takes a fifth of the time."""
    names = ", ".join(f'"{name}"' for name in columns)
    driver: Any = connection.connection.dbapi_connection
    with unguarded(connection), _without_indexes(connection, table):
        if connection.dialect.name == "sqlite":
            marks = ", ".join("?" * len(columns))
            driver.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)  # noqa: S608 - constants
            return
        with driver.cursor() as cursor, cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)


@contextmanager
def _without_indexes(connection: Connection, table: str) -> Iterator[None]:
    indexes = connection.exec_driver_sql(_INDEXES[connection.dialect.name].format(table=table)).all()
    for name, _ in indexes:
        connection.exec_driver_sql(f"DROP INDEX {name}")
    yield
    for _, definition in indexes:
        connection.exec_driver_sql(definition)
