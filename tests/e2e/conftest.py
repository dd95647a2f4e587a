"""A Slack, a Turso and a migrated database, around the real process."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import pytest
from aiohttp import ClientSession
from sqlalchemy import make_url

from bot.domain.allowlist import Allowlist
from bot.domain.events import RecordedEvent
from bot.domain.models import Actor, Organization, TeamId, UserId
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from bot.sandbox.messages import PostedMessage
from bot.sandbox.workspace import Person
from bot.store.allowlist import SqlGrants
from bot.store.database import Database, open_database
from bot.store.trail import SqlTrail
from bot.trail.chain import UNKEYED
from bot.trail.records import EventFilter
from tests.conftest import MODES
from tests.databases import load_url
from tests.postgres import PostgresServer
from tests.process import BotProcess, settings_for
from tests.proxy import Proxy
from tests.store import shell

ALICE = Person("U0ALICE01", "alice")
BOB = Person("U0B0B0002", "bob")
MALLORY = Person("U0MALL003", "mallory")
GUEST = Person("U0GUEST04", "guest", team_id="T0OTHER99", is_guest=True)

Trail = Callable[[], Awaitable[list[str]]]
Stories = Callable[[], Awaitable[dict[str, list[str]]]]


@pytest.fixture
async def slack() -> AsyncIterator[LocalSlack]:
    async with LocalSlack(people=(ALICE, BOB, MALLORY, GUEST)) as workspace:
        yield workspace


@pytest.fixture
async def turso() -> AsyncIterator[LocalTurso]:
    async with LocalTurso() as organization:
        yield organization


@pytest.fixture
def door(slack: LocalSlack, bot: BotProcess) -> str:
    """Where Slack's requests arrive over HTTP."""
    return str(slack.request_url)


@pytest.fixture
async def session() -> AsyncIterator[ClientSession]:
    async with ClientSession() as opened:
        yield opened


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def changes() -> dict[str, str]:
    """Change settings; to be overridden."""
    return {}


@pytest.fixture
async def settings(
    slack: LocalSlack, turso: LocalTurso, database_url: str, mode: str, changes: dict[str, str]
) -> dict[str, str]:
    """Let Alice and Bob rotate everything, and return the settings."""
    database = open_database(load_url(database_url))
    try:
        allowlist = Allowlist(SqlGrants(database, UNKEYED), Actor.on_terminal("root"), Organization("acme"))
        for person in (ALICE, BOB):
            await allowlist.add(Actor(TeamId(person.team_id), UserId(person.user_id)), "*")
    finally:
        await database.close()
    return settings_for(slack, turso, database_url, mode=mode) | changes


@pytest.fixture
async def bot(settings: dict[str, str], slack: LocalSlack, tmp_path: Path) -> AsyncIterator[BotProcess]:
    async with BotProcess(tmp_path, settings) as process:
        await connect(slack, process, settings)
        yield process
        sys.stdout.write(process.output)  # pytest shows it next to a failure


async def connect(slack: LocalSlack, process: BotProcess, settings: dict[str, str]) -> None:
    """Let Slack reach the process."""
    if "SLACK_SIGNING_SECRET" in settings:
        slack.request_url = f"http://127.0.0.1:{process.port}/slack/events"
    else:
        await slack.connected()


@pytest.fixture
async def line(postgres_server: PostgresServer) -> AsyncIterator[Proxy]:
    """Stand between the bot and its database."""
    async with Proxy(postgres_server.port) as proxy:
        yield proxy


def over(line: Proxy | int, database_url: str) -> str:
    """Reach the same database over the line, or through another port."""
    port = line if isinstance(line, int) else line.port
    return make_url(database_url).set(port=port).render_as_string(hide_password=False)


@pytest.fixture
async def database(settings: dict[str, str]) -> AsyncIterator[Database]:
    """Open the database of the bot."""
    opened = open_database(load_url(settings["DATABASE_URL"]))
    yield opened
    await opened.close()


@pytest.fixture
def trail(settings: dict[str, str]) -> Trail:
    """Give a way to read the actions about rotations in the audit trail, oldest first."""

    async def read() -> list[str]:
        actions = [str(recorded.event.action) for recorded in await read_trail(settings)]
        return [action for action in actions if action.startswith("rotation.")]

    return read


@pytest.fixture
def stories(settings: dict[str, str]) -> Stories:
    """Give the actions in the audit trail about each rotation, oldest first, by its id."""

    async def read() -> dict[str, list[str]]:
        told: dict[str, list[str]] = {}
        for recorded in await read_trail(settings):
            if recorded.event.rotation_id is not None:
                told.setdefault(recorded.event.rotation_id, []).append(str(recorded.event.action))
        return told

    return read


async def read_trail(settings: dict[str, str]) -> Sequence[RecordedEvent]:
    """Read the whole audit trail, oldest first."""
    database = open_database(load_url(settings["DATABASE_URL"]))
    try:
        return (await SqlTrail(database, UNKEYED).page(EventFilter(), limit=10_000))[::-1]
    finally:
        await database.close()


async def asks(slack: LocalSlack, person: Person, text: str) -> PostedMessage:
    """Ask for a rotation, and return the card."""
    since = len(slack.messages)
    await slack.types(person, f"/turso-rotate {text}")
    group = text.partition(" ")[0]
    return await slack.sees(person, f"Rotate the tokens of {group}?", since=since, timeout=10)


def id_on(card: PostedMessage) -> str:
    """Read the rotation's id off its card."""
    return card.plain.rpartition("Rotation `")[2].partition("`")[0]


def announced(slack: LocalSlack, group: str | None = None) -> list[str]:
    """Everything that was announced in the audit channel, about one group or all."""
    said = [message.plain for message in slack.messages if message.channel == "C0AUDIT"]
    return [text for text in said if group is None or f"`{group}`" in text]


async def end_leases(settings: Mapping[str, str]) -> None:
    """Let the leases of a bot that was killed end now, instead of seventeen seconds later."""
    ended = "UPDATE rotations SET lease_until = started_at WHERE state = 'rotating'"
    await asyncio.to_thread(shell.run, load_url(settings["DATABASE_URL"]), ended)
