"""The processes that are measured: the bot and the servers it is compared with, each with its own local Slack."""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import psutil

from bot.domain.allowlist import Allowlist
from bot.domain.models import Actor, Organization, TeamId, UserId
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import DEFAULT_GROUPS, LocalTurso
from bot.sandbox.workspace import Person
from bot.store.allowlist import SqlGrants
from bot.store.database import open_database
from bot.store.migrations import migrate
from bot.trail.chain import UNKEYED
from tests.databases import load_url
from tests.process import START_SECONDS, BotProcess, environment, settings_for

PEOPLE = tuple(Person(f"U0BENCH{number:02}", f"person{number}") for number in range(64))
NO_SETTINGS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Running:
    """A process under measurement, and the local Slack and Turso it talks to."""

    slack: LocalSlack
    process: psutil.Process
    start_seconds: float
    """From the start of the process until it served."""
    turso: LocalTurso

    @property
    def megabytes(self) -> float:
        """Return its resident memory."""
        return float(self.process.memory_info().rss) / 1e6

    @property
    def cpu_seconds(self) -> float:
        """Return the processor time it has used."""
        return cpu_seconds(self.process)


def cpu_seconds(process: psutil.Process) -> float:
    """Return the processor time that a process has used."""
    times = process.cpu_times()
    return float(times.user + times.system)


@asynccontextmanager
async def bot(
    mode: str, database_url: str, *, groups: Sequence[str] = (), changes: Mapping[str, str] = NO_SETTINGS
) -> AsyncIterator[Running]:
    """Run the real bot; everyone may rotate everything, and `groups` are added to the usual ones."""
    await _prepare(database_url)
    known = {**DEFAULT_GROUPS, **dict.fromkeys(groups, ())}
    with tempfile.TemporaryDirectory() as folder:
        async with LocalSlack(people=PEOPLE) as slack, LocalTurso(groups=known) as turso:
            began = time.perf_counter()
            settings = {**settings_for(slack, turso, database_url, mode=mode), **changes}
            async with BotProcess(Path(folder), settings, fork=False) as process:
                start_seconds = time.perf_counter() - began
                await _connect(slack, mode, process.port)
                yield Running(slack, psutil.Process(process.pid), start_seconds, turso)


@asynccontextmanager
async def server(name: str, mode: str = "http") -> AsyncIterator[Running]:
    """Run a module of `tests.bench.servers`, over HTTP or in Socket Mode."""
    async with LocalSlack(people=PEOPLE) as slack, LocalTurso() as turso:
        began = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", f"tests.bench.servers.{name}", mode, slack.api_url,
            env=environment({}), stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            await _connect(slack, mode, 0 if mode == "socket" else await _port(process))
            yield Running(slack, psutil.Process(process.pid), time.perf_counter() - began, turso)
        finally:
            process.kill()
            await process.wait()


async def _port(process: asyncio.subprocess.Process) -> int:
    """Read the port, which each server prints when it listens."""
    assert process.stdout is not None
    async with asyncio.timeout(START_SECONDS):
        return int(await process.stdout.readline())


async def _prepare(database_url: str) -> None:
    url = load_url(database_url)
    await asyncio.to_thread(migrate, url)
    database = open_database(url)
    allowlist = Allowlist(SqlGrants(database, UNKEYED), Actor.on_terminal("root"), Organization("acme"))
    for person in PEOPLE:
        await allowlist.add(Actor(TeamId(person.team_id), UserId(person.user_id)), "*")
    await database.close()


async def _connect(slack: LocalSlack, mode: str, port: int) -> None:
    if mode == "socket":
        await slack.connected(timeout=START_SECONDS)
    else:
        slack.request_url = f"http://127.0.0.1:{port}/slack/events"
