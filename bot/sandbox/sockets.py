"""Socket Mode: single-use tickets, up to ten connections, envelopes and their acknowledgements."""

import asyncio
import json
import secrets
from dataclasses import dataclass
from typing import Any, Literal

from aiohttp import WSMsgType, web

from bot.sandbox.changes import ChangeBus
from bot.sandbox.json_object import JsonObject
from bot.sandbox.workspace import APP_ID

DisconnectReason = Literal["warning", "refresh_requested", "link_disabled", "too_many_websockets"]
_MAX_CONNECTIONS = 10
_HOST = "applink-local"
_HEARTBEAT = 10.0  # seconds between pings


class NoSocketError(Exception):
    """No connection is open that could carry the envelope."""


@dataclass(frozen=True, slots=True, eq=False)
class _Connection:
    """One open connection."""

    socket: web.WebSocketResponse
    request: web.BaseRequest


class SocketServer:
    """Slack's end of the WebSocket connections to the app."""

    def __init__(self, changes: ChangeBus) -> None:
        self._changes = changes
        self._tickets: set[str] = set()
        self._connections: list[_Connection] = []
        self._acks: dict[str, asyncio.Future[Any]] = {}
        self._turn = 0
        self._refusals = 0

    def __len__(self) -> int:
        return len(self._connections)

    def issue_ticket(self) -> str:
        """Return a ticket that opens one connection, once."""
        ticket = secrets.token_urlsafe(24)
        self._tickets.add(ticket)
        return ticket

    def refuse(self, times: int) -> None:
        """Refuse the next handshakes; their tickets are used up all the same."""
        self._refusals = times

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Open a connection, and receive from it until it ends."""
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            return web.Response(status=403, text="invalid ticket")
        self._tickets.discard(ticket)
        if self._refusals > 0:
            self._refusals -= 1
            return web.Response(status=503, text="try later")
        socket = web.WebSocketResponse(heartbeat=_HEARTBEAT, timeout=1.0, compress=False)
        await socket.prepare(request)
        await self._receive(_Connection(socket, request))
        return socket

    async def send(self, envelope: JsonObject, over: int | None = None) -> Any:
        """Send over one connection (round robin, or the one with this index), and return the ack's payload.

        Raises:
            NoSocketError: no connection is open.

        """
        ack: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._acks[envelope["envelope_id"]] = ack
        try:
            await self._send(json.dumps(envelope), over)
            return await ack
        finally:
            del self._acks[envelope["envelope_id"]]

    async def disconnect(self, reason: DisconnectReason) -> None:
        """Announce the end on every connection, then close it."""
        await asyncio.gather(*(_dismiss(each, reason, len(self)) for each in list(self._connections)))

    def drop(self) -> None:
        """Abort every connection without an announcement."""
        for connection in list(self._connections):
            if connection.request.transport is not None:
                connection.request.transport.abort()

    async def _receive(self, connection: _Connection) -> None:
        if len(self) >= _MAX_CONNECTIONS:
            await _dismiss(connection, "too_many_websockets", len(self))
            return
        self._connections.append(connection)
        try:
            await connection.socket.send_json(_hello(len(self)))
            self._changes.publish("sockets")
            async for message in connection.socket:
                if message.type is WSMsgType.TEXT:
                    self._acknowledge(json.loads(message.data))
        finally:
            self._connections.remove(connection)
            self._changes.publish("sockets")

    def _acknowledge(self, reply: JsonObject) -> None:
        ack = self._acks.get(reply.get("envelope_id", ""))
        if ack is not None and not ack.done():
            ack.set_result(reply.get("payload"))

    async def _send(self, envelope: str, over: int | None) -> None:
        for _ in range(len(self)):
            connection = self._next() if over is None else self._connections[over]
            try:
                await connection.socket.send_str(envelope)
            except ConnectionError:  # this one is closing; the next one may be alive
                continue
            return
        raise NoSocketError

    def _next(self) -> _Connection:
        self._turn = (self._turn + 1) % len(self)
        return self._connections[self._turn]


async def _dismiss(connection: _Connection, reason: DisconnectReason, connections: int) -> None:
    farewell = {"type": "disconnect", "reason": reason, "num_connections": connections}
    await connection.socket.send_json({**farewell, "debug_info": {"host": _HOST}})
    await connection.socket.close()


def _hello(connections: int) -> JsonObject:
    debug = {"host": _HOST, "build_number": 1, "approximate_connection_time": 18_060}
    info = {"num_connections": connections, "debug_info": debug, "connection_info": {"app_id": APP_ID}}
    return {"type": "hello", **info}
