"""PostgreSQL gone, silent, locked or busy: a clear word in time, nothing twice, and back by itself (F10, F13, F38)."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from functools import partial

import pytest
from sqlalchemy import Connection, create_engine, make_url, text

from bot.domain.errors import DatabaseError, DatabaseReadOnly, DatabaseUnavailable, SchemaMismatch
from bot.domain.events import Action, Event
from bot.store.database import WRITERS, open_database
from bot.store.driver_errors import NO_ANSWER
from bot.store.timeouts import TRANSACTION_SECONDS
from bot.store.trail import _LOCK_HEAD, record
from bot.trail.chain import UNKEYED
from tests.postgres import PostgresServer
from tests.proxy import Proxy
from tests.store import shell
from tests.store.conftest import ACME, ALICE, Store

pytestmark = pytest.mark.databases("postgresql")

BOUND = TRANSACTION_SECONDS + 0.5
DENIED = Event(Action.DENIED, ALICE, ACME)


@pytest.fixture
async def proxy(store: Store) -> AsyncIterator[Proxy]:
    async with Proxy(store.url.port or 0) as between:
        yield between


@pytest.fixture
async def far(store: Store, proxy: Proxy) -> AsyncIterator[Store]:
    """Open the same database behind a network that can fail."""
    url = store.url.set(port=proxy.port)
    database = open_database(url)
    yield Store(url, database)
    await database.close()


@pytest.mark.fault("F10")
async def test_a_server_that_stopped_is_told_and_comes_back(store: Store, postgres_server: PostgresServer) -> None:
    rotation = await store.request()
    postgres_server.stop()

    assert await _refused(store.request()) < BOUND
    assert await _refused(store.rotations.get(rotation.id)) < BOUND

    postgres_server.start()
    assert await store.rotations.get(rotation.id) == rotation
    await store.request()


@pytest.mark.fault("F10")
async def test_a_frozen_server_is_told_and_comes_back(store: Store, postgres_server: PostgresServer) -> None:
    rotation = await store.request()

    with postgres_server.paused():
        waited = await asyncio.gather(*(_refused(store.request()) for _ in range(3)))

    assert max(waited) < BOUND
    await _back(store.rotations.get(rotation.id))


@pytest.mark.fault("F10")
async def test_a_silent_network_is_told_and_comes_back(store: Store, far: Store, proxy: Proxy) -> None:
    rotation = await far.request()
    proxy.stalls()

    waited = await asyncio.gather(*(_refused(far.trail.append(DENIED)) for _ in range(2 * WRITERS)))
    await store.trail.append(DENIED)  # nobody else is held up
    await proxy.resumes()
    began = time.monotonic()
    await _until_it_works(far, 15)

    assert max(waited) < BOUND
    assert time.monotonic() - began < 15
    assert await far.rotations.get(rotation.id) == rotation


@pytest.mark.fault("F10")
async def test_connections_that_are_cut_come_back(far: Store, proxy: Proxy) -> None:
    await asyncio.gather(*(far.trail.append(DENIED) for _ in range(WRITERS)))
    await proxy.cuts()
    assert await _refused(far.trail.append(DENIED)) < BOUND

    await proxy.resumes()

    await _until_it_works(far, 5)


@pytest.mark.fault("F13")
async def test_a_restart_under_load_loses_and_doubles_nothing(store: Store, postgres_server: PostgresServer) -> None:
    under_load, stop = asyncio.Event(), asyncio.Event()
    said_yes: list[str] = []

    async def append(worker: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            mark = f"{worker}-{number}"
            try:
                await store.trail.append(Event(Action.DENIED, ALICE, ACME, delivery=mark))
            except DatabaseError:
                await asyncio.sleep(0.05)
            else:
                said_yes.append(mark)
                if number > 10:
                    under_load.set()

    workers = [asyncio.ensure_future(append(number)) for number in range(6)]
    await _back(under_load.wait())
    await asyncio.to_thread(postgres_server.restart)
    await _until_it_works(store, 10)
    stop.set()
    await asyncio.gather(*workers)

    found = await shell.rows(store.database, "SELECT seq, delivery FROM audit_events ORDER BY seq")
    assert set(said_yes) <= {delivery for _, delivery in found}
    assert [seq for seq, _ in found] == list(range(1, len(found) + 1))


@pytest.mark.fault("F38")
async def test_a_locked_table_is_told_within_a_second_or_so(store: Store) -> None:
    rotation = await store.request()
    engine = create_engine(store.url)
    with engine.begin() as other:
        other.execute(text("LOCK TABLE rotations"))
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailable, match="locked"):
            await store.rotations.get(rotation.id)
        waited = time.monotonic() - began
    engine.dispose()

    assert waited < 1.5
    assert await store.rotations.get(rotation.id) == rotation


@pytest.mark.fault("F38")
async def test_a_turn_at_the_trail_that_never_comes_is_told(store: Store) -> None:
    engine = create_engine(store.url)
    with engine.begin() as other:
        other.execute(_LOCK_HEAD["postgresql"])
        waited = await asyncio.gather(*(_refused(store.request()) for _ in range(2 * WRITERS)))
    engine.dispose()

    assert max(waited) < BOUND
    assert await shell.rows(store.database, "SELECT count(*) FROM rotations") == [(0,)]


async def test_what_the_server_refuses_is_told_as_what_it_is(store: Store) -> None:
    shell.run(store.url, "ALTER TABLE outbox RENAME TO gone")
    with pytest.raises(SchemaMismatch):
        await store.outbox.any_due()

    shell.run(store.url, "ALTER TABLE gone RENAME TO outbox")
    shell.run(store.url, f"ALTER DATABASE {store.url.database} SET default_transaction_read_only = on")
    database = open_database(store.url)
    with pytest.raises(DatabaseReadOnly):
        await Store(store.url, database).request()
    await database.close()


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("42P05", DatabaseUnavailable, "prepare_threshold=none"),
        ("26000", DatabaseUnavailable, "prepare_threshold=none"),
        ("08P01", DatabaseUnavailable, "not by statement"),
        ("42P07", SchemaMismatch, "do not match"),
        ("40P01", DatabaseUnavailable, "Please try again"),
        ("53100", DatabaseReadOnly, "disk is full"),
        ("XX000", DatabaseUnavailable, "does not answer"),
    ],
)
@pytest.mark.fault("F50")
async def test_errors_are_told_by_their_codes(store: Store, code: str, kind: type[DatabaseError], words: str) -> None:
    raising = f"DO $$BEGIN RAISE 'locked, read-only, already exists' USING ERRCODE = '{code}'; END$$"

    with pytest.raises(kind, match=words):
        await store.database.write(lambda connection: connection.exec_driver_sql(raising))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"port": 1}, "does not answer"),
        ({"database": "nowhere"}, "There is no such database"),
        ({"username": "nobody"}, "login"),
    ],
)
async def test_a_server_that_lets_nobody_in_is_told(store: Store, change: dict[str, object], words: str) -> None:
    database = open_database(make_url(store.url).set(**change))  # type: ignore[arg-type]

    with pytest.raises(DatabaseUnavailable, match=words) as told:
        await Store(store.url, database).request()

    assert str(store.url.port) not in str(told.value)
    await database.close()


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"port": 1}, "Connection refused"),
        ({"host": "nowhere.invalid"}, "nowhere.invalid"),
        ({"query": {"host": "/nowhere"}}, "/nowhere"),
        ({"query": {"sslmode": "require"}}, "server does not support SSL"),
        ({"query": {"target_session_attrs": "standby"}}, "server is not in hot standby mode"),
        ({"query": {"sslmode": "hunter2"}, "password": "hunter2"}, 'invalid sslmode value: "[redacted]"'),
    ],
)
async def test_why_it_cannot_connect_is_told_to_operators_only(
    store: Store, change: dict[str, object], cause: str
) -> None:
    database = open_database(make_url(store.url).set(**change))  # type: ignore[arg-type]

    with pytest.raises(DatabaseUnavailable) as told:
        await Store(store.url, database).request()

    assert str(told.value) == NO_ANSWER
    assert cause in told.value.cause
    assert "\n" not in told.value.cause
    await database.close()


async def test_a_role_that_may_not_connect_and_one_that_may_not_read_are_told_apart(store: Store) -> None:
    shell.run(store.url, "DROP ROLE IF EXISTS outsider", "CREATE ROLE outsider LOGIN")
    shell.run(store.url, "GRANT SELECT ON alembic_version TO outsider")
    reader = open_database(store.url.set(username="outsider"))
    with pytest.raises(DatabaseReadOnly, match=r"lacks .*SELECT on rotations"):
        await reader.read(lambda connection: connection.exec_driver_sql("SELECT * FROM rotations"))
    await reader.close()
    shell.run(store.url, f'REVOKE CONNECT ON DATABASE "{store.url.database}" FROM PUBLIC')
    outsider = open_database(store.url.set(username="outsider"))
    with pytest.raises(DatabaseUnavailable, match="may not connect"):
        await outsider.read(lambda connection: connection.exec_driver_sql("SELECT 1"))
    await outsider.close()
    shell.run(store.url, "DROP OWNED BY outsider", "DROP ROLE outsider")


async def _refused(asked: Awaitable[object]) -> float:
    """Return the seconds until it was said that the database is not available."""
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailable):
        await asked
    return time.monotonic() - began


async def _back(asked: Awaitable[object]) -> None:
    async with asyncio.timeout(15):
        await asked


async def _until_it_works(store: Store, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while True:
            try:
                await store.trail.append(DENIED)
            except DatabaseError:
                await asyncio.sleep(0.1)
            else:
                return


@pytest.mark.fault("F46")
@pytest.mark.law(1)
async def test_a_commit_with_an_event_waits_for_the_disk_at_least(store: Store) -> None:
    def committed_as(connection: Connection, setting: str) -> str:
        connection.exec_driver_sql(f"SET LOCAL synchronous_commit = '{setting}'")
        record(connection, UNKEYED, DENIED)
        return str(connection.exec_driver_sql("SHOW synchronous_commit").scalar())

    settings = ("off", "local", "on", "remote_write", "remote_apply")
    found = [await store.database.write(partial(committed_as, setting=setting)) for setting in settings]

    assert found == ["on", "on", "on", "remote_write", "remote_apply"]
