"""An HTTP server on 127.0.0.1 that can go offline and come back on the same port."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from weakref import WeakSet

from aiohttp import web

LOOPBACK = "127.0.0.1"

Responder = Callable[[web.BaseRequest], Awaitable[web.StreamResponse | None]]


class LoopbackServer:
    """Serve a responder on 127.0.0.1; where it returns `None`, the connection is closed without another byte.

    The low-level `web.Server` has no routing and no middleware: it is twice as fast, shows the path as it was
    on the wire, and lets faults misuse the transport. A handler is cancelled when its client disconnects, so
    nothing that hangs outlives its connection.
    """

    def __init__(self, respond: Responder, port: int = 0) -> None:
        self.port = port  # 0 until opened, if any free port will do
        self.clock_skew = 0.0  # seconds added to the Date header of responses
        self._respond = respond
        self._seen: WeakSet[asyncio.BaseTransport] = WeakSet()
        self._http: web.Server | None = None
        self._listener: asyncio.Server | None = None
        self._reservation: socket.socket | None = None

    @property
    def url(self) -> str:
        """Return the base URL, without a trailing slash."""
        return f"http://{LOOPBACK}:{self.port}"

    async def open(self) -> None:
        """Listen, always on the same port once it is known."""
        if self._listener is not None:
            return
        self._release_port()
        self._http = web.Server(self._serve, handler_cancellation=True, access_log=None)
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._http, LOOPBACK, self.port, backlog=1024)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Refuse new connections and abort the open ones."""
        self._release_port()
        if self._listener is None or self._http is None:
            return
        self._listener.close()
        for connection in self._http.connections:
            if connection.transport is not None:
                connection.transport.abort()
        await self._http.shutdown(timeout=1)
        self._listener = self._http = None

    async def go_offline(self) -> None:
        """Close, but reserve the port, so that no other process gets it before `open`."""
        await self.close()
        self._reservation = socket.socket()
        self._reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reservation.bind((LOOPBACK, self.port))

    def is_reused(self, request: web.BaseRequest) -> bool:
        """Check whether the connection carried an earlier request; call this once per request."""
        transport = request.transport
        if transport is None or transport in self._seen:
            return transport is not None
        self._seen.add(transport)
        return False

    def _release_port(self) -> None:
        if self._reservation is not None:
            self._reservation.close()
            self._reservation = None

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        response = None
        with contextlib.suppress(ConnectionError):  # the client has left
            response = await self._respond(request)
        if response is not None:
            if not response.prepared:
                response.headers.setdefault("Date", formatdate(time.time() + self.clock_skew, usegmt=True))
            return response
        if request.transport is not None:
            request.transport.close()
        return web.Response()  # aiohttp requires one, and drops it with the closed connection
