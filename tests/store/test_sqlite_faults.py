"""SQLite locked, full or read-only: a clear word in time, no half row, and back by itself (F12, F38)."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import Connection, make_url, text

from bot.domain.errors import CommitUnconfirmed, DatabaseError, DatabaseReadOnly, DatabaseUnavailable
from bot.domain.events import Action, Event
from bot.domain.models import RotationId
from bot.store.database import open_database
from bot.store.timeouts import TRANSACTION_SECONDS
from tests.store import shell
from tests.store.conftest import ACME, ALICE, Store

pytestmark = pytest.mark.databases("sqlite")

DENIED = Event(Action.DENIED, ALICE, ACME)
TOLERANCE = 0.5


@contextmanager
def locked(store: Store) -> Iterator[None]:
    """Hold the lock as another process with an open transaction does."""
    other = sqlite3.connect(str(store.url.database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.close()


@pytest.mark.fault("F12")
async def test_locked_by_another_process(store: Store) -> None:
    rotation = await store.request()
    began = time.monotonic()

    with locked(store):
        with pytest.raises(DatabaseUnavailable, match="locked"):
            await store.request()
        read_meanwhile = await store.rotations.get(rotation.id)

    assert time.monotonic() - began < TRANSACTION_SECONDS
    assert read_meanwhile == rotation
    assert (await store.request()).id != rotation.id


@pytest.mark.fault("F38")
async def test_everybody_in_the_queue_is_told_in_time(store: Store) -> None:
    began = time.monotonic()

    with locked(store):
        said = await asyncio.gather(*(store.trail.append(DENIED) for _ in range(10)), return_exceptions=True)
        waited = time.monotonic() - began

    assert {type(error) for error in said} == {DatabaseUnavailable}
    assert waited < TRANSACTION_SECONDS + TOLERANCE
    assert await shell.trail_of(store.database) == []
    await store.trail.append(DENIED)


@pytest.mark.fault("F12")
async def test_a_disk_that_hangs_is_told_and_comes_back(store: Store) -> None:
    comes_back = threading.Event()
    began = time.monotonic()

    with pytest.raises(DatabaseUnavailable, match="does not answer"):
        await store.database.write(lambda _: comes_back.wait(2 * TRANSACTION_SECONDS))
    waited = time.monotonic() - began
    comes_back.set()

    assert waited < TRANSACTION_SECONDS + TOLERANCE
    await store.trail.append(DENIED)


@pytest.mark.fault("F12")
async def test_what_its_caller_gave_up_is_not_committed_later(store: Store) -> None:
    comes_back = threading.Event()

    def slow(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE late (at TEXT)"))
        comes_back.wait(2 * TRANSACTION_SECONDS)

    with pytest.raises(DatabaseUnavailable) as told:
        await store.database.write(slow)
    comes_back.set()
    await store.trail.append(DENIED)

    assert not isinstance(told.value, CommitUnconfirmed)
    assert await shell.rows(store.database, "SELECT name FROM sqlite_master WHERE name = 'late'") == []


@pytest.mark.fault("F12")
async def test_disk_full_leaves_no_half_row(store: Store) -> None:
    await store.database.write(_no_more_pages)

    with pytest.raises(DatabaseReadOnly, match="refuses writes"):
        await _requests_without_end(store)

    requested = await shell.rows(store.database, "SELECT count(*) FROM rotations")
    assert requested == [(len(await shell.trail_of(store.database)),)]
    await store.database.write(lambda connection: _limit(connection, 10_000))
    await store.request()


@pytest.mark.fault("F12")
async def test_a_file_that_cannot_be_written(store: Store) -> None:
    await store.trail.append(DENIED)
    database = open_database(make_url(f"sqlite:///file:{store.url.database}?mode=ro&uri=true"))
    readonly = Store(store.url, database)

    with pytest.raises(DatabaseReadOnly, match="refuses writes"):
        await readonly.request()

    assert await readonly.rotations.get(RotationId("rotation0000")) is None
    await database.close()


async def test_a_folder_that_is_not_there_is_told(store: Store) -> None:
    database = open_database(make_url("sqlite:////nowhere/bot.db"))

    with pytest.raises(DatabaseUnavailable, match="cannot be opened"):
        await Store(store.url, database).request()

    await database.close()


async def test_a_file_that_is_no_database_is_told(store: Store) -> None:
    await store.database.close()
    for end in ("-wal", "-shm"):
        assert not _file(store, end).exists()
    _file(store).write_text("not what you think" * 1000)
    database = open_database(store.url)

    with pytest.raises(DatabaseError, match="cannot be opened"):
        await Store(store.url, database).request()

    await database.close()


async def test_a_caller_who_goes_away_does_not_stop_what_has_begun(store: Store) -> None:
    waiting = asyncio.ensure_future(store.trail.append(DENIED))
    await asyncio.sleep(0)
    waiting.cancel()

    await store.trail.append(DENIED)

    assert len(await shell.trail_of(store.database)) in {1, 2}


async def _requests_without_end(store: Store) -> None:
    for number in count():
        await store.request(f"group-{number}")


def _file(store: Store, end: str = "") -> Path:
    return Path(f"{store.url.database}{end}")


def _no_more_pages(connection: Connection) -> None:
    pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    _limit(connection, pages + 2)


def _limit(connection: Connection, pages: int) -> None:
    connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
