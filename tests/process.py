"""The real process, `turso-rotate serve`, as a test starts, watches and kills it."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from tests.forks import Fork

START_SECONDS = 20.0


class BotProcess:
    """One `turso-rotate serve` with its settings; an async context manager that kills it at the end."""

    def __init__(self, folder: Path, settings: Mapping[str, str], *, fork: bool = True) -> None:
        self._fork = fork
        self._folder = folder
        self._settings = settings
        self._process: asyncio.subprocess.Process | Fork | None = None
        self._reading: asyncio.Task[None] | None = None
        self._changed = asyncio.Condition()
        self.lines: list[str] = []
        self.port = 0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
        await self.ended()

    async def start(self, *arguments: str) -> None:
        """Start, and wait until it serves."""
        await self.launch(*arguments)
        ready = await self.logs("serving")
        self.port = int(ready["port"])

    async def launch(self, *arguments: str) -> None:
        """Start without waiting."""
        self._process = await start(self._settings, self._folder, "serve", *arguments, fork=self._fork)
        self.lines = []
        self._reading = asyncio.ensure_future(self._read(self._process))

    async def _read(self, process: asyncio.subprocess.Process | Fork) -> None:
        assert process.stderr is not None
        async for line in process.stderr:
            self.lines.append(line.decode())
            async with self._changed:
                self._changed.notify_all()
        await process.wait()
        async with self._changed:
            self._changed.notify_all()

    async def logs(self, event: str) -> dict[str, Any]:
        """Wait for a log line with this event."""

        def found() -> dict[str, Any] | None:
            return next((line for line in map(_record, self.lines) if line.get("event") == event), None)

        def over() -> bool:
            return found() is not None or (self._process is not None and self._process.returncode is not None)

        async with asyncio.timeout(START_SECONDS), self._changed:
            await self._changed.wait_for(over)
        line = found()
        assert line is not None, "".join(self.lines)
        return line

    async def kills(self) -> None:
        """Kill -9."""
        await self.signals(signal.SIGKILL)
        await self.ended()

    async def signals(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    async def ended(self) -> int:
        """Wait for the end; returns the exit code."""
        assert self._process is not None
        assert self._reading is not None
        async with asyncio.timeout(40):
            await self._reading
            return await self._process.wait()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def output(self) -> str:
        """Everything it logged."""
        return "".join(self.lines)


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Build an environment with these settings alone, beside what Python itself needs."""
    ours = ("PATH", "LANG", "SSL_CERT_FILE", "COVERAGE_PROCESS_START")
    kept = {name: value for name in ours if (value := os.environ.get(name))}  # noqa: TID251 - the test's own
    root = str(Path(__file__).parents[1])
    return {**kept, "PYTHONPATH": root, "PYTHONWARNINGS": "error::RuntimeWarning", **settings}


def settings_for(slack: LocalSlack, turso: LocalTurso, database_url: str, *, mode: str = "socket") -> dict[str, str]:
    """Configure a bot for the local Slack and the local Turso."""
    ways_in = {
        "socket": {"SLACK_APP_TOKEN": "xapp-local-app"},
        "http": {"SLACK_SIGNING_SECRET": "local-signing-secret"},
    }
    return {
        "SLACK_BOT_TOKEN": "xoxb-local-bot",
        "SLACK_API_URL": slack.api_url,
        "TURSO_ORGANIZATION": "acme",
        "TURSO_API_TOKEN": "local-turso-token",
        "TURSO_API_URL": turso.url,
        "TURSO_TIMEOUT": "2",
        "DATABASE_URL": database_url,
        "AUDIT_CHANNEL": "C0AUDIT",
        "PORT": "0",
        "LOG_FORMAT": "json",
        **ways_in[mode],
    }


async def run(settings: Mapping[str, str], folder: Path, *arguments: str, given: str = "") -> tuple[int, str, str]:
    """Run a command, with something to read; returns its exit code, standard output and standard error."""
    process = await start(settings, folder, *arguments, given=given)
    async with asyncio.timeout(START_SECONDS):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def start(
    settings: Mapping[str, str], folder: Path, *arguments: str, fork: bool = True, given: str = ""
) -> asyncio.subprocess.Process | Fork:
    """Start a command; if its settings change how Python itself starts, it is no fork and reads from a pipe."""
    variables, limit = environment(settings), 2**22
    if fork and not any(name.startswith("PYTHON") for name in settings):
        return await Fork.start(folder, variables, *arguments, limit=limit, given=given.encode())
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", *arguments, cwd=folder, env=variables, limit=limit,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


def _record(line: str) -> dict[str, Any]:
    try:
        return dict(json.loads(line))
    except ValueError:
        return {}
