"""The start of the process: how long it takes, what it is made of, and what the memory at rest is made of."""

import asyncio
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise
from statistics import median

from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from bot.store.migrations import migrate
from tests.bench.databases import Fresh
from tests.bench.processes import bare, bot
from tests.bench.report import ratio, row, title
from tests.databases import load_url
from tests.process import START_SECONDS, environment, settings_for

# What `serve` imports, in its order.
_IMPORTS = "from bot.cli import main; import uvloop; from bot import app"
# The real command, on one timeline with its log.
_WATCHED = f"""
import json, sys, time
def mark(event):
    print(json.dumps({{"event": event, "at": time.time()}}), file=sys.stderr, flush=True)
mark("interpreter")
{_IMPORTS}
mark("imported")
from bot.config import Settings, load
load(Settings)
mark("settings")
main()
"""
# Each after the ones before it: what several share is counted with the first.
_GROUPS = {
    "standard library that most share": "asyncio, ssl, logging, json, dataclasses, email.message, urllib.request",
    "pydantic, pydantic-settings": "pydantic, pydantic_settings",
    "sqlalchemy": "sqlalchemy.ext.asyncio, sqlalchemy.dialects.sqlite, sqlalchemy.dialects.postgresql",
    "aiohttp": "aiohttp",
    "slack_sdk, slack_bolt": "slack_bolt.async_app, slack_sdk.web.async_client, slack_sdk.socket_mode.aiohttp",
    "structlog, with rich": "structlog",
    "httpx": "httpx",
    "starlette, uvicorn": "starlette.applications, starlette.routing, uvicorn",
    "typer, prometheus_client, uvloop": "typer, prometheus_client, uvloop",
}
_RESIDENT = "int(open('/proc/self/statm').read().split()[1]) * __import__('resource').getpagesize() / 1e6"
_SHOWN = 8


async def starts(fresh: Fresh, rounds: int) -> None:
    """Compare how long a start takes, and the memory at rest, with a bare app's."""
    seen: dict[str, list[tuple[float, float]]] = {"bot": [], "bare": []}
    for _ in range(rounds):
        async with bot("http", fresh()) as running:
            seen["bot"].append((running.started, running.megabytes))
        async with bare("http") as running:
            seen["bare"].append((running.started, running.megabytes))
    title("Start of the process until it serves, against a default Bolt app (medians)")
    ours, theirs = ([median(values) for values in zip(*each, strict=True)] for each in seen.values())
    ratio("the bot / the bare app", ours[0], theirs[0])
    row("resident at rest", f"{ours[1]:.0f} MB / {theirs[1]:.0f} MB = {ours[1] / theirs[1]:.2f}")
    await _phases(fresh, rounds)
    await asyncio.to_thread(_imports)
    await asyncio.to_thread(_memory)


async def _phases(fresh: Fresh, rounds: int) -> None:
    seen = [await _start(fresh()) for _ in range(rounds)]
    medians = {name: median(each[name] for each in seen) for name in seen[0]}
    whole = sum(medians.values())
    title("What a start is made of (medians)")
    for name, seconds in medians.items():
        row(name, f"{seconds * 1e3:.0f} ms / {whole * 1e3:.0f} ms = {seconds / whole:.2f}")


async def _start(database_url: str) -> Mapping[str, float]:
    """Start the real process once; returns the seconds of each part."""
    await asyncio.to_thread(migrate, load_url(database_url))
    with tempfile.TemporaryDirectory() as folder:
        async with LocalSlack() as slack, LocalTurso() as turso:
            settings = environment(settings_for(slack, turso, database_url, mode="http"))
            began = time.time()
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", _WATCHED, "serve", cwd=folder, env=settings, stderr=asyncio.subprocess.PIPE
            )
            try:
                seen = await _marks(process)
            finally:
                process.kill()
                await process.wait()
    return _parts(began, seen, asked=slack.calls[0].at)


async def _marks(process: asyncio.subprocess.Process) -> Mapping[str, float]:
    """Read when each event was, in Unix seconds, up to the one that ends the start."""
    seen: dict[str, float] = {}
    assert process.stderr is not None
    async with asyncio.timeout(START_SECONDS):
        while "serving" not in seen:
            line = json.loads(await process.stderr.readline())
            seen[line["event"]] = _unix(line["at"])
    return seen


def _parts(began: float, seen: Mapping[str, float], asked: float) -> Mapping[str, float]:
    settings = seen["settings"] - seen["imported"]
    return {
        "the interpreter": seen["interpreter"] - began,
        "imports": seen["imported"] - seen["interpreter"],
        "settings": settings,
        "database opened, schema checked": asked - seen["settings"] - settings,  # which read them once more
        "auth.test, listeners, the first sweep": seen["starting"] - asked,
        "grants, the trail's head, listening": seen["serving"] - seen["starting"],
    }


def _unix(at: str | float) -> float:
    return at if isinstance(at, float) else datetime.fromisoformat(at).timestamp()


def _imports() -> None:
    """Sum up by package what importing takes; measuring makes it slower, so the shares are what counts."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", _IMPORTS], env=environment({}), stderr=subprocess.PIPE, check=True
    )
    taken: Counter[str] = Counter()
    for own, name in re.findall(r"^import time: +(\d+) \| +\d+ \| +(\w+)", done.stderr.decode(), re.MULTILINE):
        taken["the standard library" if name in sys.stdlib_module_names else name] += int(own)
    whole = taken.total()
    title(f"Imports by package, {whole / 1e3:.0f} ms while they are watched")
    for name, microseconds in taken.most_common(_SHOWN):
        row(name, f"{microseconds / 1e3:.0f} ms / {whole / 1e3:.0f} ms = {microseconds / whole:.2f}")
    absent = "absent" if "alembic" not in taken else "imported"
    row("alembic", absent, "absent", met=absent == "absent")


def _memory() -> None:
    """Import one group of packages after the other in one process, and see what each adds."""
    steps = [f"import {names}\nseen.append({_RESIDENT})" for names in _GROUPS.values()]
    script = "\n".join(("seen = []", f"seen.append({_RESIDENT})", *steps, _IMPORTS, f"seen.append({_RESIDENT})"))
    seen = json.loads(_python(f"{script}\nprint(seen)"))
    title("Resident memory by what is imported, each after the ones above it")
    for name, (before, after) in zip(
        ("the interpreter", *_GROUPS, "the bot itself"), pairwise((0, *seen)), strict=True
    ):
        row(name, f"{after - before:.1f} MB / {seen[-1]:.1f} MB = {(after - before) / seen[-1]:.2f}")


def _python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], env=environment({}), stdout=subprocess.PIPE, check=True)
    return done.stdout.decode()
