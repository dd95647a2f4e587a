"""Run transactions in a database, each for a limited time.

A transaction is a plain function of a SQLAlchemy `Connection`, which runs in one of a few threads with a connection
for each. An async driver costs more processor time (on SQLite four times as much: it hops to a thread for every
statement). The threads are few because they compete with each other and with the event loop for the interpreter.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from bot.domain.errors import CommitUnconfirmed, DatabaseReadOnly, DatabaseUnavailable
from bot.store.driver_errors import NO_ANSWER, UNCONFIRMED, committing, translated_errors
from bot.store.engines import pooled
from bot.store.readiness import refuse_read_only
from bot.store.sqlite_file import OpenedFile
from bot.store.timeouts import QUEUE_SECONDS, TRANSACTION_SECONDS, deadline

T = TypeVar("T")
Transaction = Callable[[Connection], T]

READERS = 2
WRITERS = 2
"""On PostgreSQL, where the audit trail makes them take turns anyway. SQLite has one: more would stall each other."""


class Database(Protocol):
    """A database that runs transactions. `read` and `write` raise `DatabaseError`, or what the transaction raises."""

    async def read(self, transaction: Transaction[T]) -> T:
        """Run a transaction that only reads; each statement sees what is committed when it starts."""

    async def write(self, transaction: Transaction[T]) -> T:
        """Run a transaction that is committed before this returns.

        After a `CommitUnconfirmed` it may be committed or not; after any other error it is not.
        """

    async def check_writable(self) -> None:
        """Check that transactions can be committed, without a lock. Raises `DatabaseError`, with the cause.

        While all writers are busy it finds nothing: those who wait for them hear what is wrong.
        """

    async def close(self) -> None:
        """Close every connection."""


def open_database(url: URL) -> Database:
    """Prepare the database; nothing is connected yet."""
    is_file = url.get_backend_name() == "sqlite"
    writers, file = (1, OpenedFile(url)) if is_file else (WRITERS, None)
    return _ThreadedDatabase(
        _ThreadPool(pooled(url, writers, read_only=False, file=file), writers),
        _ThreadPool(pooled(url, READERS, read_only=True, file=file), READERS),
    )


class _ThreadedDatabase:
    def __init__(self, writers: "_ThreadPool", readers: "_ThreadPool") -> None:
        self._writers = writers
        self._readers = readers

    async def read(self, transaction: Transaction[T]) -> T:
        try:
            return await self._readers.run(transaction)
        except CommitUnconfirmed:  # of a transaction that changed nothing
            raise DatabaseUnavailable(NO_ANSWER) from None

    async def write(self, transaction: Transaction[T]) -> T:
        return await self._writers.run(transaction)

    async def check_writable(self) -> None:
        # SQLite's writer would take the lock, and a reader sees the same file.
        pool = self._readers if self._writers.uses_sqlite else self._writers
        if not pool.is_busy:
            await pool.run(refuse_read_only)

    async def close(self) -> None:
        await asyncio.gather(self._writers.close(), self._readers.close())


class _ThreadPool:
    """A few threads, and a connection for each."""

    def __init__(self, engine: Engine, threads: int) -> None:
        self.uses_sqlite = engine.dialect.name == "sqlite"
        self._engine = engine
        self._size = threads
        self._unfinished: set[asyncio.Future[Any]] = set()
        self._threads = ThreadPoolExecutor(threads, "database")

    @property
    def is_busy(self) -> bool:
        """Whether every thread has something to do."""
        return len(self._unfinished) >= self._size

    async def run(self, transaction: Transaction[T]) -> T:
        """Run a transaction; wait a limited time for a thread, and for the end."""
        commit = _Commit()
        until = time.monotonic() + TRANSACTION_SECONDS
        queued = self._threads.submit(_run, self._engine, transaction, commit, until)
        end = asyncio.wrap_future(queued)
        self._unfinished.add(end)
        end.add_done_callback(self._unfinished.discard)
        end.add_done_callback(_retrieve_exception)
        done, _ = await asyncio.wait({end}, timeout=QUEUE_SECONDS)
        if not done and queued.cancel():
            raise DatabaseUnavailable("The database is busy.")
        if not done:
            done, _ = await asyncio.wait({end}, timeout=TRANSACTION_SECONDS - QUEUE_SECONDS)
        if not done and not commit.give_up():
            raise CommitUnconfirmed(UNCONFIRMED)
        if not done or end.cancelled():
            raise DatabaseUnavailable(NO_ANSWER)
        return end.result()

    async def close(self) -> None:
        """Wait for running transactions, which end soon, and close the connections."""
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        self._engine.dispose()


class _Commit:
    """Decides whether the commit is sent first, or the caller gives up first; the other then does not happen."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sent = False
        self._given_up = False

    def begin(self) -> None:
        """Note that it is sent. Raises `DatabaseUnavailable` if the caller has given up."""
        with self._lock:
            if self._given_up:
                raise DatabaseUnavailable(NO_ANSWER)
            self._sent = True

    def give_up(self) -> bool:
        """Keep it from being sent; return whether that was in time."""
        with self._lock:
            self._given_up = True
            return not self._sent


def _run(engine: Engine, transaction: Transaction[T], commit: _Commit, until: float) -> T:
    deadline.set(until)
    with translated_errors(), engine.connect() as connection:
        if time.monotonic() >= until:  # to connect took too long; the next transaction finds the connection made
            raise DatabaseUnavailable(NO_ANSWER)
        deadline.set(until)
        try:
            return _transact(connection, transaction, commit)
        except DatabaseReadOnly:
            try:
                _name_cause(connection)
            finally:
                connection.invalidate()  # a session that began read-only stays so, even if others may write again
            raise


def _name_cause(connection: Connection) -> None:
    """Raise `DatabaseReadOnly` with the cause, where it can be found without a lock."""
    if connection.dialect.name == "postgresql":
        with suppress(SQLAlchemyError):
            refuse_read_only(connection)


def _transact(connection: Connection, transaction: Transaction[T], commit: _Commit) -> T:
    with translated_errors(), connection.begin() as begun:
        result = transaction(connection)
        commit.begin()
        with committing():
            begun.commit()
        return result


def _retrieve_exception(end: asyncio.Future[Any]) -> None:
    """Retrieve the exception of a transaction that its caller gave up, so that asyncio does not report it."""
    if not end.cancelled():
        end.exception()
