"""Socket Mode: single-use tickets, up to ten connections, envelopes and their acknowledgements."""

import asyncio
import json
import secrets
from dataclasses import dataclass
from typing import Any, Literal

from aiohttp import WSMsgType, web

from bot.sandbox.feed import Feed
from bot.sandbox.workspace import APP_ID

MOST = 10
Reason = Literal["warning", "refresh_requested", "link_disabled", "too_many_websockets"]
_HOST = "applink-local"
_HEARTBEAT = 10.0  # seconds between pings


class NoSocketError(Exception):
    """No connection is open over which the envelope could go."""


@dataclass(frozen=True, slots=True, eq=False)
class _Line:
    """One open connection."""

    socket: web.WebSocketResponse
    request: web.BaseRequest


class Sockets:
    """The WebSocket connections between Slack and the app."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._tickets: set[str] = set()
        self._lines: list[_Line] = []
        self._acks: dict[str, asyncio.Future[Any]] = {}
        self._turn = 0
        self._refusals = 0

    def __len__(self) -> int:
        return len(self._lines)

    def ticket(self) -> str:
        """Return a ticket that opens one connection, once."""
        ticket = secrets.token_urlsafe(24)
        self._tickets.add(ticket)
        return ticket

    def refuse(self, times: int) -> None:
        """Refuse the next handshakes; their tickets are used up all the same."""
        self._refusals = times

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Open a connection, and listen to it until it ends."""
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            return web.Response(status=403, text="invalid ticket")
        self._tickets.discard(ticket)
        if self._refusals > 0:
            self._refusals -= 1
            return web.Response(status=503, text="try later")
        socket = web.WebSocketResponse(heartbeat=_HEARTBEAT, timeout=1.0, compress=False)
        await socket.prepare(request)
        await self._listens(_Line(socket, request))
        return socket

    async def send(self, envelope: dict[str, Any], over: int | None = None) -> Any:
        """Send over one connection (round robin, or the one with this index), and wait for the ack's payload.

        Raises:
            NoSocketError: nothing is connected.

        """
        ack: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._acks[envelope["envelope_id"]] = ack
        try:
            await self._sends(json.dumps(envelope), over)
            return await ack
        finally:
            del self._acks[envelope["envelope_id"]]

    async def disconnect(self, reason: Reason) -> None:
        """Announce the end on every connection, then close it."""
        await asyncio.gather(*(_dismisses(line, reason, len(self)) for line in list(self._lines)))

    def drop(self) -> None:
        """Abort every connection without a word."""
        for line in list(self._lines):
            if line.request.transport is not None:
                line.request.transport.abort()

    async def _listens(self, line: _Line) -> None:
        if len(self) >= MOST:
            await _dismisses(line, "too_many_websockets", len(self))
            return
        self._lines.append(line)
        try:
            await line.socket.send_json(_hello(len(self)))
            self._feed.publish("sockets")
            async for message in line.socket:
                if message.type is WSMsgType.TEXT:
                    self._hears(json.loads(message.data))
        finally:
            self._lines.remove(line)
            self._feed.publish("sockets")

    def _hears(self, said: dict[str, Any]) -> None:
        ack = self._acks.get(said.get("envelope_id", ""))
        if ack is not None and not ack.done():
            ack.set_result(said.get("payload"))

    async def _sends(self, envelope: str, over: int | None) -> None:
        for _ in range(len(self)):
            line = self._next() if over is None else self._lines[over]
            try:
                await line.socket.send_str(envelope)
            except ConnectionError:  # it is dying: the next one may live
                continue
            return
        raise NoSocketError

    def _next(self) -> _Line:
        self._turn = (self._turn + 1) % len(self)
        return self._lines[self._turn]


async def _dismisses(line: _Line, reason: Reason, connections: int) -> None:
    farewell = {"type": "disconnect", "reason": reason, "num_connections": connections}
    await line.socket.send_json({**farewell, "debug_info": {"host": _HOST}})
    await line.socket.close()


def _hello(connections: int) -> dict[str, Any]:
    debug = {"host": _HOST, "build_number": 1, "approximate_connection_time": 18_060}
    info = {"num_connections": connections, "debug_info": debug, "connection_info": {"app_id": APP_ID}}
    return {"type": "hello", **info}
