"""The processes that are measured: the real bot and a bare Bolt app, each with its own local Slack."""

import asyncio
import socket
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
from tests.process import BotProcess, environment, settings_for

PEOPLE = tuple(Person(f"U0BENCH{number:02}", f"person{number}") for number in range(64))
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Running:
    """A process under measurement, and what is around it."""

    slack: LocalSlack
    process: psutil.Process
    started: float
    """Seconds from its start until it served."""
    turso: LocalTurso

    @property
    def megabytes(self) -> float:
        """Its resident memory."""
        return float(self.process.memory_info().rss) / 1e6

    @property
    def cpu(self) -> float:
        """Seconds of processor time it has used."""
        return spent(self.process)


def spent(process: psutil.Process) -> float:
    """Read the seconds of processor time a process has used."""
    times = process.cpu_times()
    return float(times.user + times.system)


@asynccontextmanager
async def bot(
    mode: str, database_url: str, *, groups: Sequence[str] = (), changes: Mapping[str, str] = NOTHING
) -> AsyncIterator[Running]:
    """Run the real bot, with all people allowed everything; `groups` are there beside the usual ones."""
    await _prepare(database_url)
    known = {**DEFAULT_GROUPS, **dict.fromkeys(groups, ())}
    with tempfile.TemporaryDirectory() as folder:
        async with LocalSlack(people=PEOPLE) as slack, LocalTurso(groups=known) as turso:
            began = time.perf_counter()
            settings = {**settings_for(slack, turso, database_url, mode=mode), **changes}
            async with BotProcess(Path(folder), settings, fork=False) as process:
                started = time.perf_counter() - began
                await _connect(slack, mode, process.port)
                yield Running(slack, psutil.Process(process.pid), started, turso)


@asynccontextmanager
async def bare(mode: str) -> AsyncIterator[Running]:
    """Run the bare Bolt app, in Socket Mode, over HTTP, or over HTTP without asyncio ("sync")."""
    async with LocalSlack(people=PEOPLE) as slack, LocalTurso() as turso:
        port = _free_port()
        began = time.perf_counter()
        script = ["tests.bench.bare_sync"] if mode == "sync" else ["tests.bench.bare", mode]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *script, slack.api_url, str(port), env=environment({})
        )
        try:
            await _connect(slack, mode, port)
            yield Running(slack, psutil.Process(process.pid), time.perf_counter() - began, turso)
        finally:
            process.kill()
            await process.wait()


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
        await slack.connected(timeout=10)
        return
    slack.request_url = f"http://127.0.0.1:{port}/slack/events"
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.01)  # a bare app has no word for "ready"
            else:
                writer.close()
                return


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
