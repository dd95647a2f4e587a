"""The threads in which PostgreSQL's transactions run: few, never held for long, and free again."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from sqlalchemy import Connection, text

from bot.domain.errors import DatabaseUnavailable
from bot.domain.events import Action, Event
from bot.store.database import WRITERS, Database, open_database
from bot.store.timeouts import QUEUE_SECONDS, TRANSACTION_SECONDS
from tests.store import shell
from tests.store.conftest import ACME, ALICE, Store

pytestmark = pytest.mark.databases("postgresql")

BOUND = TRANSACTION_SECONDS + 0.5
DENIED = Event(Action.DENIED, ALICE, ACME)


@pytest.mark.fault("F10")
async def test_sessions_that_fall_silent_are_given_up_and_their_threads_are_free(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    sessions = await _sessions(store.database)

    with frozen(sessions):
        waited = await asyncio.gather(*(_refused(store.trail.append(DENIED)) for _ in range(WRITERS)))
        await asyncio.gather(*(store.trail.append(DENIED) for _ in range(2 * WRITERS)))
        fresh = await _sessions(store.database)

    assert max(waited) < BOUND
    assert fresh.isdisjoint(sessions)
    assert caplog.messages == []  # the pool found nothing to complain about
    assert await shell.rows(store.database, "SELECT count(*) FROM audit_events") == [(2 * WRITERS,)]


async def test_a_caller_who_goes_away_breaks_nothing_off(store: Store) -> None:
    sessions, begun = await _sessions(store.database), threading.Event()

    def slow(connection: Connection) -> None:
        begun.set()
        connection.execute(text("SELECT pg_sleep(0.2)"))
        connection.execute(text("CREATE TABLE done ()"))

    caller = asyncio.ensure_future(store.database.write(slow))
    await asyncio.to_thread(begun.wait)
    caller.cancel()

    assert await _sessions(store.database) == sessions
    assert await shell.rows(store.database, "SELECT count(*) FROM done") == [(0,)]


async def test_closing_waits_for_what_has_begun_and_tells_the_others(store: Store) -> None:
    database = open_database(store.url)
    async with occupied(database):
        late = asyncio.ensure_future(Store(store.url, database).trail.append(DENIED))
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(database.close())

        assert await _refused(late) < QUEUE_SECONDS
        assert not closing.done()

    await closing


@pytest.mark.fault("F38")
async def test_all_connections_busy_is_told_before_long(store: Store) -> None:
    async with occupied(store.database):
        async with asyncio.timeout(1):
            assert await shell.trail_of(store.database) == []  # reading has connections of its own
            await store.database.check_writable()  # it is not the database that keeps others waiting
        assert await _refused(store.trail.append(DENIED)) < BOUND

    await store.trail.append(DENIED)


@asynccontextmanager
async def occupied(database: Database) -> AsyncIterator[None]:
    """Keep busy every thread that writes."""
    everybody, released = threading.Barrier(WRITERS + 1), threading.Event()

    def work(_: Connection) -> None:
        everybody.wait(TRANSACTION_SECONDS)
        released.wait(TRANSACTION_SECONDS)

    busy = [asyncio.ensure_future(database.write(work)) for _ in range(WRITERS)]
    await asyncio.to_thread(everybody.wait, TRANSACTION_SECONDS)
    try:
        yield
    finally:
        released.set()
        await asyncio.gather(*busy, return_exceptions=True)


@contextmanager
def frozen(sessions: Iterable[int]) -> Iterator[None]:
    """Let sessions of the server stand still, by their process ids, while it takes new ones."""
    for pid in sessions:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in sessions:
            os.kill(pid, signal.SIGCONT)


async def _sessions(database: Database) -> set[int]:
    """Name the server's processes behind every connection that writes."""
    everybody = threading.Barrier(WRITERS)

    def work(connection: Connection) -> int:
        everybody.wait(TRANSACTION_SECONDS)
        return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())

    return set(await asyncio.gather(*(database.write(work) for _ in range(WRITERS))))


async def _refused(asked: Awaitable[object]) -> float:
    """Return the seconds until it was said that the database is not available."""
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailable):
        await asked
    return time.monotonic() - began
