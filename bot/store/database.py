"""Run transactions in a database, each for a limited time.

A transaction is a plain function of a SQLAlchemy `Connection`, which runs in one of a few threads with a connection
for each. An async driver costs more processor time (on SQLite four times as much: it hops to a thread for every
statement). The threads are few because they compete with each other and with the event loop for the interpreter.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from sqlalchemy import URL, Connection, Engine

from bot.domain.errors import DatabaseUnavailable
from bot.store.driver_errors import NO_ANSWER, translated_errors
from bot.store.engines import pooled
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

        After a `DatabaseUnavailable` it may be committed or not: the answer to the commit can be lost.
        """

    async def close(self) -> None:
        """Close every connection."""


def open_database(url: URL) -> Database:
    """Prepare the database; nothing is connected yet."""
    is_file = url.get_backend_name() == "sqlite"
    writers, file = (1, OpenedFile(str(url.database))) if is_file else (WRITERS, None)
    return _ThreadedDatabase(
        _ThreadPool(pooled(url, writers, read_only=False, file=file), writers),
        _ThreadPool(pooled(url, READERS, read_only=True, file=file), READERS),
    )


class _ThreadedDatabase:
    def __init__(self, writers: "_ThreadPool", readers: "_ThreadPool") -> None:
        self._writers = writers
        self._readers = readers

    async def read(self, transaction: Transaction[T]) -> T:
        return await self._readers.run(transaction)

    async def write(self, transaction: Transaction[T]) -> T:
        return await self._writers.run(transaction)

    async def close(self) -> None:
        await asyncio.gather(self._writers.close(), self._readers.close())


class _ThreadPool:
    """A few threads, and a connection for each."""

    def __init__(self, engine: Engine, threads: int) -> None:
        self._engine = engine
        self._threads = ThreadPoolExecutor(threads, "database")

    async def run(self, transaction: Transaction[T]) -> T:
        """Run a transaction; wait a limited time for a thread, and for the end."""
        queued = self._threads.submit(_run, self._engine, transaction, time.monotonic() + TRANSACTION_SECONDS)
        end = asyncio.wrap_future(queued)
        end.add_done_callback(_retrieve_exception)
        done, _ = await asyncio.wait({end}, timeout=QUEUE_SECONDS)
        if not done and queued.cancel():
            raise DatabaseUnavailable("The database is busy.")
        if not done:
            done, _ = await asyncio.wait({end}, timeout=TRANSACTION_SECONDS - QUEUE_SECONDS)
        if not done or end.cancelled():
            raise DatabaseUnavailable(NO_ANSWER)
        return end.result()

    async def close(self) -> None:
        """Wait for running transactions, which end soon, and close the connections."""
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        self._engine.dispose()


def _run(engine: Engine, transaction: Transaction[T], until: float) -> T:
    deadline.set(until)
    with translated_errors(), engine.begin() as connection:
        return transaction(connection)


def _retrieve_exception(end: asyncio.Future[Any]) -> None:
    """Retrieve the exception of a transaction that its caller gave up, so that asyncio does not report it."""
    if not end.cancelled():
        end.exception()
