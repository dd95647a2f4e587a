"""Open a database and run transactions in it, with bounded waits and errors people can read.

A transaction is a plain function of a SQLAlchemy `Connection`. On PostgreSQL it runs on the event loop through
the async driver. On SQLite it runs in one writing thread (or in a few reading ones): four times the rate of an
async driver that hops to a thread for every statement, and parallel writers never stall each other.
"""

import asyncio
import select
import sqlite3
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

import sqlalchemy.exc
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from bot.errors import DatabaseError, DatabaseReadOnly, DatabaseUnavailable, SchemaMismatch

T = TypeVar("T")
Work = Callable[[Connection], T]

WAIT_SECONDS = 2.5
"""How long anybody waits for a transaction before being told that the database does not answer."""
LOCK_SECONDS = 1.0
"""How long the database itself waits for a lock."""
POOL_SIZE = 8
_REST_SECONDS = 1.0
_READERS = 4


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
    return _Sqlite(url) if url.get_backend_name() == "sqlite" else _Postgres(url)


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
        ("no such table", "no such column", "undefinedtable", "undefinedcolumn"),
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


class _Postgres:
    def __init__(self, url: URL) -> None:
        milliseconds = int(LOCK_SECONDS * 1000)
        self._engine = create_async_engine(
            url,
            pool_size=POOL_SIZE,
            max_overflow=0,
            pool_timeout=LOCK_SECONDS,
            hide_parameters=True,
            connect_args={
                "connect_timeout": 2,
                "application_name": "turso-rotate",
                "options": f"-c lock_timeout={milliseconds} -c statement_timeout={2 * milliseconds} "
                f"-c idle_in_transaction_session_timeout={10 * milliseconds} -c timezone=UTC",
                "keepalives_idle": 10,
                "tcp_user_timeout": 5000,
            },
        )
        _ping_seldom(self._engine.sync_engine)
        # Saves a read its BEGIN and its COMMIT: two of four trips to the server.
        self._reading = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._under_way: set[asyncio.Task[Any]] = set()

    async def read(self, work: Work[T]) -> T:
        return await self._bounded(_transaction_on(self._reading, work))

    async def write(self, work: Work[T]) -> T:
        return await self._bounded(_transaction_on(self._engine, work))

    async def close(self) -> None:
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=WAIT_SECONDS)
        await self._engine.dispose()

    async def _bounded(self, transaction: Coroutine[Any, Any, T]) -> T:
        """Wait a limited time; psycopg may take ten seconds more to give up a silent connection."""
        task = asyncio.ensure_future(transaction)
        self._under_way.add(task)
        task.add_done_callback(self._forget)
        done, _ = await asyncio.wait({task}, timeout=WAIT_SECONDS)
        if not done:
            task.cancel()
            raise DatabaseUnavailable(_UNREADABLE)
        return task.result()

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        _look(task)


def _ping_seldom(engine: Engine) -> None:
    """Find connections that died at rest without a ping before each transaction, which may be a third of its cost.

    A server that ends a session says so on its socket, which is silent otherwise; one that vanished without a word
    is found by a ping, made only after a rest.
    """

    def rest(_: Any, record: ConnectionPoolEntry) -> None:
        record.info["rests_since"] = time.monotonic()

    def wake(connection: Any, record: ConnectionPoolEntry, _: Any) -> None:
        since = record.info.get("rests_since")  # none: it is new
        if since is None or (time.monotonic() - since < _REST_SECONDS and not _is_heard(connection)):
            return
        try:
            engine.dialect.do_ping(connection)
        except Exception as error:
            raise sqlalchemy.exc.InvalidatePoolError from error

    event.listen(engine, "checkin", rest)
    event.listen(engine, "checkout", wake)


def _is_heard(connection: Any) -> bool:
    """Say whether something waits to be read on a connection at rest."""
    poll = select.poll()
    poll.register(connection.driver_connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


async def _transaction_on(engine: AsyncEngine, work: Work[T]) -> T:
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(work)
    except Exception as error:
        raise explain(error) or error from error


class _Sqlite:
    def __init__(self, url: URL) -> None:
        self._writer = _engine(url, 1, "BEGIN IMMEDIATE")
        self._reader = _engine(url, _READERS, "BEGIN")
        self._writing = ThreadPoolExecutor(1, "sqlite-writer")
        self._reading = ThreadPoolExecutor(_READERS, "sqlite-reader")

    async def read(self, work: Work[T]) -> T:
        return await self._bounded(self._reading.submit(_transaction, self._reader, work))

    async def write(self, work: Work[T]) -> T:
        return await self._bounded(self._writing.submit(_transaction, self._writer, work))

    async def close(self) -> None:
        for executor in (self._writing, self._reading):
            await asyncio.to_thread(executor.shutdown, cancel_futures=True)
        for engine in (self._writer, self._reader):
            engine.dispose()

    async def _bounded(self, work: Future[T]) -> T:
        """Wait a limited time for the turn; what has begun is bounded by SQLite's own busy timeout."""
        waiting = asyncio.wrap_future(work)
        waiting.add_done_callback(_look)
        done, _ = await asyncio.wait({waiting}, timeout=WAIT_SECONDS - LOCK_SECONDS)
        if not done and work.cancel():
            raise DatabaseUnavailable("The database is busy.")
        return await asyncio.shield(waiting)


def _look(ended: asyncio.Future[Any]) -> None:
    """Look at the failure of what nobody waits for any more, so that asyncio does not report it as lost."""
    if not ended.cancelled():
        ended.exception()


def _engine(url: URL, size: int, begin: str) -> Engine:
    """Prepare an engine whose transactions start with `begin`, as SQLite's own driver starts them too late."""
    engine = create_engine(
        url,
        pool_size=size,
        max_overflow=0,
        hide_parameters=True,
        connect_args={"check_same_thread": False, "timeout": LOCK_SECONDS, "isolation_level": None},
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", lambda connection: connection.connection.dbapi_connection.execute(begin))
    return engine


def _prepare(connection: Any, _: Any) -> None:
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "recursive_triggers = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _transaction(engine: Engine, work: Work[T]) -> T:
    try:
        with engine.begin() as connection:
            return work(connection)
    except Exception as error:
        raise explain(error) or error from error
