"""The real bot, `turso-rotate serve`, as a process of its own that can be killed and started again."""

import asyncio
import contextlib
import json
import os
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

_INHERITED = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "COVERAGE_PROCESS_START")
_RUNS_ALL = """
import json, sys
from bot.cli import app
for command in json.loads(sys.argv[1]):
    app(command, standalone_mode=False)
"""
_KEPT_LINES = 200
_END_SECONDS = 5.0


class BotFailedError(Exception):
    """The bot's process ended although it should run; the text is the end of what it said."""


class BotProcess:
    """Runs the bot's commands in one folder with one set of settings."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._folder = folder
        self._environment = _environment(settings)
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._heard = asyncio.Condition()

    @property
    def runs(self) -> bool:
        """Say whether the process is alive."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        """Return the id of the process, while it is alive."""
        return self._process.pid if self._process is not None and self.runs else None

    @property
    def tail(self) -> str:
        """Return the last lines that it logged."""
        return "".join(list(self.lines)[-8:]).strip()

    async def start(self) -> None:
        """Start `serve --migrate`, exactly as an operator would."""
        self.lines.clear()
        self._process = await self._run("-m", "bot", "serve", "--migrate")
        self._reading = asyncio.create_task(self._reads(self._process))

    async def says(self, words: str) -> None:
        """Wait for a line with these words.

        Raises `BotFailedError` when the process ends before.
        """

        def found() -> bool:
            return not self.runs or any(words in line for line in self.lines)

        async with self._heard:
            await self._heard.wait_for(found)
        if not self.runs:
            raise BotFailedError(self.tail)

    async def ended(self) -> None:
        """Wait until the process is no more."""
        if self._reading is not None:
            await asyncio.shield(self._reading)

    async def kill(self) -> None:
        """Kill -9: no goodbye, no clean-up."""
        if self._process is not None and self.runs:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        await self.ended()

    async def stop(self) -> None:
        """Ask it to end, and kill it if it does not."""
        if self._process is not None and self.runs:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.ended(), _END_SECONDS)
        await self.kill()

    async def commands(self, *commands: Sequence[str]) -> None:
        """Run other commands of the bot, one after another; in one process, as starting Python takes longest.

        Raises `BotFailedError` when one fails.
        """
        process = await self._run("-c", _RUNS_ALL, json.dumps(commands))
        try:
            _, said = await process.communicate()
        finally:
            if process.returncode is None:  # the sandbox ends while it still starts
                process.kill()
                await process.wait()
        if process.returncode != 0:
            raise BotFailedError(said.decode(errors="replace").strip())

    async def _run(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            cwd=self._folder,  # no `.env` of the person's own is read here
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            limit=2**22,
            start_new_session=True,  # Ctrl-C is for the sandbox, which then stops the bot in its own order
        )

    async def _reads(self, process: asyncio.subprocess.Process) -> None:
        if process.stderr is not None:
            async for line in process.stderr:
                self.lines.append(line.decode(errors="replace"))
                async with self._heard:
                    self._heard.notify_all()
        await process.wait()
        async with self._heard:
            self._heard.notify_all()


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Build an environment without the person's own tokens: only what Python needs, and the sandbox's settings."""
    inherited = {name: value for name in _INHERITED if (value := os.environ.get(name))}  # noqa: TID251 - passed on
    return {**inherited, "PYTHONPATH": str(Path(__file__).parents[2]), **settings}
