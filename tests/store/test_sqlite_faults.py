"""SQLite locked, full or read-only: a clear word in time, no half row, and back by itself (F12, F38)."""

import asyncio
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import URL, Connection, make_url, text

from bot.domain.errors import CommitUnconfirmed, DatabaseError, DatabaseReadOnly, DatabaseUnavailable
from bot.domain.events import Action, Event
from bot.domain.models import RotationId
from bot.domain.states import State
from bot.store.database import open_database
from bot.store.driver_errors import committing, translated_errors
from bot.store.migrations import migrate
from bot.store.schema import check_schema
from bot.store.snapshot import open_snapshot
from bot.store.timeouts import TRANSACTION_SECONDS
from tests.store import shell
from tests.store.conftest import ACME, ALICE, Store

pytestmark = pytest.mark.databases("sqlite")

DENIED = Event(Action.DENIED, ALICE, ACME)
TOLERANCE = 0.5


@pytest.fixture(params=["plain", "uri", "link"])
async def named(request: pytest.FixtureRequest, store: Store, tmp_path: Path) -> AsyncIterator[Store]:
    """Open the file under each kind of name that it may have."""
    path = Path(shutil.move(_file(store), tmp_path / "my bot.db"))
    url, link = make_url(f"sqlite:///{path}"), tmp_path / "elsewhere" / "bot.db"
    if request.param == "uri":
        url = make_url(f"sqlite:///file:{quote(str(path))}?mode=rw&uri=true")
    if request.param == "link":
        link.parent.mkdir()
        link.symlink_to(path)
        url = make_url(f"sqlite:///{link}")
    database = open_database(url)
    yield Store(make_url(f"sqlite:///{path}"), database)
    await database.close()


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
        with pytest.raises(DatabaseUnavailable, match="locked by another process; `fuser FILE`"):
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

    with pytest.raises(DatabaseUnavailable, match=r"There is no file /nowhere/bot.db: .* turso-rotate migrate"):
        await Store(store.url, database).request()

    await database.close()


async def test_a_file_that_is_no_database_is_told(store: Store) -> None:
    await store.database.close()
    for end in ("-wal", "-shm"):
        assert not _file(store, end).exists()
    _file(store).write_text("not what you think" * 1000)
    database = open_database(store.url)

    with pytest.raises(DatabaseError, match="damaged: restore a backup"):
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
    named: Store, tmp_path: Path, *, replaced: bool
) -> None:
    path, other, away = str(named.url.database), tmp_path / "other.db", tmp_path / "away.db"
    shutil.copyfile(path, other)
    before = await named.trail.head()
    shutil.move(path, away)
    if replaced:
        shutil.move(other, path)
    for use in (named.request, named.trail.head):
        with pytest.raises(DatabaseUnavailable, match="file was removed or replaced while the bot was running"):
            await use()
    made = os.path.exists(path)  # noqa: ASYNC240, PTH110 - for a moment
    shutil.move(away, path)

    assert made is replaced
    assert await named.trail.head() == before
    assert (await named.request()).state is State.REQUESTED


@pytest.mark.fault("F55")
@pytest.mark.parametrize(("end", "what"), [("-wal", "write-ahead log"), ("-shm", "shared memory")])
async def test_without_its_log_or_shared_memory_nothing_more_is_written_and_what_was_is_saved(
    named: Store, tmp_path: Path, end: str, what: str
) -> None:
    for group in ("one", "two"):
        await named.request(group)
    shutil.move(f"{named.url.database}{end}", tmp_path / "removed")
    for use in (named.request, named.trail.head):
        with pytest.raises(DatabaseUnavailable, match=f"{what} .* was removed or replaced"):
            await use()
    await named.database.close()

    with closing(sqlite3.connect(str(named.url.database))) as file:
        assert file.execute("SELECT max(seq) FROM audit_events").fetchone() == (2,)


@pytest.mark.fault("F55")
async def test_a_link_that_leads_elsewhere_is_noticed(store: Store, tmp_path: Path) -> None:
    path, link = Path(str(store.url.database)), tmp_path / "link.db"
    link.symlink_to(path)
    database = open_database(make_url(f"sqlite:///{link}"))
    linked = Store(store.url, database)
    await linked.request()
    other = shutil.copyfile(path, tmp_path / "other.db")
    link.unlink()
    link.symlink_to(other)

    with pytest.raises(DatabaseUnavailable, match="file was removed or replaced"):
        await linked.request()
    await database.close()


