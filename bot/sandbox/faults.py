"""Ways in which an HTTP exchange goes wrong after the request was read.

```
Fault                     a late response, otherwise as usual
├── FixedResponse         another status, body or headers
├── Hang                  no response until released
└── CloseConnection       no response, and the connection is closed
```
"""

import asyncio
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request that was read, and the response it would have got without a fault."""

    request: web.BaseRequest
    usual: web.Response
    reused: bool  # the connection carried an earlier request
    released: asyncio.Event


@dataclass(frozen=True, slots=True)
class Fault:
    """Respond `delay` seconds late; the request takes effect before that, unless `performs` is false."""

    _: KW_ONLY
    delay: float = 0.0
    performs: bool = True

    def takes_effect(self, *, reused: bool) -> bool:  # noqa: ARG002 - for faults that depend on the connection
        """Check whether the request does its work although its response is faulty."""
        return self.performs

    async def apply(self, exchange: Exchange) -> web.StreamResponse | None:
        """Wait, then return the response, or `None` to close the connection."""
        await asyncio.sleep(self.delay)
        return await self._respond(exchange)

    async def _respond(self, exchange: Exchange) -> web.StreamResponse | None:
        return exchange.usual


@dataclass(frozen=True, slots=True)
class FixedResponse(Fault):
    """Respond with this status, body and headers; a 3xx or 4xx does no work, whatever `performs` says."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def takes_effect(self, *, reused: bool) -> bool:  # noqa: ARG002 - see `Fault`
        """Let only a status that does not deny the work take effect."""
        return self.performs and not 300 <= self.status < 500  # noqa: PLR2004 - 3xx and 4xx

    async def _respond(self, exchange: Exchange) -> web.StreamResponse | None:  # noqa: ARG002 - see `Fault`
        response = web.Response(status=self.status, body=self.body, headers=self.headers)
        response.headers.setdefault("Content-Type", "application/json")
        return response


@dataclass(frozen=True, slots=True)
class Hang(Fault):
    """Send nothing until the server is told to release, then respond as usual."""

    async def _respond(self, exchange: Exchange) -> web.StreamResponse | None:
        await exchange.released.wait()
        return exchange.usual


@dataclass(frozen=True, slots=True)
class CloseConnection(Fault):
    """Close the connection without a response."""

    async def _respond(self, exchange: Exchange) -> web.StreamResponse | None:  # noqa: ARG002 - see `Fault`
        return None
