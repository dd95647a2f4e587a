"""The chat-bot frameworks somebody would otherwise use, at an echo, next to the bot at its whole work."""

import asyncio
import itertools
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from bot.sandbox.deliveries import Delivery
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.workspace import BOT_USER, Person
from tests.bench.processes import PEOPLE
from tests.bench.report import percentile
from tests.process import environment

ROOT = Path(__file__).parents[2]
FRAMEWORKS = {
    "errbot_echo": ("errbot==6.2.1", "errbot-backend-slackv3==0.3.2"),
    "slack_machine_echo": ("slack-machine==0.40.1",),
}
ERRBOT_ASKS = ("users:read", "users:read.email", "channels:read", "team:read")
"""Scopes of what it asks Slack about people and channels around every message."""
Says = Callable[[Person, str], Awaitable[Delivery]]


@dataclass(frozen=True)
class Echoed:
    """What a framework did with echoes; times in seconds."""

    ack: float
    """Median, one at a time."""
    rate: float
    """Answered a second, 16 people in parallel."""
    megabytes: float


def install() -> None:
    """Install each apart from everything else. Raises `CalledProcessError` where there is no registry."""
    uv = ROOT / ".venv" / "bin" / "uv"
    for name, packages in FRAMEWORKS.items():
        subprocess.run([uv, "venv", "--quiet", "--allow-existing", _venv(name)], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", _python(name), *packages], check=True)


async def slack_machine() -> Echoed:
    """Measure Slack Machine at a slash command."""
    async with LocalSlack(people=PEOPLE) as slack, _running("slack_machine_echo", slack) as process:
        return await _measured(slack, process, lambda person, text: slack.types(person, f"/turso-rotate {text}"))


async def errbot() -> Echoed:
    """Measure errbot at a message, as it knows no slash commands."""
    numbers = itertools.count()

    async def says(person: Person, text: str) -> Delivery:
        stamp = f"{next(numbers)}.1"
        event = {"type": "message", "channel": "C0INCIDENT", "channel_type": "channel", "user": person.user_id}
        event |= {"text": f"!echo {text}", "ts": stamp, "event_ts": stamp}
        payload = {"type": "event_callback", "event": event, "team_id": person.team_id, "event_id": f"Ev{stamp}"}
        return await slack.delivers("events_api", payload)

    async with LocalSlack(people=(*PEOPLE, Person(BOT_USER, "echo"))) as slack:  # it asks about itself, too
        slack.workspace.scopes += ERRBOT_ASKS
        async with _running("errbot_echo", slack) as process:
            return await _measured(slack, process, says)


def _venv(name: str) -> Path:
    return ROOT / "build" / "frameworks" / name


def _python(name: str) -> Path:
    return _venv(name) / "bin" / "python"


@asynccontextmanager
async def _running(name: str, slack: LocalSlack) -> AsyncIterator[psutil.Process]:
    script = Path(__file__).parent / "frameworks" / f"{name}.py"
    nothing = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        _python(name), script, slack.api_url, env=environment({}), stdout=nothing, stderr=nothing
    )
    try:
        await slack.connected(timeout=30)
        yield psutil.Process(process.pid)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _measured(slack: LocalSlack, process: psutil.Process, says: Says, each: int = 50) -> Echoed:
    answers: dict[str, asyncio.Event] = {}
    watching = asyncio.ensure_future(_watch(slack, answers))

    async def talk(person: Person, times: int) -> list[float]:
        taken = []
        for number in range(times):
            token = f"{person.name}-{number}-{times}"
            answers[token] = asyncio.Event()
            taken.append((await says(person, token)).seconds)
            async with asyncio.timeout(20):
                await answers[token].wait()
        return taken

    async with asyncio.timeout(30):
        while not await _echoes(says, answers):  # its plugins load after it is connected
            continue
    alone = await talk(PEOPLE[0], 2 * each)
    began = time.perf_counter()
    await asyncio.gather(*(talk(person, each) for person in PEOPLE[:16]))
    rate = 16 * each / (time.perf_counter() - began)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    return Echoed(percentile(alone, 50), rate, process.memory_info().rss / 1e6)


async def _echoes(says: Says, answers: dict[str, asyncio.Event]) -> bool:
    token = f"ready-{time.monotonic_ns()}"
    answers[token] = asyncio.Event()
    await says(PEOPLE[0], token)
    with suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            await answers[token].wait()
    return answers[token].is_set()


async def _watch(slack: LocalSlack, answers: dict[str, asyncio.Event]) -> None:
    async for change in slack.changes.subscribe():
        said = getattr(change.subject, "plain", "").strip()
        if said in answers:
            answers[said].set()
