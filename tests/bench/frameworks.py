"""Chat-bot frameworks at an echo, each installed in an environment of its own."""

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
ERRBOT_SCOPES = ("users:read", "users:read.email", "channels:read", "team:read")
"""Errbot looks up people and channels around every message."""
Send = Callable[[Person, str], Awaitable[Delivery]]


@dataclass(frozen=True)
class Echo:
    """How a framework did at echoes."""

    ack: float
    """Median in seconds, one at a time."""
    rate: float
    """Answers a second, 16 people in parallel."""
    megabytes: float


def install() -> None:
    """Install the frameworks.

    Raises:
        CalledProcessError: there is no package registry.
        OSError: there is no uv.

    """
    uv = ROOT / ".venv" / "bin" / "uv"
    for name, packages in FRAMEWORKS.items():
        subprocess.run([uv, "venv", "--quiet", "--allow-existing", _venv(name)], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", _python(name), *packages], check=True)


async def slack_machine() -> Echo:
    """Measure Slack Machine at a slash command."""
    async with LocalSlack(people=PEOPLE) as slack, _running("slack_machine_echo", slack) as process:
        return await _measured(slack, process, lambda person, text: slack.types(person, f"/turso-rotate {text}"))


async def errbot() -> Echo:
    """Measure errbot at a message, as it has no slash commands."""
    numbers = itertools.count()

    async def send(person: Person, text: str) -> Delivery:
        stamp = f"{next(numbers)}.1"
        event = {"type": "message", "channel": "C0INCIDENT", "channel_type": "channel", "user": person.user_id}
        event |= {"text": f"!echo {text}", "ts": stamp, "event_ts": stamp}
        payload = {"type": "event_callback", "event": event, "team_id": person.team_id, "event_id": f"Ev{stamp}"}
        return await slack.delivers("events_api", payload)

    async with LocalSlack(people=(*PEOPLE, Person(BOT_USER, "echo"))) as slack:  # it looks itself up, too
        slack.workspace.scopes += ERRBOT_SCOPES
        async with _running("errbot_echo", slack) as process:
            return await _measured(slack, process, send)


def _venv(name: str) -> Path:
    return ROOT / "build" / "frameworks" / name


def _python(name: str) -> Path:
    return _venv(name) / "bin" / "python"


@asynccontextmanager
async def _running(name: str, slack: LocalSlack) -> AsyncIterator[psutil.Process]:
    script = Path(__file__).parent / "servers" / f"{name}.py"
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


async def _measured(slack: LocalSlack, process: psutil.Process, send: Send, each: int = 50) -> Echo:
    echoed: dict[str, asyncio.Event] = {}
    watching = asyncio.ensure_future(_watch(slack, echoed))

    async def talk(person: Person, times: int) -> list[float]:
        taken = []
        for number in range(times):
            text = f"{person.name}-{number}-{times}"
            echoed[text] = asyncio.Event()
            taken.append((await send(person, text)).seconds)
            async with asyncio.timeout(20):
                await echoed[text].wait()
        return taken

    async with asyncio.timeout(30):
        while not await _echoes(send, echoed):  # its plugins load after it has connected
            continue
    alone = await talk(PEOPLE[0], 2 * each)
    began = time.perf_counter()
    await asyncio.gather(*(talk(person, each) for person in PEOPLE[:16]))
    rate = 16 * each / (time.perf_counter() - began)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    return Echo(percentile(alone, 50), rate, process.memory_info().rss / 1e6)


async def _echoes(send: Send, echoed: dict[str, asyncio.Event]) -> bool:
    text = f"ready-{time.monotonic_ns()}"
    echoed[text] = asyncio.Event()
    await send(PEOPLE[0], text)
    with suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            await echoed[text].wait()
    return echoed[text].is_set()


async def _watch(slack: LocalSlack, echoed: dict[str, asyncio.Event]) -> None:
    async for change in slack.changes.subscribe():
        text = getattr(change.subject, "plain", "").strip()
        if text in echoed:
            echoed[text].set()
