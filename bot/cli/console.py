"""Read and write at a terminal that may be interrupted, or close, at any moment."""

import asyncio
import os
import signal
import sys
import termios
from collections.abc import Coroutine
from contextlib import suppress
from typing import TypeVar

import typer

T = TypeVar("T")

_LONGEST_LINE = 4096
_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


class Console:
    """The terminal of one command, for a running event loop.

    Signals break nothing off. They set `stopped`, and the command ends what it began.
    """

    def __init__(self) -> None:
        self.stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as `nohup` asks
                loop.add_signal_handler(number, self.stopped.set)

    @property
    def is_interactive(self) -> bool:
        """Whether somebody types the input, and reads the question first."""
        return sys.stdin is not None and sys.stdin.isatty()

    def say(self, *lines: str) -> None:
        """Write lines to standard error."""
        self._write("\n".join(lines), err=True)

    def print(self, *lines: str) -> None:
        """Write lines to standard output."""
        self._write("\n".join(lines))

    async def ask(self, question: str) -> str:
        """Ask on standard error, and return a line of the input; the end of it, and a signal, are an empty one."""
        if self.is_interactive:
            termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)  # typed before the question could be read
        self._write(question, err=True, nl=False)
        typed = b""
        while b"\n" not in typed and len(typed) < _LONGEST_LINE and not self.stopped.is_set():
            if not (more := await self._read()):
                break
            typed += more
        line, end, _ = typed.partition(b"\n")
        if self.stopped.is_set():
            self.say("")
        return line.decode(errors="replace") if end and not self.stopped.is_set() else ""

    async def unless_stopped(self, work: Coroutine[None, None, T]) -> T | None:
        """Wait for the work, but give it up, with `None`, at the next signal."""
        self.stopped.clear()
        task = asyncio.ensure_future(work)
        await self.until_stopped(task)
        if task.done():
            return task.result()
        task.cancel()
        await asyncio.wait({task})
        return None

    async def until_stopped(self, task: asyncio.Task[T]) -> None:
        """Wait for the task or for a signal."""
        signalled = asyncio.ensure_future(self.stopped.wait())
        await asyncio.wait((task, signalled), return_when=asyncio.FIRST_COMPLETED)
        signalled.cancel()

    async def _read(self) -> bytes:
        """Read what was typed; empty at the end of the input and at a signal."""
        try:
            number = sys.stdin.fileno()
        except (AttributeError, OSError, ValueError):
            return b""  # there is none
        loop, readable = asyncio.get_running_loop(), asyncio.Event()
        with suppress(PermissionError):  # a file, which is always readable
            loop.add_reader(number, readable.set)
            waiting = asyncio.ensure_future(readable.wait())
            await self.until_stopped(waiting)
            waiting.cancel()
            loop.remove_reader(number)
        with suppress(OSError):  # the terminal is gone
            return b"" if self.stopped.is_set() else os.read(number, 4096)
        return b""

    def _write(self, text: str, *, err: bool = False, nl: bool = True) -> None:
        """Write, unless the terminal is gone: what happens must be recorded all the same."""
        try:
            typer.echo(text, err=err, nl=nl)
        except OSError:
            # Or the flush at the exit fails too, and turns a success into a failure.
            os.dup2(os.open(os.devnull, os.O_WRONLY), (sys.stderr if err else sys.stdout).fileno())
