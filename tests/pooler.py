"""Connection poolers for the tests: PgBouncer where it is installed, and a small stand-in that behaves like it."""

import asyncio
import contextlib
import shutil
import struct
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from tests.postgres import free_port, unprivileged_account

Mode = Literal["session", "transaction"]
POOLERS = ("stand-in", *(["pgbouncer"] if shutil.which("pgbouncer") else []))

_KNOWN = {"user", "database", "application_name", "client_encoding", "DateStyle", "TimeZone"}
_SSL, _GSS = 80877103, 80877104
_START_SECONDS = 10.0
_CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={target}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = {mode}
ignore_startup_parameters = {ignored}
default_pool_size = 3
"""


@asynccontextmanager
async def pooler(kind: str, target: int, mode: Mode, *, drops_options: bool = False) -> AsyncIterator[int]:
    """Stand between clients and the server at a port on 127.0.0.1; yields the pooler's port."""
    opened = _pgbouncer if kind == "pgbouncer" else _stand_in
    async with opened(target, mode, drops_options=drops_options) as port:
        yield port


@asynccontextmanager
async def _pgbouncer(target: int, mode: Mode, *, drops_options: bool) -> AsyncIterator[int]:
    account, port = unprivileged_account(), free_port()
    folder = Path(tempfile.mkdtemp(prefix="turso-rotate-pgbouncer-"))
    settings = folder / "pgbouncer.ini"
    ignored = "extra_float_digits" + (", options" if drops_options else "")
    settings.write_text(_CONFIGURATION.format(target=target, port=port, folder=folder, mode=mode, ignored=ignored))
    (folder / "users").write_text('"postgres" ""\n')
    if account:
        for path in (folder, settings, folder / "users"):
            shutil.chown(path, account["user"], account["group"])
    process = await asyncio.create_subprocess_exec("pgbouncer", "-q", settings, cwd=folder, **account)
    try:
        await _listens(port)
        yield port
    finally:
        process.kill()
        await process.wait()
        shutil.rmtree(folder)


async def _listens(port: int) -> None:
    async with asyncio.timeout(_START_SECONDS):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                await writer.wait_closed()
                return
            await asyncio.sleep(0.01)


@asynccontextmanager
async def _stand_in(target: int, mode: Mode, *, drops_options: bool) -> AsyncIterator[int]:
    pool = _StandIn(target, mode, drops_options=drops_options)
    server = await asyncio.start_server(pool.serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await pool.close()


class _Backend:
    """One session of the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.greeting: list[bytes] = []

    async def login(self, parameters: dict[str, str]) -> None:
        """Log in without a password, and keep what the server says of its settings."""
        self.writer.write(_startup(parameters))
        while (message := await _message(self.reader))[:1] != b"Z":
            if message[:1] == b"S":
                self.greeting.append(message)


class _StandIn:
    """Hands each transaction to the session of the server that was idle for the longest time."""

    def __init__(self, target: int, mode: Mode, *, drops_options: bool) -> None:
        self._target = target
        self._mode = mode
        self._known = _KNOWN | ({"options"} if drops_options else set())
        self._idle: list[tuple[str, _Backend]] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: list[asyncio.Task[None]] = []

    async def close(self) -> None:
        """Abort every connection, and wait until nobody is served."""
        for pending in (self._serving, self._writers):  # whoever is still served may connect once more
            for writer in self._writers:
                writer.transport.abort()
            ends = (each.wait_closed() if isinstance(each, asyncio.StreamWriter) else each for each in pending)
            await asyncio.gather(*ends, return_exceptions=True)

    async def serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        """Serve one client until it goes away."""
        self._writers.add(to_client)
        if task := asyncio.current_task():
            self._serving.append(task)
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            parameters = await _greeted(client, to_client)
            if unknown := [name for name in parameters if name not in self._known]:
                to_client.write(_refusal(f"unsupported startup parameter: {unknown[0]}"))
            else:
                parameters.pop("options", None)
                await self._let_in(parameters, client, to_client)
        to_client.close()

    async def _let_in(
        self, parameters: dict[str, str], client: asyncio.StreamReader, to_client: asyncio.StreamWriter
    ) -> None:
        backend = await self._taken(parameters)
        key = struct.pack("!cIII", b"K", 12, 1, 1)  # the pooler's own number, not that of a session
        to_client.write(_typed(b"R", struct.pack("!I", 0)) + b"".join(backend.greeting) + key + _typed(b"Z", b"I"))
        if self._mode == "session":
            await _carry(client, to_client, backend, until_idle=False)
            backend.writer.close()
            return
        self._idle.append((parameters["database"], backend))
        while first := await _message(client):
            backend = await self._taken(parameters)
            await _carry(client, to_client, backend, first)
            self._idle.append((parameters["database"], backend))

    async def _taken(self, parameters: dict[str, str]) -> _Backend:
        """Take one of at least three sessions, so that hardly two transactions in a row meet the same."""
        mine = [each for each in self._idle if each[0] == parameters["database"]]
        if len(mine) >= 3 and self._mode == "transaction":
            self._idle.remove(mine[0])
            return mine[0][1]
        backend = _Backend(*await asyncio.open_connection("127.0.0.1", self._target))
        self._writers.add(backend.writer)
        await backend.login(parameters)
        return backend


async def _carry(
    client: asyncio.StreamReader,
    to_client: asyncio.StreamWriter,
    backend: _Backend,
    first: bytes = b"",
    *,
    until_idle: bool = True,
) -> None:
    """Carry messages both ways, until the transaction is over or the client goes away."""
    message = first
    while True:
        message = message or await _message(client)
        if message[:1] == b"X":
            raise asyncio.IncompleteReadError(b"", None)
        backend.writer.write(message)
        answered = message[:1] in {b"Q", b"S"}  # a query, or the end of several messages
        message = b""
        while answered:
            answer = await _message(backend.reader)
            to_client.write(answer)
            if answer[:1] == b"Z":
                if until_idle and answer[5:] == b"I":
                    return
                break


async def _greeted(client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> dict[str, str]:
    """Read what the client wants, without encryption."""
    while True:
        size, code = struct.unpack("!II", await client.readexactly(8))
        body = await client.readexactly(size - 8)
        if code not in {_SSL, _GSS}:
            words = body.decode(errors="replace").split("\0")
            return {name: value for name, value in zip(words[::2], words[1::2], strict=False) if name}
        to_client.write(b"N")


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(5)
    return head + await reader.readexactly(struct.unpack("!I", head[1:])[0] - 4)


def _startup(parameters: dict[str, str]) -> bytes:
    words = "".join(f"{name}\0{value}\0" for name, value in parameters.items()) + "\0"
    return struct.pack("!II", len(words.encode()) + 8, 3 << 16) + words.encode()


def _typed(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def _refusal(words: str) -> bytes:
    return _typed(b"E", f"SFATAL\0C08P01\0M{words}\0\0".encode())
