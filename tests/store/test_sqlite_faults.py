"""SQLite locked, full or read-only: a clear word in time, no half row, and back by itself (F12, F38)."""

import asyncio
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import Connection, make_url, text

from bot.domain.errors import CommitUnconfirmed, DatabaseError, DatabaseReadOnly, DatabaseUnavailable
from bot.domain.events import Action, Event
from bot.domain.models import RotationId
from bot.domain.states import State
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


@pytest.mark.fault("F55")
@pytest.mark.parametrize("replaced", [False, True], ids=["removed", "replaced"])
async def test_a_file_that_is_another_one_is_left_alone_until_it_is_back(
    store: Store, tmp_path: Path, *, replaced: bool
) -> None:
    path, other, away = str(store.url.database), tmp_path / "other.db", tmp_path / "away.db"
    shutil.copyfile(path, other)
    before = await store.trail.head()
    shutil.move(path, away)
    if replaced:
        shutil.move(other, path)
    for use in (store.request, store.trail.head):
        with pytest.raises(DatabaseUnavailable, match="file was removed or replaced while the bot was running"):
            await use()
    made = os.path.exists(path)  # noqa: ASYNC240, PTH110 - for a moment
    shutil.move(away, path)

    assert made is replaced
    assert await store.trail.head() == before
    assert (await store.request()).state is State.REQUESTED


@pytest.mark.fault("F55")
async def test_without_its_log_nothing_more_is_written_and_what_was_is_saved(store: Store, tmp_path: Path) -> None:
    for group in ("one", "two"):
        await store.request(group)
    shutil.move(f"{store.url.database}-wal", tmp_path / "removed")
    for use in (store.request, store.trail.head):
        with pytest.raises(DatabaseUnavailable, match=r"write-ahead log .* was removed or replaced"):
            await use()
    await store.database.close()

    with closing(sqlite3.connect(str(store.url.database))) as file:
        assert file.execute("SELECT max(seq) FROM audit_events").fetchone() == (2,)


@pytest.mark.fault("F55")
async def test_a_database_that_went_back_in_time_is_not_written_to_until_it_is_back(
    store: Store, tmp_path: Path
) -> None:
    def restores(one: Path, other: Path) -> None:
        with closing(sqlite3.connect(one)) as source, closing(sqlite3.connect(other)) as target:
            source.backup(target)

    path, old, new = Path(str(store.url.database)), tmp_path / "old.db", tmp_path / "new.db"
    await store.request("one")
    restores(path, old)
    await store.request("two")
    head = await store.trail.head()
    restores(path, new)
    restores(old, path)
    for use in (store.request, store.trail.head):
        with pytest.raises(DatabaseUnavailable, match=r"went back in time .*: row 2 of the audit trail is gone"):
            await use()
    restores(new, path)

    assert await store.trail.head() == head
    assert (await store.request("three")).state is State.REQUESTED
