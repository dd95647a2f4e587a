"""One replica of the bot: the real process, ended and started again and again."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tests.process import BotProcess, environment
from tests.torture.ledger import Ledger

_AGAIN_SECONDS = 0.3


class _MistakenBot(BotProcess):
    """A bot with planted mistakes."""

    def __init__(self, folder: Path, settings: Mapping[str, str], mistakes: Sequence[str]) -> None:
        super().__init__(folder, settings)
        self._mistakes = mistakes

    async def launch(self, *_: str) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.torture.mistakes", *self._mistakes,
            cwd=self._folder, env=environment(self._settings), limit=2**22, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        self.lines = []
        self._reading = asyncio.ensure_future(self._read(self._process))


class Replica:
    """A process, what it logged, and its faults."""

    def __init__(
        self, number: int, folder: Path, settings: Mapping[str, str], ledger: Ledger, mistakes: Sequence[str]
    ) -> None:
        self.number = number
        self._bot = _MistakenBot(folder, settings, mistakes) if mistakes else BotProcess(folder, settings)
        self._ledger = ledger
        self._serves = asyncio.Event()
        self._pressed = asyncio.Event()

    @property
    def request_url(self) -> str:
        """Where Slack's requests arrive over HTTP."""
        return f"http://127.0.0.1:{self._bot.port}/slack/events"

    def was_pressed(self) -> None:
        """Note that a press has just arrived, for faults that want to come while it is worked on."""
        self._pressed.set()

    async def is_pressed(self, seconds: float) -> None:
        """Wait for the next press, for a while."""
        self._pressed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._pressed.wait()

    async def start(self) -> None:
        """Start until it serves: while the database or Slack is away, it ends again at once."""
        while True:
            await self._bot.launch()
            try:
                ready = await self._bot.logs("serving")
            except (AssertionError, TimeoutError):
                await self._end(signal.SIGKILL)
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            self._bot.port = int(ready["port"])
            self._serves.set()
            return

    async def again(self, number: signal.Signals, seconds: float) -> None:
        """End it, and start it again after a while."""
        name = "killed" if number == signal.SIGKILL else "restarted"
        with self._ledger.fault("replica", name, self.number):
            self._serves.clear()
            code = await self._end(number)
            if number == signal.SIGTERM and code != 0:
                self._ledger.unexpected.append(f"replica {self.number} ended with {code} after SIGTERM")
            await asyncio.sleep(seconds)
            await self.start()

    async def stand_still(self, seconds: float) -> None:
        """Stop it (SIGSTOP), and let it go on after a while."""
        with self._ledger.fault("replica", "stood still", self.number):
            try:
                os.kill(self._bot.pid, signal.SIGSTOP)
                await asyncio.sleep(seconds)
            finally:
                with suppress(ProcessLookupError):
                    os.kill(self._bot.pid, signal.SIGCONT)

    async def stop(self) -> None:
        """End it for good, politely."""
        code = await self._end(signal.SIGTERM)
        if code != 0:
            self._ledger.unexpected.append(f"replica {self.number} ended with {code} after SIGTERM")

    async def kill(self) -> None:
        """End it for good, if it was ever started."""
        if self._bot._process is not None and self._bot._process.returncode is None:
            os.kill(self._bot.pid, signal.SIGCONT)
            await self._end(signal.SIGKILL)

    async def _end(self, number: signal.Signals) -> int:
        process = self._bot._process
        if process is not None and process.returncode is not None and self._serves.is_set():
            self._ledger.unexpected.append(f"replica {self.number} had ended by itself with {process.returncode}")
        await self._bot.signals(number)
        code = await self._bot.ended()
        self._ledger.logs += self._bot.lines
        return code
