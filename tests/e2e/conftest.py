"""A Slack, a Turso and a migrated database, around the real process."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from bot.sandbox.slack import LocalSlack, Person
from bot.sandbox.turso import LocalTurso
from tests.process import BotProcess, run, settings_for

ALICE = Person("U0ALICE01", "alice")
BOB = Person("U0B0B0002", "bob")
MALLORY = Person("U0MALL003", "mallory")
GUEST = Person("U0GUEST04", "guest", team_id="T0OTHER99", is_guest=True)

Trail = Callable[[], Awaitable[list[str]]]


@pytest.fixture
async def slack() -> AsyncIterator[LocalSlack]:
    async with LocalSlack(people=(ALICE, BOB, MALLORY, GUEST)) as workspace:
        yield workspace


@pytest.fixture
async def turso() -> AsyncIterator[LocalTurso]:
    async with LocalTurso() as organization:
        yield organization


@pytest.fixture(params=["http", "socket"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def settings(
    slack: LocalSlack, turso: LocalTurso, database_url: str, mode: str, tmp_path: Path
) -> dict[str, str]:
    """Settings for a migrated database in which Alice and Bob may rotate everything."""
    chosen = settings_for(slack, turso, database_url, mode=mode)
    assert await run(chosen, tmp_path, "migrate") == (0, "", "The schema went from nothing to 0001.\n")
    for person in (ALICE, BOB):
        code, _, said = await run(chosen, tmp_path, "allow", "add", person.user_id, "--group", "*")
        assert code == 0, said
    return chosen


@pytest.fixture
async def bot(settings: dict[str, str], slack: LocalSlack, tmp_path: Path) -> AsyncIterator[BotProcess]:
    async with BotProcess(tmp_path, settings) as process:
        await connect(slack, process, settings)
        yield process


async def connect(slack: LocalSlack, process: BotProcess, settings: dict[str, str]) -> None:
    """Let Slack reach the process."""
    if "SLACK_SIGNING_SECRET" in settings:
        slack.request_url = f"http://127.0.0.1:{process.port}/slack/events"
    else:
        await slack.connected()


@pytest.fixture
def trail(settings: dict[str, str], tmp_path: Path) -> Trail:
    """The actions in the audit trail about rotations, oldest first."""

    async def read() -> list[str]:
        code, out, err = await run(settings, tmp_path, "audit", "list", "--format", "json")
        assert code == 0, err
        return [event["action"] for event in reversed(json.loads(out)) if event["action"].startswith("rotation.")]

    return read
