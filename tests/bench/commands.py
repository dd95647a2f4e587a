"""Commands: how soon they are acknowledged, and how many become cards in a second."""

import asyncio
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

from bot.allowlist import Allowlist
from bot.models import Actor, Organization, TeamId, UserId
from bot.sandbox.slack import LocalSlack, Person
from bot.sandbox.turso import LocalTurso
from bot.store.allowlist import SqlGrants
from bot.store.database import open_database
from bot.store.migrations import migrate
from tests.process import BotProcess, environment, settings_for
from tests.store.conftest import load_url

PEOPLE = tuple(Person(f"U0BENCH{number:02}", f"person{number}") for number in range(64))


@dataclass(frozen=True)
class Load:
    """What one run saw; times in seconds."""

    acks: Sequence[float]
    cards: Sequence[float]
    rate: float
    megabytes: float


@asynccontextmanager
async def bot(mode: str, database_url: str) -> AsyncIterator[tuple[LocalSlack, BotProcess]]:
    """Run the real bot, with all people allowed everything."""
    url = load_url(database_url)
    await asyncio.to_thread(migrate, url)
    database = open_database(url)
    allowlist = Allowlist(SqlGrants(database), Actor.on_terminal("root"), Organization("acme"))
    for person in PEOPLE:
        await allowlist.add(Actor(TeamId(person.team_id), UserId(person.user_id)), "*")
    await database.close()
    with tempfile.TemporaryDirectory() as folder:
        async with (
            LocalSlack(people=PEOPLE) as slack,
            LocalTurso() as turso,
            BotProcess(Path(folder), settings_for(slack, turso, database_url, mode=mode)) as process,
        ):
            await _connect(slack, mode, process.port)
            yield slack, process


@asynccontextmanager
async def bare(mode: str) -> AsyncIterator[LocalSlack]:
    """Run the bare Bolt app."""
    async with LocalSlack(people=PEOPLE) as slack:
        port = _free_port()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.bench.bare", mode, slack.api_url, str(port), env=environment({})
        )
        try:
            await _connect(slack, mode, port)
            yield slack
        finally:
            process.kill()
            await process.wait()


async def acknowledge(slack: LocalSlack, times: int, *, answered: bool) -> float:
    """Type commands one after another; returns the median time to the acknowledgement.

    With `answered`, the next one is typed when the answer to the last one is there, as one person would.
    """
    taken = []
    for number in range(times + 20):
        delivery = await slack.types(PEOPLE[0], "/turso-rotate ../x")
        assert delivery.status == 200
        if answered:
            await slack.called("response_url", number + 1)
        taken.append(delivery.seconds)
    return median(taken[20:])


async def load(slack: LocalSlack, process: BotProcess, parallel: int, each: int) -> Load:
    """Let people type in parallel, each the next command when the card of the last one is there."""
    cards: dict[str, asyncio.Event] = {person.user_id: asyncio.Event() for person in PEOPLE}
    watching = asyncio.ensure_future(_watch(slack, cards))
    acks: list[float] = []
    seen: list[float] = []

    async def types(person: Person) -> None:
        for number in range(each):
            began = time.perf_counter()
            cards[person.user_id].clear()
            delivery = await slack.types(person, f"/turso-rotate payments reason {number}")
            acks.append(delivery.seconds)
            await asyncio.wait_for(cards[person.user_id].wait(), 20)
            seen.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(types(person) for person in PEOPLE[:parallel]))
    took = time.perf_counter() - began
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert process.pid is not None
    memory = psutil.Process(process.pid).memory_info().rss / 1e6
    return Load(acks, seen, parallel * each / took, memory)


async def _watch(slack: LocalSlack, cards: dict[str, asyncio.Event]) -> None:
    async for change in slack.changes():
        reader = getattr(change.subject, "ephemeral_to", None)
        if reader in cards:
            assert "Rotate the tokens of payments?" in getattr(change.subject, "plain", "")
            cards[reader].set()


async def _connect(slack: LocalSlack, mode: str, port: int) -> None:
    if mode == "socket":
        await slack.connected(timeout=10)
        return
    slack.request_url = f"http://127.0.0.1:{port}/slack/events"
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)  # a bare app has no word for "ready"
            else:
                writer.close()
                return


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
