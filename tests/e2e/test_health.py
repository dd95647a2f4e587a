"""What `/readyz` and `/healthz` say about a bot that is well, and about one that lacks something."""

import asyncio
from dataclasses import dataclass

import pytest
from aiohttp import ClientSession

from bot.sandbox.local_slack import LocalSlack
from tests.databases import load_url
from tests.postgres import PostgresServer
from tests.process import BotProcess
from tests.store import shell

pytestmark = pytest.mark.modes("http")

ALIVE = (200, {"status": "alive"})
READY = (200, {"status": "ready", "problems": [], "warnings": []})


@dataclass(frozen=True)
class Health:
    """What a probe of Kubernetes sees."""

    bot: BotProcess

    async def alive(self) -> tuple[int, object]:
        return await self._asks("healthz")

    async def ready(self) -> tuple[int, object]:
        return await self._asks("readyz")

    async def _asks(self, page: str) -> tuple[int, object]:
        async with ClientSession() as session, session.get(f"http://127.0.0.1:{self.bot.port}/{page}") as answer:
            return answer.status, await answer.json()


@pytest.fixture
def health(bot: BotProcess) -> Health:
    return Health(bot)


def lacks(problem: str) -> tuple[int, object]:
    return 503, {"status": "not ready", "problems": [problem], "warnings": []}


async def test_a_bot_that_lacks_nothing_is_ready(health: Health) -> None:
    assert await health.ready() == READY
    assert await health.alive() == ALIVE


@pytest.mark.parametrize(
    ("version", "problem"),
    [
        ("0000", "The database was made by an older version of turso-rotate: run `turso-rotate migrate`."),
        ("9999", "The database was made by a newer version of turso-rotate: upgrade the bot."),
    ],
    ids=["older", "newer"],
)
async def test_a_bot_whose_schema_was_changed_is_not_ready_and_says_why(
    version: str, problem: str, health: Health, settings: dict[str, str]
) -> None:
    shell.run(load_url(settings["DATABASE_URL"]), f"UPDATE alembic_version SET version_num = '{version}'")  # noqa: S608 - ours

    assert await health.ready() == lacks(problem)
    assert await health.alive() == ALIVE


@pytest.mark.databases("postgresql")
class TestPostgres:
    async def test_a_bot_without_its_database_is_not_ready_until_it_is_back(
        self, bot: BotProcess, health: Health, postgres_server: PostgresServer
    ) -> None:
        await asyncio.to_thread(postgres_server.stop)
        away, alive = await health.ready(), await health.alive()
        await bot.logs("database unavailable")
        await asyncio.to_thread(postgres_server.start)
        await bot.logs("database available again")
        back = await health.ready()

        assert away == lacks("The database does not answer.")
        assert alive == ALIVE
        assert back == READY


@pytest.mark.modes("socket")
@pytest.mark.databases("sqlite")
class TestSocketMode:
    async def test_a_bot_that_slack_cannot_reach_is_not_ready_until_it_can(
        self, slack: LocalSlack, bot: BotProcess, health: Health
    ) -> None:
        before = await health.ready()
        await slack.go_offline()
        await bot.logs("connection to Slack lost")
        away, alive = await health.ready(), await health.alive()
        await slack.go_online()
        await slack.connected(timeout=10)
        await bot.logs("connection to Slack is back")
        back = await health.ready()

        assert away == lacks("The connection to Slack is lost.")
        assert alive == ALIVE
        assert [before, back] == [READY, READY]
