"""A server whose commits may be lost in a crash: those of the audit trail are not."""

import asyncio
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from bot.sandbox.faults import Hang
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from tests.databases import load_url
from tests.e2e.conftest import ALICE, Stories, asks, connect, end_leases, id_on
from tests.postgres import PostgresServer
from tests.process import BotProcess

pytestmark = [pytest.mark.databases("postgresql"), pytest.mark.modes("socket")]

CONFIRM = "rotation:confirm"


@pytest.fixture
def hasty(postgres_server: PostgresServer, database_url: str) -> Iterator[None]:
    """Let commits wait for no disk, and let nothing else write them there for ten seconds."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        name = sql.Identifier(str(load_url(database_url).database))
        connection.execute(sql.SQL("ALTER DATABASE {} SET synchronous_commit = off").format(name))
        connection.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
        connection.execute("SELECT pg_reload_conf()")
    yield
    postgres_server.start()
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM RESET wal_writer_delay")
        connection.execute("SELECT pg_reload_conf()")


@pytest.mark.fault("F46")
@pytest.mark.law(1)
@pytest.mark.usefixtures("hasty")
async def test_a_claim_survives_a_crash_of_a_server_that_is_not_set_to_keep_commits(
    slack: LocalSlack,
    turso: LocalTurso,
    bot: BotProcess,
    settings: dict[str, str],
    stories: Stories,
    postgres_server: PostgresServer,
) -> None:
    card = await asks(slack, ALICE, "payments")
    turso.inject(Hang())
    await slack.presses(ALICE, card, CONFIRM)
    await turso.reached()
    await asyncio.to_thread(postgres_server.stop)
    await bot.kills()
    await asyncio.to_thread(postgres_server.start)
    kept = (await stories()).get(id_on(card))
    await end_leases(settings)
    await bot.start()
    await connect(slack, bot, settings)
    await slack.presses(ALICE, card, CONFIRM)
    await slack.sees(ALICE, "Unknown: the tokens of payments may have been rotated", timeout=15)

    assert kept == ["rotation.requested", "rotation.started"]
    assert turso.calls_to_rotate() == 1
