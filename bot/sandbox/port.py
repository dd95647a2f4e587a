"""A loopback HTTP port that can vanish and come back."""

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from weakref import WeakSet

from aiohttp import web

LOOPBACK = "127.0.0.1"
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, for 0 s: close() sends RST instead of FIN

Answers = Callable[[web.BaseRequest], Awaitable[web.StreamResponse | None]]


def reset(transport: asyncio.BaseTransport | None) -> None:
    """Close a connection so that its peer reads "connection reset"."""
    if isinstance(transport, asyncio.Transport):
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        transport.abort()


class Port:
    """Serve `answers` on 127.0.0.1; an answer of `None` closes the connection without another byte.

    The low-level `web.Server` does without routing and middleware: it is twice as fast, shows the path
    as it was on the wire, and leaves the transport to those who want to misuse it. A handler is cancelled
    when its client goes away, so nothing that hangs outlives its connection.
    """

    def __init__(self, answers: Answers, number: int = 0) -> None:
        self.number = number  # 0 until opened, if any free port will do
        self.ahead = 0.0  # seconds by which the Date of its answers is
        self._answers = answers
        self._served: WeakSet[asyncio.BaseTransport] = WeakSet()
        self._http: web.Server | None = None
        self._listener: asyncio.Server | None = None
        self._reservation: socket.socket | None = None

    @property
    def url(self) -> str:
        """Return the base URL, without a slash at its end."""
        return f"http://{LOOPBACK}:{self.number}"

    async def open(self) -> None:
        """Listen; after the first time on the same port again."""
        if self._listener is not None:
            return
        self._release()
        self._http = web.Server(self._serve, handler_cancellation=True, access_log=None)
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._http, LOOPBACK, self.number, backlog=1024)
        self.number = self._listener.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Refuse new connections and abort the open ones."""
        self._release()
        if self._listener is None or self._http is None:
            return
        self._listener.close()
        for connection in self._http.connections:
            if connection.transport is not None:
                connection.transport.abort()
        await self._http.shutdown(timeout=1)
        self._listener = self._http = None

    async def vanish(self) -> None:
        """Close, but keep the number: nobody else may get it until `open`."""
        await self.close()
        self._reservation = socket.socket()
        self._reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reservation.bind((LOOPBACK, self.number))

    def reused(self, request: web.BaseRequest) -> bool:
        """Say whether the request's connection has carried one before; to be asked once a request."""
        transport = request.transport
        if transport is None or transport in self._served:
            return transport is not None
        self._served.add(transport)
        return False

    def _release(self) -> None:
        if self._reservation is not None:
            self._reservation.close()
            self._reservation = None

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        response = None
        with contextlib.suppress(ConnectionError):  # the client left; there is nobody to tell
            response = await self._answers(request)
        if response is not None:
            if not response.prepared:
                response.headers.setdefault("Date", formatdate(time.time() + self.ahead, usegmt=True))
            return response
        if request.transport is not None:
            request.transport.close()
        return web.Response()  # aiohttp wants one, and drops it with the closed connection
