"""The bot's own sessions: they differ from what a server sets for others, and are given up if they cannot write."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import cast

import psycopg
import pytest
from sqlalchemy import Connection, event, make_url, text

from bot.domain.errors import CommitUnconfirmed, DatabaseReadOnly, DatabaseUnavailable
from bot.domain.events import Action, Event
from bot.store.database import _ThreadedDatabase, open_database
from bot.store.migrations import exclusive_transaction
from bot.store.snapshot import open_snapshot
from tests.postgres import PostgresServer
from tests.proxy import Proxy
from tests.store import shell
from tests.store.conftest import ACME, ALICE, Store

DENIED = Event(Action.DENIED, ALICE, ACME)
ISOLATION = "SELECT current_setting('transaction_isolation')"


def isolation(connection: Connection) -> str:
    return str(connection.execute(text(ISOLATION)).scalar_one())


@pytest.mark.databases("postgresql")
class TestPostgresql:
    @pytest.fixture
    async def strict(self, store: Store, request: pytest.FixtureRequest) -> AsyncIterator[Store]:
        """Open a database that isolates transactions more than the bot needs."""
        level = request.param
        shell.run(store.url, f"ALTER DATABASE {store.url.database} SET default_transaction_isolation = '{level}'")
        database = open_database(store.url)
        yield Store(store.url, database)
        await database.close()

    @pytest.mark.fault("F47")
    @pytest.mark.parametrize("strict", ["serializable", "repeatable read"], indirect=True)
    async def test_twenty_refusals_at_once_leave_twenty_rows(self, strict: Store) -> None:
        await asyncio.gather(*(strict.trail.append(DENIED) for _ in range(20)))

        assert await shell.trail_of(strict.database) == ["rotation.denied"] * 20

    @pytest.mark.fault("F47")
    @pytest.mark.parametrize("strict", ["serializable"], indirect=True)
    async def test_each_session_isolates_as_the_bot_expects(self, strict: Store) -> None:
        with exclusive_transaction(strict.url) as migrating, open_snapshot(strict.url) as reading:
            levels = [isolation(migrating), isolation(reading)]
        levels += [await strict.database.write(isolation), await strict.database.read(isolation)]

        assert levels == ["read committed", "repeatable read", "read committed", "read committed"]

    @pytest.mark.fault("F49")
    async def test_what_the_url_says_holds_in_each_session_unless_the_bot_must_differ(self, store: Store) -> None:
        given = {"host": "127.0.0.1,127.0.0.1", "port": f"1,{store.url.port}", "prepare_threshold": "0"}
        given |= {"application_name": "mine", "connect_timeout": "600", "options": "-c work_mem=1MB --lock-timeout=9"}
        database = open_database(store.url.update_query_dict(given))
        names = ("application_name", "work_mem", "lock_timeout")
        shown = text(", ".join(["SELECT 1", *(f"current_setting('{name}')" for name in names)]))
        ways = (database.read, database.write)

        found = [await way(lambda connection: tuple(connection.execute(shown).one())) for way in ways]

        assert found == [(1, "mine", "1MB", "1s")] * 2
        await database.close()

    @pytest.mark.fault("F48")
    async def test_a_session_that_may_not_write_is_replaced_once_others_may(self, store: Store) -> None:
        refusing = f"ALTER DATABASE {store.url.database} SET default_transaction_read_only"
        shell.run(store.url, f"{refusing} = on")
        database = open_database(store.url)
        bot = Store(store.url, database)
        for _ in range(2):  # one session for each writer
            with pytest.raises(DatabaseReadOnly, match="default_transaction_read_only is on"):
                await bot.trail.append(DENIED)
        with pytest.raises(DatabaseReadOnly, match="default_transaction_read_only is on"):
            await database.check_writable()
        with psycopg.connect(store.url.render_as_string().replace("+psycopg", ""), autocommit=True) as owner:
            owner.execute("SET default_transaction_read_only = off")
            owner.execute(f"{refusing} = off".encode())

        await database.check_writable()
        await asyncio.gather(*(bot.trail.append(DENIED) for _ in range(4)))
        await database.close()

    @pytest.mark.fault("F48")
    async def test_a_standby_is_told_as_one_and_takes_writes_once_it_is_promoted(
        self, store: Store, postgres_server: PostgresServer
    ) -> None:
        await store.trail.append(DENIED)
        with postgres_server.as_standby():
            with pytest.raises(DatabaseReadOnly, match="it is a standby in recovery"):
                await store.database.check_writable()
            with pytest.raises(DatabaseReadOnly, match="it is a standby in recovery"):
                await store.trail.append(DENIED)
            read = await shell.trail_of(store.database)
        await store.trail.append(DENIED)

        assert read == ["rotation.denied"]
        assert len(await shell.trail_of(store.database)) == 2

    @pytest.mark.fault("F48")
    async def test_a_role_without_a_right_is_told_apart(self, store: Store) -> None:
        shell.run(
            store.url,
            "DROP ROLE IF EXISTS reader",
            "CREATE ROLE reader LOGIN",
            "GRANT INSERT ON audit_events TO reader",
        )
        database = open_database(store.url.set(username="reader"))

        with pytest.raises(DatabaseReadOnly, match=r"The bot's role lacks .*INSERT on outbox, .*UPDATE on rotations"):
            await database.check_writable()

        await database.close()
        shell.run(store.url, "DROP OWNED BY reader", "DROP ROLE reader")

    @pytest.mark.fault("F52")
    async def test_a_lock_of_another_session_is_told_as_one(self, store: Store) -> None:
        grant = await store.grant()
        rotation = await store.request()
        url = store.url.render_as_string().replace("+psycopg", "")
        async with await psycopg.AsyncConnection.connect(url) as thief:
            await thief.execute("SELECT FROM allowlist FOR SHARE")
            with pytest.raises(DatabaseUnavailable, match="another session; pg_stat_activity shows which") as removing:
                await store.grants.revoke(ALICE, None, Event(Action.REVOKED, ALICE, ACME))
            await thief.execute("SELECT FROM rotations FOR UPDATE")
            with pytest.raises(DatabaseUnavailable, match="another session") as claiming:
                await store.claim(rotation, grant)

        assert not isinstance(removing.value, CommitUnconfirmed)
        assert not isinstance(claiming.value, CommitUnconfirmed)
        assert await store.claim(rotation, grant) is not None

    @pytest.mark.fault("F10")
    async def test_only_a_commit_without_an_answer_leaves_a_doubt(
        self, store: Store, postgres_server: PostgresServer
    ) -> None:
        async with Proxy(postgres_server.port) as line:
            database = open_database(store.url.set(port=line.port))
            far = Store(store.url, database)
            await far.trail.append(DENIED)
            line.stalls_after(b"COMMIT\0")
            with pytest.raises(CommitUnconfirmed):
                await far.trail.append(DENIED)
            await line.cuts()
            with pytest.raises(DatabaseUnavailable) as refused:
                await far.trail.append(DENIED)
            await database.close()

        assert not isinstance(refused.value, CommitUnconfirmed)
        assert len(await shell.trail_of(store.database)) == 2


@pytest.mark.databases("sqlite")
class TestSqlite:
    @pytest.mark.fault("F48")
    async def test_a_file_that_may_only_be_read_is_told_without_a_lock(self, store: Store) -> None:
        database = open_database(make_url(f"sqlite:///file:{store.url.database}?mode=ro&uri=true"))

        await store.database.check_writable()
        with pytest.raises(DatabaseReadOnly, match="refuses writes"):
            await database.check_writable()

        await database.close()

    @pytest.mark.fault("F12")
    async def test_a_commit_that_is_under_way_when_its_caller_gives_up_leaves_a_doubt(self, store: Store) -> None:
        database, disk = open_database(store.url), threading.Event()
        writers = cast("_ThreadedDatabase", database)._writers
        event.listen(writers._engine, "commit", lambda _: disk.wait())  # as long as a disk that hangs
        try:
            with pytest.raises(CommitUnconfirmed):
                await Store(store.url, database).trail.append(DENIED)
        finally:
            disk.set()
            await database.close()

        assert await shell.trail_of(store.database) == ["rotation.denied"]