@pytest.mark.fault("F55")
async def test_what_is_removed_with_the_last_connection_is_not_missed(store: Store) -> None:
    await store.request()
    await store.database.close()
    for end in ("-wal", "-shm"):
        assert not _file(store, end).exists()

    reopened = open_database(store.url)
    await Store(store.url, reopened).trail.append(DENIED)
    await reopened.close()


@pytest.mark.fault("F55")
async def test_a_database_that_went_back_in_time_is_not_written_to_until_it_is_back(
    named: Store, tmp_path: Path
) -> None:
    def restores(one: Path, other: Path) -> None:
        with closing(sqlite3.connect(one)) as source, closing(sqlite3.connect(other)) as target:
            source.backup(target)

    path, old, new = Path(str(named.url.database)), tmp_path / "old.db", tmp_path / "new.db"
    await named.request("one")
    restores(path, old)
    await named.request("two")
    head = await named.trail.head()
    restores(path, new)
    restores(old, path)
    for use in (named.request, named.trail.head):
        with pytest.raises(DatabaseUnavailable, match=r"went back in time .*: row 2 of the audit trail is gone"):
            await use()
    restores(new, path)

    assert await named.trail.head() == head
    assert (await named.request("three")).state is State.REQUESTED


@pytest.mark.fault("F55")
@pytest.mark.parametrize("use", ["pool", "snapshot"])
async def test_reading_makes_no_file_and_leaves_the_log_of_one_that_was_moved_away(
    store: Store, tmp_path: Path, use: str
) -> None:
    await store.request()
    path, away = _file(store), tmp_path / "away.db"
    shutil.move(path, away)
    log = _file(store, "-wal").read_bytes()
    with pytest.raises(
        DatabaseUnavailable, match=f"There is no file {path}: to create a new database, run turso-rotate migrate"
    ):
        await _opens(store.url, use)
    with pytest.raises(DatabaseUnavailable, match=r"but its log .*-wal is not"):
        migrate(store.url)

    assert not _file(store).exists()
    assert _file(store, "-wal").read_bytes() == log
    shutil.move(away, path)
    assert len(await shell.trail_of(store.database)) == 1


@pytest.mark.fault("F55")
@pytest.mark.parametrize("use", ["pool", "snapshot"])
@pytest.mark.parametrize(
    ("name", "words"), [("empty.db", "empty.db is empty: to create"), ("/dev/full", "not a regular file"), (".", "not")]
)
async def test_what_is_no_database_is_told(tmp_path: Path, name: str, words: str, use: str) -> None:
    (tmp_path / "empty.db").touch()

    with pytest.raises(DatabaseUnavailable, match=words):
        await _opens(make_url(f"sqlite:///{tmp_path / name}"), use)


@pytest.mark.fault("F55")
@pytest.mark.parametrize("given", ["rwc", "rw", None])
async def test_migrate_creates_a_file_where_it_may(tmp_path: Path, given: str | None) -> None:
    path = tmp_path / "new 100%.db"
    url = make_url(f"sqlite:///file:{quote(str(path))}?mode={given}&uri=true" if given else f"sqlite:///{path}")
    if given == "rw":
        with pytest.raises(DatabaseUnavailable, match="mode=rw in DATABASE_URL lets nobody create it"):
            migrate(url)
    else:
        migrate(url)
        await _opens(url, "pool")

    assert path.exists() is (given != "rw")


@pytest.mark.fault("F12")
async def test_damage_is_told(store: Store) -> None:
    await store.request()
    await store.database.close()
    with _file(store).open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 50 * 4096)
    database = open_database(store.url)

    with pytest.raises(DatabaseUnavailable, match=r"The database file is damaged: restore a backup \(docs/backup.md\)"):
        await Store(store.url, database).request()
    await database.close()


@pytest.mark.fault("F12")
async def test_a_disk_with_errors_is_told_and_proves_nothing_about_a_commit() -> None:
    def fails() -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR | (4 << 8)
        raise error

    with pytest.raises(DatabaseUnavailable, match="The disk of the database reports errors"), translated_errors():
        fails()
    with pytest.raises(CommitUnconfirmed), committing():
        fails()


async def _opens(url: URL, use: str) -> None:
    if use == "snapshot":
        with open_snapshot(url):
            return
    database = open_database(url)
    try:
        await check_schema(database)
    finally:
        await database.close()
