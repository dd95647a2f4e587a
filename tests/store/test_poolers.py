"""PostgreSQL behind a pooler: each transaction may meet another session, and the pooler keeps settings from all."""

import asyncio
import time
from collections.abc import AsyncIterator

import psycopg
import pytest
from sqlalchemy import Connection, text

from bot.domain.errors import DatabaseUnavailable
from bot.domain.events import Action, Event
from bot.store.database import open_database
from bot.store.inspection import is_pooled
from bot.store.migrations import migrate
from bot.store.snapshot import open_snapshot
from bot.store.timeouts import LOCK_SECONDS, TRANSACTION_SECONDS
from tests.databases import load_url
from tests.pooler import POOLERS, Mode, pooler
from tests.postgres import PostgresServer
from tests.store import shell
from tests.store.conftest import ACME, ALICE, Store

pytestmark = [pytest.mark.databases("postgresql"), pytest.mark.fault("F50")]

DENIED = Event(Action.DENIED, ALICE, ACME)
LIMITS = "SELECT current_setting('lock_timeout'), current_setting('statement_timeout'), current_setting('search_path')"


@pytest.fixture(params=POOLERS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[("session", False), ("transaction", False), ("transaction", True)], ids=str)
async def pooled(
    request: pytest.FixtureRequest, kind: str, store: Store, postgres_server: PostgresServer
) -> AsyncIterator[Store]:
    """Open the database behind a pooler that refuses the bot's settings, or drops them."""
    mode: Mode
    mode, drops_options = request.param
    shell.run(store.url, f"ALTER DATABASE {store.url.database} SET default_transaction_isolation = serializable")
    async with pooler(kind, postgres_server.port, mode, drops_options=drops_options) as port:
        url = store.url.set(port=port).update_query_dict({"options": "-c search_path=public,pg_temp"})
        database = open_database(url)
        yield Store(url, database)
        await database.close()


def limits(connection: Connection) -> list[str]:
    return [str(value) for value in connection.execute(text(LIMITS)).one()]


async def test_every_transaction_has_its_limits_and_none_meets_anothers_statements(pooled: Store) -> None:
    grant = await pooled.grant()
    found = [await way(limits) for way in (pooled.database.read, pooled.database.write) for _ in range(4)]
    for number in range(8):  # more often than the driver waits before it prepares a statement
        rotation = await pooled.request(f"group-{number}")
        assert await pooled.claim(rotation, grant, claim=str(number)) is not None
        assert await pooled.rotations.get(rotation.id) is not None
    await asyncio.gather(*(pooled.trail.append(DENIED) for _ in range(20)))

    assert found == [["1s", "2s", "public,pg_temp, pg_temp"]] * 8
    assert len(await shell.trail_of(pooled.database)) == 1 + 2 * 8 + 20
    assert await pooled.database.read(is_pooled)


@pytest.mark.parametrize(("kind", "pooled"), [(POOLERS[-1], ("transaction", True))], indirect=True)
async def test_a_lock_is_waited_for_no_longer_than_without_a_pooler(pooled: Store, store: Store) -> None:
    await store.grant()
    async with await psycopg.AsyncConnection.connect(store.url.render_as_string().replace("+psycopg", "")) as holder:
        await holder.execute("SELECT FROM allowlist FOR SHARE")
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailable, match="locked by another session"):
            await pooled.grants.revoke(ALICE, None, Event(Action.REVOKED, ALICE, ACME))
        waited = time.monotonic() - began

    assert LOCK_SECONDS <= waited < TRANSACTION_SECONDS


async def test_migrations_and_snapshots_leave_nothing_behind(
    kind: str, empty_postgres_url: str, postgres_server: PostgresServer
) -> None:
    url = load_url(empty_postgres_url)
    async with pooler(kind, postgres_server.port, "transaction") as port:
        between = url.set(port=port)
        await asyncio.to_thread(migrate, between)
        await asyncio.to_thread(migrate, between)
        found = await asyncio.to_thread(_in_snapshot, between)
        with psycopg.connect(empty_postgres_url) as owner:
            locks = owner.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone()

    assert found == ["30s", "0", '"$user", public, pg_temp']
    assert locks == (0,)


def _in_snapshot(url: object) -> list[str]:
    with open_snapshot(url) as snapshot:  # type: ignore[arg-type]
        return limits(snapshot)
