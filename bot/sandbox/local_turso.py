"""Turso's Platform API on 127.0.0.1, with an exact record of what reached it and faults on demand."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Self

from aiohttp import web

from bot.sandbox.faults import Exchange, Fault
from bot.sandbox.feed import Feed, within
from bot.sandbox.organization import ApiToken, Organization, ServiceToken
from bot.sandbox.platform_api import PlatformApi, Route
from bot.sandbox.port import Port
from bot.sandbox.troubles import Troubles

DEFAULT_TOKEN = "local-turso-token"  # noqa: S105 - opens nothing but this sandbox
DEFAULT_GROUPS: Mapping[str, Sequence[str]] = {"payments": ("ledger", "invoices"), "default": ()}


class On(StrEnum):
    """Which requests a fault is planned for."""

    ROTATE = "rotate"
    READS = "reads"
    ALL = "all"


@dataclass(slots=True, eq=False)
class Request:
    """One request, from the moment its headers were read."""

    method: str
    path: str  # raw, with its query, exactly as on the wire
    headers: Mapping[str, str] = field(repr=False)  # they hold the bearer token
    at: float  # unix seconds
    route: Route = field(repr=False)
    body: bytes = b""
    performed: bool = False  # what it asked for has happened
    status: int | None = None  # `None`: no complete answer was given
    ended: bool = False  # answered, or given up


class LocalTurso:
    """A Turso organization behind real HTTP; an async context manager.

    A rotation takes effect as soon as its request was read, before any planned fault spoils the answer,
    exactly the case in which a caller cannot know. `Fault.performs=False` turns that off.
    """

    def __init__(
        self,
        *,
        organization: str = "acme",
        groups: Mapping[str, Sequence[str]] = DEFAULT_GROUPS,
        tokens: Mapping[str, ApiToken] | None = None,
        port: int = 0,
    ) -> None:
        self.requests: list[Request] = []
        self.organization = Organization.of(organization, groups)
        known = {DEFAULT_TOKEN: ApiToken()} if tokens is None else tokens
        self.api = PlatformApi(self.organization, known)
        self.feed = Feed()  # tells of each request as it arrives and as it ends
        self._port = Port(self._answers, port)
        self._troubles = Troubles()
        self._released = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self._port.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._port.close()

    @property
    def url(self) -> str:
        """Return the value for `TURSO_API_URL`."""
        return self._port.url

    @property
    def services(self) -> list[ServiceToken]:
        """Return the tokens that services hold, dead ones too."""
        return self.organization.services

    def calls_to_rotate(self, group: str | None = None) -> int:
        """Count requests that reached a rotate endpoint: of this group, or any, databases' too."""
        targets = [request.route.rotates for request in self.requests]
        return sum(target is not None and group in {None, target[1]} for target in targets)

    async def reached(self, times: int = 1, *, timeout: float = 5.0) -> None:  # noqa: ASYNC109 - a story says how long
        """Wait until so many requests have reached a rotate endpoint; they need not be answered yet."""
        waiting = self.feed.until(lambda: self.calls_to_rotate() >= times)
        await within(timeout, waiting, lambda: f"{self.calls_to_rotate()} calls")

    def trouble(self, fault: Fault, *, on: On = On.ROTATE, times: int | None = None) -> None:
        """Plan a fault for the next `times` requests of a kind, or until healed; earlier plans go first."""
        self._troubles.plan(on, fault, times)

    def heals(self) -> None:
        """Forget all planned faults, and let go what hangs."""
        self._troubles.heal()
        self.releases()

    def skews(self, seconds: float) -> None:
        """Let Turso's clock, as the Date of its answers shows it, be so far ahead."""
        self._port.ahead = seconds

    def releases(self) -> None:
        """Let requests that hang be answered now."""
        self._released.set()
        self._released = asyncio.Event()

    async def unreachable(self) -> None:
        """Refuse connections, and abort the open ones."""
        await self._port.vanish()

    async def reachable(self) -> None:
        """Listen again, on the same port."""
        await self._port.open()

    async def _answers(self, request: web.BaseRequest) -> web.StreamResponse | None:
        record = self._records(request)
        try:
            return await self._answers_recorded(request, record)
        finally:
            record.ended = True
            self.feed.publish("call")

    async def _answers_recorded(self, request: web.BaseRequest, record: Request) -> web.StreamResponse | None:
        fault = self._troubles.next(*_kinds(record.route))
        reused = self._port.reused(request)
        usual = web.Response()
        if fault is None or fault.takes_effect(reused=reused):
            usual = self._performs(record)
        record.body = await request.read()
        response: web.StreamResponse | None = usual
        if fault is not None:
            response = await fault.befalls(Exchange(request, usual, reused, self._released))
        record.status = None if response is None else response.status
        return response

    def _records(self, request: web.BaseRequest) -> Request:
        route = Route.of(request.method, request.raw_path)
        record = Request(request.method, request.raw_path, request.headers, time.time(), route)
        self.requests.append(record)
        self.feed.publish("call")
        return record

    def _performs(self, record: Request) -> web.Response:
        reply = self.api.answers(record.route, record.headers.get("Authorization"))
        record.performed = reply.status < 400  # noqa: PLR2004 - no error
        return web.Response(status=reply.status, body=reply.body, content_type="application/json")


def _kinds(route: Route) -> tuple[On, ...]:
    if route.rotates is not None:
        return (On.ROTATE, On.ALL)
    return (On.READS, On.ALL) if route.method == "GET" else (On.ALL,)
