"""What `/readyz` and `/healthz` say about a bot that is well, and about one that lacks something."""

import asyncio
import json
from dataclasses import dataclass

import pytest
from aiohttp import ClientSession
from psycopg import AsyncConnection

from bot.sandbox.faults import Fault
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from tests.databases import load_url
from tests.e2e.conftest import ALICE, Trail, asks
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

    @pytest.mark.fault("F48")
    async def test_a_bot_that_may_not_write_is_not_ready_until_it_may_and_saves_what_it_knows(
        self, slack: LocalSlack, turso: LocalTurso, bot: BotProcess, health: Health, database_url: str, trail: Trail
    ) -> None:
        refusing = f"ALTER DATABASE {database_url.rpartition('/')[2]} SET default_transaction_read_only"
        turso.inject(Fault(delay=1))
        card = await asks(slack, ALICE, "payments")
        await slack.presses(ALICE, card, "rotation:confirm")
        await turso.reached()
        async with await AsyncConnection.connect(database_url, autocommit=True) as owner:
            await owner.execute("SET default_transaction_read_only = off")
            await owner.execute(f"{refusing} = on".encode())
            await owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
            await bot.logs("database unavailable")
            during = await health.ready()
            await slack.sees(ALICE, "Unknown: the tokens of payments", "I will keep trying", timeout=10)
            await owner.execute(f"{refusing} = off".encode())
        await slack.sees(ALICE, "Done: the tokens of payments are rotated", timeout=10)
        await bot.logs("database available again")
        said = [json.loads(line) for line in bot.lines if '"database unavailable"' in line]

        assert during == lacks("The database refuses writes: default_transaction_read_only is on.")
        assert [each["level"] for each in said if "refuses writes" in each["why"]] == ["error"]
        assert await health.ready() == READY
        assert await trail() == ["rotation.requested", "rotation.started", "rotation.succeeded"]

    @pytest.mark.fault("F11", "F38")
    async def test_an_outcome_that_a_lock_keeps_from_being_saved_is_counted_and_logged_once(
        self, slack: LocalSlack, turso: LocalTurso, bot: BotProcess, health: Health, database_url: str
    ) -> None:
        turso.inject(Fault(delay=1))
        card = await asks(slack, ALICE, "payments")
        await slack.presses(ALICE, card, "rotation:confirm")
        await turso.reached()
        async with await AsyncConnection.connect(database_url) as holder:
            await holder.execute("LOCK TABLE rotations IN SHARE MODE")
            await slack.sees(ALICE, "Unknown: the tokens of payments", "I will keep trying", timeout=10)
            await bot.logs("database unavailable")
            during = await health.ready()
            await slack.types(ALICE, "/turso-rotate default")
            await slack.sees(ALICE, "The database is locked", "Nothing was rotated", timeout=4)
        await slack.sees(ALICE, "Done: the tokens of payments are rotated", timeout=10)
        await bot.logs("database available again")
        lines = [json.loads(line) for line in bot.lines if line.startswith("{")]
        unsaved = [line for line in lines if line["event"] == "not recorded yet"]
        (refused,) = [line for line in lines if line["event"] == "refused"]

        locked = "The database is locked by another session; pg_stat_activity shows which, and pg_terminate_backend"
        code, told = during
        assert isinstance(told, dict)
        assert (code, told["problems"], told["warnings"][1]) == (200, [], "1 outcome is not saved yet.")
        assert told["warnings"][0].startswith(locked)
        assert len(unsaved) == 1
        assert (refused["level"], refused["reason"]) == ("warning", "database")
        assert refused["why"].startswith(locked)
        assert await health.ready() == READY


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
