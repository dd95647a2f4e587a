"""How long a start takes and how much memory it leaves in use, part by part."""

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
from tests.bench.databases import NewDatabase
from tests.bench.processes import bot, server
from tests.bench.report import ratio, row, title
from tests.databases import load_url
from tests.process import START_SECONDS, environment, settings_for

# What `serve` imports, in its order.
_IMPORTS = "from bot.cli import main; import uvloop; from bot.app import wiring"
# The real command; it prints its own times next to the log.
_TIMED = f"""
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
# Imported in this order; what several share is counted with the first.
_GROUPS = {
    "standard library modules that most use": "asyncio, ssl, logging, json, dataclasses, email.message, urllib.request",
    "pydantic, pydantic-settings": "pydantic, pydantic_settings",
    "sqlalchemy": "sqlalchemy, sqlalchemy.dialects.sqlite, sqlalchemy.dialects.postgresql",
    "aiohttp": "aiohttp",
    "slack_sdk, slack_bolt": "slack_bolt.async_app, slack_sdk.web.async_client, slack_sdk.socket_mode.aiohttp",
    "structlog, with rich": "structlog",
    "httpx": "httpx",
    "starlette, uvicorn": "starlette.applications, starlette.routing, uvicorn",
    "typer, prometheus_client, uvloop": "typer, prometheus_client, uvloop",
}
_RESIDENT = "int(open('/proc/self/statm').read().split()[1]) * __import__('resource').getpagesize() / 1e6"
_SHOWN_PACKAGES = 8


async def startup(new_database: NewDatabase, rounds: int) -> None:
    """Compare how long a start takes, and the memory at rest, with a default Bolt app's."""
    starts: dict[str, list[tuple[float, float]]] = {"bot": [], "bolt": []}
    for _ in range(rounds):
        async with bot("http", new_database()) as running:
            starts["bot"].append((running.start_seconds, running.megabytes))
        async with server("bolt") as running:
            starts["bolt"].append((running.start_seconds, running.megabytes))
    title("From the start of the process until it serves, compared with a default Bolt app (medians)")
    ours, theirs = ([median(values) for values in zip(*each, strict=True)] for each in starts.values())
    ratio("the bot / the Bolt app", ours[0], theirs[0])
    row("resident at rest", f"{ours[1]:.0f} MB / {theirs[1]:.0f} MB = {ours[1] / theirs[1]:.2f}")
    await _phases(new_database, rounds)
    await asyncio.to_thread(_imports)
    await asyncio.to_thread(_memory)


async def _phases(new_database: NewDatabase, rounds: int) -> None:
    starts = [await _start(new_database()) for _ in range(rounds)]
    medians = {name: median(each[name] for each in starts) for name in starts[0]}
    whole = sum(medians.values())
    title("The phases of a start (medians)")
    for name, seconds in medians.items():
        row(name, f"{seconds * 1e3:.0f} ms / {whole * 1e3:.0f} ms = {seconds / whole:.2f}")


async def _start(database_url: str) -> Mapping[str, float]:
    """Start the real process once, and return the seconds of each phase."""
    await asyncio.to_thread(migrate, load_url(database_url))
    with tempfile.TemporaryDirectory() as folder:
        async with LocalSlack() as slack, LocalTurso() as turso:
            settings = environment(settings_for(slack, turso, database_url, mode="http"))
            began = time.time()
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", _TIMED, "serve", cwd=folder, env=settings, stderr=asyncio.subprocess.PIPE
            )
            try:
                times = await _times(process)
            finally:
                process.kill()
                await process.wait()
    return _durations(began, times, auth_test=slack.calls[0].at)


async def _times(process: asyncio.subprocess.Process) -> Mapping[str, float]:
    """Read the time of each event, in Unix seconds, up to the one that ends the start."""
    times: dict[str, float] = {}
    assert process.stderr is not None
    async with asyncio.timeout(START_SECONDS):
        while "serving" not in times:
            line = json.loads(await process.stderr.readline())
            times[line["event"]] = _unix(line["at"])
    return times


def _durations(began: float, times: Mapping[str, float], auth_test: float) -> Mapping[str, float]:
    settings = times["settings"] - times["imported"]
    return {
        "the interpreter": times["interpreter"] - began,
        "imports": times["imported"] - times["interpreter"],
        "settings": settings,
        "database opened, schema checked": auth_test - times["settings"] - settings,  # `serve` loads them once more
        "auth.test, listeners, the first sweep": times["starting"] - auth_test,
        "grants, the trail's head, listening": times["serving"] - times["starting"],
    }


def _unix(at: str | float) -> float:
    return at if isinstance(at, float) else datetime.fromisoformat(at).timestamp()


def _imports() -> None:
    """Print the time of imports by package; measuring slows them down, so only the shares count."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", _IMPORTS], env=environment({}), stderr=subprocess.PIPE, check=True
    )
    taken: Counter[str] = Counter()
    for own, name in re.findall(r"^import time: +(\d+) \| +\d+ \| +(\w+)", done.stderr.decode(), re.MULTILINE):
        taken["the standard library" if name in sys.stdlib_module_names else name] += int(own)
    whole = taken.total()
    title(f"Imports by package, {whole / 1e3:.0f} ms while they are traced")
    for name, microseconds in taken.most_common(_SHOWN_PACKAGES):
        row(name, f"{microseconds / 1e3:.0f} ms / {whole / 1e3:.0f} ms = {microseconds / whole:.2f}")
    row("alembic", "imported" if "alembic" in taken else "not imported", "not imported", met="alembic" not in taken)


def _memory() -> None:
    """Import one group of packages after another in one process, and print what each adds."""
    steps = [f"import {names}\nseen.append({_RESIDENT})" for names in _GROUPS.values()]
    script = "\n".join(("seen = []", f"seen.append({_RESIDENT})", *steps, _IMPORTS, f"seen.append({_RESIDENT})"))
    seen = json.loads(_output(f"{script}\nprint(seen)"))
    title("Resident memory by import, each on top of the ones above it")
    names = ("the interpreter", *_GROUPS, "the bot itself")
    for name, (before, after) in zip(names, pairwise((0, *seen)), strict=True):
        row(name, f"{after - before:.1f} MB / {seen[-1]:.1f} MB = {(after - before) / seen[-1]:.2f}")


def _output(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], env=environment({}), stdout=subprocess.PIPE, check=True)
    return done.stdout.decode()
