"""Commands of the bot, each in a process of its own: a fork of one that has already imported the bot."""

import asyncio
import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Self


class Fork:
    """A running command, used like an `asyncio.subprocess.Process`."""

    def __init__(
        self, pid: int, stdout: asyncio.StreamReader, stderr: asyncio.StreamReader, end: Awaitable[int]
    ) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdout = stdout
        self.stderr = stderr
        self._end = asyncio.ensure_future(self._note(end))

    @classmethod
    async def start(
        cls, folder: Path, environment: Mapping[str, str], *arguments: str, limit: int, given: bytes = b""
    ) -> Self:
        """Start `python -m bot`, with something to read; `limit` bounds the bytes of a line, as asyncio's does."""
        (stdout, out), (stderr, err) = await _pipe(limit), await _pipe(limit)
        request = {"folder": str(folder), "environment": dict(environment), "arguments": arguments}
        news = await asyncio.open_connection(sock=_send(request, given, out, err))
        return cls(int(await news[0].readline()), stdout, stderr, _last(*news))

    async def communicate(self) -> tuple[bytes, bytes]:
        """Read what it writes until it ends."""
        out, err = await asyncio.gather(self.stdout.read(), self.stderr.read())
        await self.wait()
        return out, err

    async def wait(self) -> int:
        """Wait for its end; returns the exit code, or minus the signal that ended it."""
        return await asyncio.shield(self._end)

    def kill(self) -> None:
        """Kill -9."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def _note(self, end: Awaitable[int]) -> int:
        self.returncode = await end
        return self.returncode


async def _last(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    code = int(await reader.readline())
    writer.close()
    await writer.wait_closed()
    return code


async def _pipe(limit: int) -> tuple[asyncio.StreamReader, int]:
    ours, theirs = os.pipe()
    reader = asyncio.StreamReader(limit)
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(ours, "rb", 0))
    return reader, theirs


def _send(request: Mapping[str, object], given: bytes, out: int, err: int) -> socket.socket:
    """Ask for a fork, and hand it its ends of the pipes; returns the socket that tells its process id and its end."""
    ours, theirs = socket.socketpair()
    with theirs, tempfile.TemporaryFile() as file:
        file.write(given)
        file.seek(0)
        socket.send_fds(_server(), [json.dumps(request).encode()], [file.fileno(), out, err, theirs.fileno()])
    os.close(out)
    os.close(err)
    return ours


@cache
def _server() -> socket.socket:
    """Start the process to fork, which ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    environment = {"PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONWARNINGS": "error::RuntimeWarning"}
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.forkserver"],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),  # nothing is written, but like a pipe it cannot seek, which Python asks once
            env={**os.environ, **environment},  # noqa: TID251 - the forks get theirs
            process_group=0,
        )
    atexit.register(process.wait)
    atexit.register(ours.close)
    return ours
