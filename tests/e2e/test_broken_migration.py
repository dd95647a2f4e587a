"""A migration that did not get to its end leaves nothing, and the bot does not serve."""

import asyncio
from pathlib import Path

import pytest

from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from tests.databases import load_url, tables
from tests.process import BotProcess, run, settings_for
from tests.store import shell

pytestmark = pytest.mark.modes("http")


@pytest.fixture
def settings(slack: LocalSlack, turso: LocalTurso, empty_database_url: str, mode: str) -> dict[str, str]:
    """Give the settings for a database that nobody has migrated."""
    return settings_for(slack, turso, empty_database_url, mode=mode)


@pytest.mark.fault("F31")
async def test_a_half_applied_migration_is_refused_and_can_be_repeated(
    settings: dict[str, str], tmp_path: Path
) -> None:
    url = load_url(settings["DATABASE_URL"])
    shell.run(url, "CREATE TABLE outbox (id INTEGER)")  # the last table of the first migration is in the way
    migrated, _, why = await run(settings, tmp_path, "migrate")
    left = await asyncio.to_thread(tables, url)
    served, _, advice = await run(settings, tmp_path, "serve")
    both, _, _ = await run(settings, tmp_path, "serve", "--migrate")
    shell.run(url, "DROP TABLE outbox")
    again, _, _ = await run(settings, tmp_path, "migrate")
    async with BotProcess(tmp_path, settings) as bot:
        await bot.logs("serving")

    assert (migrated, served, both, again) == (1, 1, 1, 0)
    assert "The database's tables do not match its schema version." in why
    assert "run `turso-rotate migrate`" in advice
    assert "Traceback" not in why + advice
    assert left == {"outbox"}
