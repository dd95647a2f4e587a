"""Run transactions in a database, with bounded waits and errors people can read.

A transaction is a plain function of a SQLAlchemy `Connection`, which runs in one of a few threads with a connection
for each. An async driver costs more processor time (on SQLite four times as much: it hops to a thread for every
statement). The threads are few, since they take the interpreter from each other and from the event loop.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

import sqlalchemy.exc
from sqlalchemy import URL, Connection, Engine

from bot.domain.errors import DatabaseError, DatabaseReadOnly, DatabaseUnavailable, SchemaMismatch
from bot.store import sqlite
from bot.store.timeouts import TURN_SECONDS, WAIT_SECONDS, deadline

T = TypeVar("T")
Work = Callable[[Connection], T]

READERS = 2
WRITERS = 2
"""On PostgreSQL; the audit trail takes them in turn anyway. SQLite has one: writers there would stall each other."""


class Database(Protocol):
    """A database in which transactions run. `read` and `write` raise `DatabaseError`, or what the work raises."""

    async def read(self, work: Work[T]) -> T:
        """Run work that only reads; each statement sees what is committed when it starts."""
        ...

    async def write(self, work: Work[T]) -> T:
        """Run work in a transaction that commits before this returns.

        A `DatabaseUnavailable` may leave open whether it did commit: the answer can be lost on the way.
        """
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


def open_database(url: URL) -> Database:
    """Prepare the database; nothing is connected yet."""
    if url.get_backend_name() == "sqlite":
        writing, reading = sqlite.prepare(url, 1, "BEGIN IMMEDIATE"), sqlite.prepare(url, READERS, "BEGIN")
        return _Threaded(_Lane(writing, 1), _Lane(reading, READERS))
    from bot.store import postgresql  # noqa: PLC0415 - a twentieth of a second that a file never needs

    writing = postgresql.prepare(url, WRITERS)
    # Saves a read its BEGIN and its COMMIT: two of three trips to the server.
    reading = postgresql.prepare(url, READERS, isolation_level="AUTOCOMMIT")
    return _Threaded(_Lane(writing, WRITERS), _Lane(reading, READERS))


_UNREADABLE = "The database does not answer."
_SIGNS: tuple[tuple[type[DatabaseError], str, tuple[str, ...]], ...] = (
    (
        DatabaseReadOnly,
        "The database refuses to write.",
        ("readonly", "read-only", "permission denied", "disk is full", "no space left", "disk full"),
    ),
    (DatabaseUnavailable, "The database is locked by somebody else.", ("locked", "lock timeout")),
    (DatabaseUnavailable, "The database file cannot be opened.", ("unable to open", "not a database")),
    (
        DatabaseUnavailable,
        "The database refuses the login.",
        ("authentication failed", "no password supplied", "fatal:  role", "fatal:  database"),
    ),
    (
        SchemaMismatch,
        "The database's tables are not as they were made.",
        ("no such table", "no such column", "undefinedtable", "undefinedcolumn", "already exists"),
    ),
)
_DRIVER = (sqlalchemy.exc.DBAPIError, sqlalchemy.exc.TimeoutError, sqlite3.Error, OSError)


def explain(error: Exception) -> DatabaseError | None:
    """Put a driver's failure into words, or return `None` when it is not the database's doing."""
    if isinstance(error, sqlalchemy.exc.IntegrityError) or not isinstance(error, _DRIVER):
        return None
    driver = getattr(error, "orig", error)
    said = f"{type(driver).__name__} {driver}".lower()
    for kind, words, signs in _SIGNS:
        if any(sign in said for sign in signs):
            return kind(words)
    return DatabaseUnavailable(_UNREADABLE)


class _Threaded:
    def __init__(self, writing: "_Lane", reading: "_Lane") -> None:
        self._writing = writing
        self._reading = reading

    async def read(self, work: Work[T]) -> T:
        return await self._reading.run(work)

    async def write(self, work: Work[T]) -> T:
        return await self._writing.run(work)

    async def close(self) -> None:
        await asyncio.gather(self._writing.close(), self._reading.close())


class _Lane:
    """A few threads, and a connection for each."""

    def __init__(self, engine: Engine, threads: int) -> None:
        self._engine = engine
        self._threads = ThreadPoolExecutor(threads, "database")

    async def run(self, work: Work[T]) -> T:
        """Run a transaction; wait a limited time for its turn and for its end."""
        turn = self._threads.submit(_transaction, self._engine, work, time.monotonic() + WAIT_SECONDS)
        end = asyncio.wrap_future(turn)
        end.add_done_callback(_look)
        done, _ = await asyncio.wait({end}, timeout=TURN_SECONDS)
        if not done and turn.cancel():
            raise DatabaseUnavailable("The database is busy.")
        if not done:
            done, _ = await asyncio.wait({end}, timeout=WAIT_SECONDS - TURN_SECONDS)
        if not done or end.cancelled():
            raise DatabaseUnavailable(_UNREADABLE)
        return end.result()

    async def close(self) -> None:
        """Wait for what has begun, which is soon over, and close the connections."""
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        self._engine.dispose()


def _transaction(engine: Engine, work: Work[T], until: float) -> T:
    deadline.set(until)
    try:
        with engine.begin() as connection:
            return work(connection)
    except Exception as error:
        raise explain(error) or error from error


def _look(ended: asyncio.Future[Any]) -> None:
    """Look at the failure of what nobody waits for any more, so that asyncio does not report it as lost."""
    if not ended.cancelled():
        ended.exception()
