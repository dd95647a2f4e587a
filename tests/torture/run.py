"""One run on one database: torture, make whole, help time along, and freeze the facts."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from bot.domain.allowlist import Allowlist
from bot.domain.models import Actor, Organization, TeamId, UserId
from bot.sandbox.local_slack import LocalSlack
from bot.store.allowlist import SqlGrants
from bot.store.database import open_database
from bot.store.migrations import migrate
from bot.trail.chain import Seal
from tests.databases import load_url
from tests.postgres import PostgresServer
from tests.process import run as run_command
from tests.process import settings_for
from tests.torture import schedule
from tests.torture.facts import Facts
from tests.torture.faults import run_faults
from tests.torture.ledger import Ledger
from tests.torture.people import EVERYBODY, FORBIDDEN, GRANTED, GROUPS, MEMBERS, People
from tests.torture.recording_turso import RecordingTurso
from tests.torture.replica import Replica
from tests.torture.rig import Rig
from tests.torture.schedule import Planned
from tests.torture.tables import Tables

CALL_SECONDS = 1.5
LEASE_SECONDS = CALL_SECONDS + 15
"""How long a start is the bot's: 5 s to prepare the call, the call itself, and 10 s to record its outcome."""
_CONFIRM_SECONDS = 6
_CALM_SECONDS = 3.5
"""Longer than any aftermath of a fault, so that whatever is still broken then is a violation."""
_QUIET_SECONDS = 40.0
_AGAIN_SECONDS = 1.0
_PRESSES = 3
"""On what waits for its person, on what has ended since, and on what took the second one for a double click."""


@dataclass(frozen=True)
class RunConfig:
    """What to run."""

    seed: int
    seconds: float
    database: str
    mode: str
    """How Slack reaches the bot: `http` or `socket`."""
    mistakes: tuple[str, ...] = ()
    """The names of mistakes that are planted into the bot."""
    families: tuple[str, ...] = schedule.FAMILIES
    """The faults that come."""

    @property
    def plan(self) -> list[list[Planned]]:
        """The faults that come, by family."""
        return schedule.plan(self.seed, self.seconds, self.database, LEASE_SECONDS, self.families)


Scene = Callable[[Rig, People], Awaitable[None]]
"""What happens between the start of the replicas and the quiet."""


async def torture(
    config: RunConfig, folder: Path, server: PostgresServer | None, *, say: Callable[[str], None] = lambda _: None
) -> Facts:
    """Let people and faults loose, and return what happened."""

    async def scene(rig: Rig, people: People) -> None:
        began = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            for work in (people.act(began + config.seconds), *(run_faults(rig, each, began) for each in config.plan)):
                group.create_task(work)

    return await record(config, folder, server, scene, say=say)


async def record(
    config: RunConfig,
    folder: Path,
    server: PostgresServer | None,
    scene: Scene,
    *,
    say: Callable[[str], None] = lambda _: None,
) -> Facts:
    """Play a scene with the real bot, make everything whole again, and return what happened."""
    async with _rig(config, folder, server) as rig:
        tables, ledger = Tables(rig.database_url), rig.ledger
        people = People(config.seed, rig.slack, rig.replicas, ledger, config.mode)
        async with _watching(rig, tables):
            await _begin(rig)
            say(f"{config.database}: torture for {config.seconds:g} s")
            await scene(rig, people)
            say(f"{config.database}: quiet")
            quiet_since = time.time()
            await asyncio.sleep(_CALM_SECONDS if config.families else 0)
            for _ in range(_PRESSES):
                await people.press_what_is_left()
                await _settle(tables)
            say(f"{config.database}: settled after {time.time() - quiet_since:.1f} s")
            await asyncio.gather(*(replica.stop() for replica in rig.replicas))
            await _verify(rig)
        return await ledger.freeze(tables, rig.turso, quiet_since, rig.settings["AUDIT_KEY"].encode())


