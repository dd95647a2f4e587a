"""The real bot, `turso-rotate serve`, as a separate process that can be killed and restarted."""

import asyncio
import contextlib
import json
import os
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

_INHERITED = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "COVERAGE_PROCESS_START")
_RUN_COMMANDS = """
import json, sys
from bot.cli import app
for command in json.loads(sys.argv[1]):
    app(command, standalone_mode=False)
"""
_KEPT_LINES = 200
_STOP_SECONDS = 5.0


class BotFailedError(Exception):
    """The bot's process ended unexpectedly; the text is the end of its log."""


class BotProcess:
    """Run the bot's commands in one folder with one set of settings."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._folder = folder
        self._environment = _environment(settings)
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._logged = asyncio.Condition()

    @property
    def is_running(self) -> bool:
        """Return whether the process is alive."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        """Return the id of the process, while it is alive."""
        return self._process.pid if self._process is not None and self.is_running else None

    @property
    def log_tail(self) -> str:
        """Return the last lines of the log."""
        return "".join(list(self.lines)[-8:]).strip()

    async def start(self) -> None:
        """Start `serve --migrate`, exactly as an operator would."""
        self.lines.clear()
        self._process = await self._run("-m", "bot", "serve", "--migrate")
        self._reader = asyncio.create_task(self._read(self._process))

    async def logs(self, text: str) -> None:
        """Wait for a log line with this text.

        Raises `BotFailedError` if the process ends first.
        """

        def found() -> bool:
            return not self.is_running or any(text in line for line in self.lines)

        async with self._logged:
            await self._logged.wait_for(found)
        if not self.is_running:
            raise BotFailedError(self.log_tail)

    async def ended(self) -> None:
        """Wait until the process has ended."""
        if self._reader is not None:
            await asyncio.shield(self._reader)

    async def kill(self) -> None:
        """Send SIGKILL, which leaves the bot no time to clean up."""
        if self._process is not None and self.is_running:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        await self.ended()

    async def stop(self) -> None:
        """Send SIGTERM, and SIGKILL if the process does not end in time."""
        if self._process is not None and self.is_running:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.ended(), _STOP_SECONDS)
        await self.kill()

    async def run_commands(self, *commands: Sequence[str]) -> None:
        """Run other commands of the bot one after another, in one process, as starting Python is slow.

        Raises `BotFailedError` if one fails.
        """
        process = await self._run("-c", _RUN_COMMANDS, json.dumps(commands))
        try:
            _, errors = await process.communicate()
        finally:
            if process.returncode is None:  # the sandbox is closing
                process.kill()
                await process.wait()
        if process.returncode != 0:
            raise BotFailedError(errors.decode(errors="replace").strip())

    async def _run(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            cwd=self._folder,  # so that the user's own `.env` is not read
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            limit=2**22,
            start_new_session=True,  # Ctrl-C reaches only the sandbox, which then stops the bot in order
        )

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        if process.stderr is not None:
            async for line in process.stderr:
                self.lines.append(line.decode(errors="replace"))
                async with self._logged:
                    self._logged.notify_all()
        await process.wait()
        async with self._logged:
            self._logged.notify_all()


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Build an environment without the user's own tokens: only what Python needs, and the sandbox's settings."""
    inherited = {name: value for name in _INHERITED if (value := os.environ.get(name))}  # noqa: TID251 - passed on
    return {**inherited, "PYTHONPATH": str(Path(__file__).parents[2]), **settings}
