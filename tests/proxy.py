"""A TCP proxy in front of a server, for tests in which the network fails."""

import asyncio
import contextlib
from typing import Self


class Proxy:
    """Forward to a port on 127.0.0.1, until told to fall silent or to cut everything; an async context manager."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self._target = target
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._silent = asyncio.Event()
        self._fuse: list[bytes] = []

    async def __aenter__(self) -> Self:
        await self.resumes()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._flows.set()
        await self.cuts()

    def stalls(self) -> None:
        """Fall silent: connections are accepted and stay open, and no byte gets through."""
        self._flows.clear()
        self._silent.set()

    def stalls_after(self, *needles: bytes) -> None:
        """Fall silent once the client has sent these, one after the other; the last one still gets through."""
        self._fuse = list(needles)

    async def is_silent(self) -> None:
        """Wait until it has fallen silent."""
        await self._silent.wait()

    async def cuts(self) -> None:
        """Abort every connection, and refuse new ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.transport.abort()

    async def resumes(self) -> None:
        """Forward again; what was held back since `stalls` arrives late."""
        self._silent.clear()
        self._flows.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            await self._flows.wait()
            if writer.transport.is_closing():  # cut meanwhile: what it sent is lost
                self._ends(writer)
                return
            there_reader, there = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            self._ends(writer)
            return
        self._writers.add(there)
        await asyncio.gather(self._pumps(reader, there, watched=True), self._pumps(there_reader, writer))
        self._ends(writer)
        self._ends(there)

    async def _pumps(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, watched: bool = False) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                await self._flows.wait()
                if sink.transport.is_closing():
                    break
                sink.write(data)
                await sink.drain()
                if watched:
                    self._burns(data)
        self._ends(sink)

    def _burns(self, data: bytes) -> None:
        if self._fuse and self._fuse[0] in data:
            self._fuse.pop(0)
            if not self._fuse:
                self.stalls()

    def _ends(self, writer: asyncio.StreamWriter) -> None:
        self._writers.discard(writer)
        writer.close()