async def _begin(rig: Rig) -> None:
    """Give everybody their grant, and start the replicas."""
    database = open_database(load_url(rig.database_url))
    grants = SqlGrants(database, Seal(rig.settings["AUDIT_KEY"].encode()))
    allowlist = Allowlist(grants, Actor.on_terminal("root"), Organization("acme"))
    for member in MEMBERS:
        await allowlist.add(Actor(TeamId(member.team_id), UserId(member.user_id)), GRANTED)
    await database.close()
    await asyncio.gather(*(replica.start() for replica in rig.replicas))
    if "SLACK_APP_TOKEN" in rig.settings:
        await rig.slack.connected(len(rig.replicas))


@asynccontextmanager
async def _rig(config: RunConfig, folder: Path, server: PostgresServer | None) -> AsyncIterator[Rig]:
    """Open Slack, Turso, the database and the replicas, which do not run yet."""
    url = f"sqlite:///{folder / 'torture.db'}" if server is None else server.create_database()
    migrate(load_url(url))  # in no thread: Alembic's own state is the process's
    if server is not None:
        _forget_quickly(url)
    ledger, tables = Ledger(), Tables(url)
    async with AsyncExitStack() as stack:
        slack = await stack.enter_async_context(LocalSlack(people=EVERYBODY))
        turso = await stack.enter_async_context(RecordingTurso(dict.fromkeys((*GROUPS, FORBIDDEN), ()), tables))
        settings = settings_for(slack, turso, url, mode=config.mode) | {
            "AUDIT_KEY": secrets.token_hex(32),
            "TURSO_TIMEOUT": str(CALL_SECONDS),
            "CONFIRM_TTL": str(_CONFIRM_SECONDS),
        }
        ledger.secrets |= _secrets(settings)
        replicas = [
            Replica(number, folder, settings, ledger, config.mistakes)
            for number in range(schedule.REPLICAS[config.database])
        ]
        for replica in replicas:
            stack.push_async_callback(replica.kill)
        yield Rig(folder, settings, url, slack, turso, replicas, ledger, server)


@asynccontextmanager
async def _watching(rig: Rig, tables: Tables) -> AsyncIterator[None]:
    """Note what people read and what the tables hold, as long as the context is open."""
    slack, ledger = rig.slack, rig.ledger
    watching = [
        asyncio.ensure_future(ledger.keep_reading(slack, slack.changes.subscribe())),
        asyncio.ensure_future(ledger.keep_looking(tables)),
    ]
    try:
        yield
    finally:
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)


async def _settle(tables: Tables) -> None:
    """Wait until nothing is left to do, and let leases and pauses end that nobody alive has."""
    before: dict[tuple[int, int], str] = {}
    with suppress(TimeoutError):
        async with asyncio.timeout(_QUIET_SECONDS):
            while True:
                await tables.end_leases()
                waiting = await tables.undelivered()
                open_ones = [each for each in await tables.rotations() if each.state in {"requested", "rotating"}]
                if not waiting and not open_ones:
                    return
                await tables.deliver_now(waiting.keys() & before.keys())
                before = waiting
                await asyncio.sleep(_AGAIN_SECONDS)


async def _verify(rig: Rig) -> None:
    """Ask the bot's own verifier too: it compares the tables with the trail."""
    code, out, err = await run_command(rig.settings, rig.folder, "audit", "verify")
    if code != 0:
        rig.ledger.unexpected.append(f"audit verify: {out} {err}")


def _forget_quickly(url: str) -> None:
    """Let PostgreSQL confirm commits that a crash would lose, as a careless owner may: the bot must insist."""
    with psycopg.connect(url, autocommit=True) as connection:
        name = sql.Identifier(url.rpartition("/")[2])
        connection.execute(sql.SQL("ALTER DATABASE {} SET synchronous_commit = off").format(name))


def _secrets(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that nobody may see."""
    names = ("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET", "TURSO_API_TOKEN", "AUDIT_KEY")
    return {name: settings[name] for name in names if name in settings}
