"""Ways in which an HTTP exchange goes wrong after the request was read.

```
Fault                 late, and otherwise as usual
├── Answers           another status, body or headers
├── Bombs             a small compressed body that is huge when unpacked
├── Hangs             nothing, until released
├── Drips             the answer, one byte a second
├── Closes            nothing, and the connection is closed
├── BreaksInHeaders   the connection ends within the headers
├── BreaksInBody      the connection ends before the promised length
├── Garbles           bytes that are not HTTP
└── ResetsReused      kept-alive connections are reset when their second request arrives
```
"""

import asyncio
import zlib
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field

from aiohttp import web

from bot.sandbox.port import reset

_MEGABYTE = 1_000_000
_GZIP = 31  # zlib's `wbits` for a gzip header and trailer


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request that was read, and what its answer would have been."""

    request: web.BaseRequest
    usual: web.Response
    reused: bool  # the connection carried a request before
    released: asyncio.Event

    def writes(self, data: bytes) -> None:
        """Put bytes on the wire, whatever HTTP has to say about them."""
        if self.request.transport is not None:
            self.request.transport.write(data)


@dataclass(frozen=True, slots=True)
class Fault:
    """Answer `delay` seconds late; the request takes effect before that, unless `performs` is false."""

    _: KW_ONLY
    delay: float = 0.0
    performs: bool = True

    def takes_effect(self, *, reused: bool) -> bool:  # noqa: ARG002 - for those that look at the connection
        """Say whether the request does its work although its answer is spoiled."""
        return self.performs

    async def befalls(self, exchange: Exchange) -> web.StreamResponse | None:
        """Wait and answer; `None` when the connection is to be closed now."""
        await asyncio.sleep(self.delay)
        return await self._spoils(exchange)

    async def _spoils(self, exchange: Exchange) -> web.StreamResponse | None:
        return exchange.usual


@dataclass(frozen=True, slots=True)
class Answers(Fault):
    """Answer with this status, body and headers; a 3xx or 4xx does no work, whatever `performs` says."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def takes_effect(self, *, reused: bool) -> bool:  # noqa: ARG002 - see `Fault`
        """Believe the status."""
        return self.performs and not 300 <= self.status < 500  # noqa: PLR2004 - 3xx and 4xx

    async def _spoils(self, exchange: Exchange) -> web.StreamResponse | None:  # noqa: ARG002 - see `Fault`
        response = web.Response(status=self.status, body=self.body, headers=self.headers)
        response.headers.setdefault("Content-Type", "application/json")
        return response


@dataclass(frozen=True, slots=True)
class Bombs(Fault):
    """Answer with a gzip stream of zeros."""

    size: int = 300 * _MEGABYTE  # bytes when unpacked
    status: int = 200

    async def _spoils(self, exchange: Exchange) -> web.StreamResponse | None:
        response = web.StreamResponse(status=self.status, headers={"Content-Encoding": "gzip"})
        await response.prepare(exchange.request)
        packer, zeros = zlib.compressobj(level=1, wbits=_GZIP), bytes(_MEGABYTE)
        for _ in range(self.size // _MEGABYTE):
            await response.write(packer.compress(zeros))
        await response.write(packer.flush())
        return response


@dataclass(frozen=True, slots=True)
class Hangs(Fault):
    """Say nothing until the server is told to release, then answer as usual."""

    async def _spoils(self, exchange: Exchange) -> web.StreamResponse | None:
        await exchange.released.wait()
        return exchange.usual


@dataclass(frozen=True, slots=True)
class Drips(Fault):
    """Send an answer one byte at a time, so that a time-out between two bytes never fires."""

    interval: float = 1.0  # seconds
    answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"

    async def _spoils(self, exchange: Exchange) -> web.StreamResponse | None:
        for byte in self.answer:
            exchange.writes(bytes([byte]))
            await asyncio.sleep(self.interval)
        return None


@dataclass(frozen=True, slots=True)
class Closes(Fault):
    """Close the connection without an answer."""

    async def _spoils(self, exchange: Exchange) -> web.StreamResponse | None:  # noqa: ARG002 - see `Fault`
        return None


@dataclass(frozen=True, slots=True)
class BreaksInHeaders(Closes):
    """Close the connection within the headers of the answer."""

    async def _spoils(self, exchange: Exchange) -> web.StreamResponse | None:
        exchange.writes(b"HTTP/1.1 200 OK\r\nContent-Type: applicat")
        return None


@dataclass(frozen=True, slots=True)
class BreaksInBody(Closes):
    """Close the connection half-way through the body."""

    status: int = 200

    async def _spoils(self, exchange: Exchange) -> web.StreamResponse | None:
        exchange.writes(b"HTTP/1.1 %d -\r\nContent-Type: application/json\r\n" % self.status)
        exchange.writes(b'Content-Length: 64\r\n\r\n{"group": {"name": "paym')
        return None


@dataclass(frozen=True, slots=True)
class Garbles(Fault):
    """Answer with bytes that are not HTTP."""

    data: bytes = b"\x16\x03\x01\x02\x00 certainly not HTTP \x00\xff\r\n\r\n"

    async def _spoils(self, exchange: Exchange) -> web.StreamResponse | None:
        exchange.writes(self.data)
        return None


@dataclass(frozen=True, slots=True)
class ResetsReused(Fault):
    """Reset a kept-alive connection just as its second request arrives, which then does no work."""

    def takes_effect(self, *, reused: bool) -> bool:
        """Let through what comes on a fresh connection."""
        return self.performs and not reused

    async def _spoils(self, exchange: Exchange) -> web.StreamResponse | None:
        if not exchange.reused:
            return exchange.usual
        reset(exchange.request.transport)
        return None
