"""Turso's Platform API on 127.0.0.1, with an exact record of the requests and with faults on demand."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from aiohttp import web

from bot.sandbox.changes import ChangeBus, within
from bot.sandbox.fault_plan import FaultPlan
from bot.sandbox.faults import Exchange, Fault
from bot.sandbox.loopback import LoopbackServer
from bot.sandbox.organization import ApiToken, LocalOrganization, ServiceToken
from bot.sandbox.platform_api import PlatformApi, RequestLine

DEFAULT_TOKEN = "local-turso-token"  # noqa: S105 - opens nothing but the sandbox
DEFAULT_GROUPS: Mapping[str, Sequence[str]] = {"payments": ("ledger", "invoices"), "default": ()}


class RequestKind(StrEnum):
    """The requests that a fault is planned for."""

    ROTATE = "rotate"
    READS = "reads"
    ALL = "all"


@dataclass(slots=True, eq=False)
class ReceivedRequest:
    """One request, from the moment its headers were read."""

    method: str
    path: str  # raw, with its query, exactly as on the wire
    headers: Mapping[str, str] = field(repr=False)  # they hold the bearer token
    at: float  # unix seconds
    line: RequestLine = field(repr=False)
    body: bytes = b""
    performed: bool = False  # the request has taken effect
    status: int | None = None  # `None`: no complete response was sent
    ended: bool = False  # answered, or given up


class LocalTurso:
    """A Turso organization behind real HTTP; an async context manager.

    A rotation takes effect as soon as its request was read, before a planned fault spoils the response: the
    case in which a caller cannot know the outcome. `Fault.performs=False` turns that off.
    """

    def __init__(
        self,
        *,
        organization: str = "acme",
        groups: Mapping[str, Sequence[str]] = DEFAULT_GROUPS,
        tokens: Mapping[str, ApiToken] | None = None,
    ) -> None:
        self.requests: list[ReceivedRequest] = []
        self.organization = LocalOrganization.of(organization, groups)
        self.api = PlatformApi(self.organization, {DEFAULT_TOKEN: ApiToken()} if tokens is None else tokens)
        self.changes = ChangeBus()  # publishes each request as it arrives and as it ends
        self._server = LoopbackServer(self._respond)
        self._faults = FaultPlan()
        self._released = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self._server.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.close()

    @property
    def url(self) -> str:
        """Return the value for `TURSO_API_URL`."""
        return self._server.url

    @property
    def services(self) -> list[ServiceToken]:
        """Return the tokens that services hold, invalid ones included."""
        return self.organization.services

    def calls_to_rotate(self, group: str | None = None) -> int:
        """Count requests that reached a rotate endpoint, of one group or of any group or database."""
        targets = [request.line.rotates for request in self.requests]
        return sum(target is not None and group in {None, target[1]} for target in targets)

    async def reached(self, times: int = 1, *, timeout: float = 5.0) -> None:  # noqa: ASYNC109 - a story says how long
        """Wait until so many requests have reached a rotate endpoint, answered or not."""
        waiting = self.changes.until(lambda: self.calls_to_rotate() >= times)
        await within(timeout, waiting, lambda: f"{self.calls_to_rotate()} calls")

    def inject(self, fault: Fault, *, on: RequestKind = RequestKind.ROTATE, times: int | None = None) -> None:
        """Plan a fault for the next `times` requests of a kind, or until cleared; earlier plans go first."""
        self._faults.add(on, fault, times)

    def clear_faults(self) -> None:
        """Drop all planned faults, and release requests that hang."""
        self._faults.clear()
        self.release()

    def release(self) -> None:
        """Answer the requests that hang."""
        self._released.set()
        self._released = asyncio.Event()

    def skew_clock(self, seconds: float) -> None:
        """Set how far ahead Turso's clock is, as the Date header shows it."""
        self._server.clock_skew = seconds

    async def go_offline(self) -> None:
        """Refuse connections, and abort the open ones."""
        await self._server.go_offline()

    async def go_online(self) -> None:
        """Listen again, on the same port."""
        await self._server.open()

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse | None:
        record = self._record(request)
        try:
            return await self._respond_to(request, record)
        finally:
            record.ended = True
            self.changes.publish("call")

    async def _respond_to(self, request: web.BaseRequest, record: ReceivedRequest) -> web.StreamResponse | None:
        fault = self._faults.take(*_kinds(record.line))
        reused = self._server.is_reused(request)
        usual = web.Response()
        if fault is None or fault.takes_effect(reused=reused):
            usual = self._perform(record)
        record.body = await request.read()
        response: web.StreamResponse | None = usual
        if fault is not None:
            response = await fault.apply(Exchange(request, usual, reused, self._released))
        record.status = None if response is None else response.status
        return response

    def _record(self, request: web.BaseRequest) -> ReceivedRequest:
        line = RequestLine.parse(request.method, request.raw_path)
        record = ReceivedRequest(request.method, request.raw_path, request.headers, time.time(), line)
        self.requests.append(record)
        self.changes.publish("call")
        return record

    def _perform(self, record: ReceivedRequest) -> web.Response:
        response = self.api.handle(record.line, record.headers.get("Authorization"))
        record.performed = response.status < 400  # noqa: PLR2004 - no error
        return web.Response(status=response.status, body=response.body, content_type="application/json")


def _kinds(line: RequestLine) -> tuple[RequestKind, ...]:
    if line.rotates is not None:
        return (RequestKind.ROTATE, RequestKind.ALL)
    return (RequestKind.READS, RequestKind.ALL) if line.method == "GET" else (RequestKind.ALL,)
