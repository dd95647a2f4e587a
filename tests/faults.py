"""Faults of an HTTP exchange that only tests inject.

```
Fault                     see `bot.sandbox.faults`
├── GzipBomb              a small compressed body that is huge when unpacked
├── SlowDrip              the response, one byte a second
├── InvalidHttp           bytes that are not HTTP
├── TruncatedHeaders      the connection ends within the headers
├── TruncatedBody         the connection ends before the promised length
└── ResetOnReuse          kept-alive connections are reset when their second request arrives
```
"""

import asyncio
import socket
import struct
import zlib
from dataclasses import dataclass

from aiohttp import web

from bot.sandbox.faults import Exchange, Fault

_MEGABYTE = 1_000_000
_GZIP = 31  # zlib's `wbits` for a gzip header and trailer
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, for 0 s: close() sends RST instead of FIN


@dataclass(frozen=True, slots=True)
class GzipBomb(Fault):
    """Respond with a gzip stream of zeros."""

    size: int = 300 * _MEGABYTE  # bytes when unpacked
    status: int = 200

    async def _respond(self, exchange: Exchange) -> web.StreamResponse | None:
        response = web.StreamResponse(status=self.status, headers={"Content-Encoding": "gzip"})
        await response.prepare(exchange.request)
        packer, zeros = zlib.compressobj(level=1, wbits=_GZIP), bytes(_MEGABYTE)
        for _ in range(self.size // _MEGABYTE):
            await response.write(packer.compress(zeros))
        await response.write(packer.flush())
        return response


@dataclass(frozen=True, slots=True)
class SlowDrip(Fault):
    """Send a response one byte at a time, so that a time-out between two bytes never fires."""

    interval: float = 1.0  # seconds
    answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"

    async def _respond(self, exchange: Exchange) -> web.StreamResponse | None:
        for byte in self.answer:
            _write(exchange, bytes([byte]))
            await asyncio.sleep(self.interval)
        return None


@dataclass(frozen=True, slots=True)
class InvalidHttp(Fault):
    """Respond with bytes that are not HTTP."""

    data: bytes = b"\x16\x03\x01\x02\x00 certainly not HTTP \x00\xff\r\n\r\n"

    async def _respond(self, exchange: Exchange) -> web.StreamResponse | None:
        _write(exchange, self.data)
        return None


@dataclass(frozen=True, slots=True)
class TruncatedHeaders(Fault):
    """Close the connection within the headers of the response."""

    async def _respond(self, exchange: Exchange) -> web.StreamResponse | None:
        _write(exchange, b"HTTP/1.1 200 OK\r\nContent-Type: applicat")
        return None


@dataclass(frozen=True, slots=True)
class TruncatedBody(Fault):
    """Close the connection half-way through the body."""

    status: int = 200

    async def _respond(self, exchange: Exchange) -> web.StreamResponse | None:
        _write(exchange, b"HTTP/1.1 %d -\r\nContent-Type: application/json\r\n" % self.status)
        _write(exchange, b'Content-Length: 64\r\n\r\n{"group": {"name": "paym')
        return None


@dataclass(frozen=True, slots=True)
class ResetOnReuse(Fault):
    """Reset a kept-alive connection just as its second request arrives, which then does no work."""

    def takes_effect(self, *, reused: bool) -> bool:
        """Let through what comes on a fresh connection."""
        return self.performs and not reused

    async def _respond(self, exchange: Exchange) -> web.StreamResponse | None:
        if not exchange.reused:
            return exchange.usual
        transport = exchange.request.transport
        if isinstance(transport, asyncio.Transport):
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
            transport.abort()
        return None


def _write(exchange: Exchange, data: bytes) -> None:
    """Put bytes on the wire, whether or not they are HTTP."""
    if exchange.request.transport is not None:
        exchange.request.transport.write(data)
