"""Ask Slack and Turso: only what changes nothing, each question once, and never for longer than five seconds."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import httpx
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.config import Settings
from bot.doctor.answers import SECONDS, Answer, Once, Turns, ahead, silence
from bot.slack.replies import FAILURES
from bot.turso.answers import error_message
from bot.turso.transport import read_body

_PAGE_BYTES = 4 * 1024 * 1024
_CLOSING = aiohttp.ClientWSTimeout(ws_close=1.0)
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Hello:
    """How Slack greeted a Socket Mode connection."""

    connections: int | None
    """How many the app holds, this one included, if Slack says so."""
    app_id: str
    turned_away: str = ""
    """Slack's reason, where it closed the connection instead."""


class SlackQuestions:
    """Questions to Slack's Web API."""

    def __init__(self, settings: Settings, session: aiohttp.ClientSession, clock: Clock = time.time) -> None:
        token = settings.slack_bot_token.get_secret_value()
        self._web = AsyncWebClient(token, base_url=settings.slack_api_url, session=session)
        self._app_token = settings.slack_app_token.get_secret_value() if settings.slack_app_token else ""
        self._session = session
        self._clock = clock
        self._turns = Turns()
        self.once = Once()

    async def ask(self, method: str, **arguments: str) -> Answer:
        """Call a method that only reads."""
        return await self.once.ask((method, *sorted(arguments.items())), lambda: self._ask(method, arguments))

    async def ticket(self) -> Answer:
        """Ask for the address of a Socket Mode connection."""
        arguments = {"token": self._app_token}
        return await self.once.ask("ticket", lambda: self._ask("apps.connections.open", arguments))

    async def hello(self) -> Hello | Answer:
        """Open a connection, read the greeting, and close it at once; an `Answer` says why there is none."""
        return await self.once.ask("hello", self._hello)

    async def _ask(self, method: str, arguments: Mapping[str, str]) -> Answer:
        async def question() -> Answer:
            began = self._clock()
            status, data, headers = await _answered(self._web.api_call(method, params=dict(arguments)))
            refusal = "" if data.get("ok") is True else str(data.get("error") or f"HTTP {status}")
            return Answer(status, data, refusal, headers, ahead(headers, began, self._clock()))

        try:
            return await self._turns.take(question)
        except FAILURES as error:
            return silence("Slack", error)

    async def _hello(self) -> Hello | Answer:
        ticket = await self.ticket()
        if not ticket.yes:
            return ticket
        try:
            async with asyncio.timeout(SECONDS):
                return _greeting(await self._first_words(str(ticket.data.get("url", ""))))
        except (*FAILURES, TypeError, ValueError) as error:
            return silence("Slack's Socket Mode", error)

    async def _first_words(self, url: str) -> Mapping[str, Any]:
        async with self._session.ws_connect(url, timeout=_CLOSING, proxy=self._web.proxy) as socket:
            said = await socket.receive_json()
        if not isinstance(said, dict):
            raise TypeError("a greeting is an object")
        return said


async def _answered(call: Awaitable[Any]) -> tuple[int, Mapping[str, Any], Mapping[str, str]]:
    """Take what counts out of a call; the client raises when Slack says no, also in what is no JSON."""
    try:
        response = await call
    except SlackApiError as error:
        response = error.response
    # slack-sdk 3.47 hands over aiohttp's own response where the body is no JSON.
    status = response.status if isinstance(response, aiohttp.ClientResponse) else response.status_code
    data = getattr(response, "data", None)
    return status, data if isinstance(data, dict) else {}, response.headers


def _greeting(said: Mapping[str, Any]) -> Hello:
    kind, about, count = said.get("type"), said.get("connection_info"), said.get("num_connections")
    app_id = about.get("app_id", "") if isinstance(about, dict) else ""
    refused = "" if kind == "hello" else str(said.get("reason", kind))
    return Hello(count if isinstance(count, int) else None, str(app_id), refused)


class TursoQuestions:
    """Questions to Turso's Platform API: GET alone, so nothing can be rotated."""

    def __init__(self, settings: Settings, http: httpx.AsyncClient, clock: Clock = time.time) -> None:
        self._http = http
        self._clock = clock
        self._secrets = settings.secrets()
        self._base = settings.turso_api_url
        self._turns = Turns()
        self.once = Once()

    async def get(self, path: str, token: str) -> Answer:
        """Read a page; `path` begins with `/v1/`."""
        return await self.once.ask((path, token), lambda: self._get(path, token))

    async def _get(self, path: str, token: str) -> Answer:
        async def question() -> Answer:
            began = self._clock()
            response, body = await self._read(path, token)
            apart = ahead(response.headers, began, self._clock())
            complaint = "" if response.is_success else self._complaint(response.status_code, body)
            return Answer(response.status_code, _json(body), complaint, response.headers, apart)

        try:
            return await self._turns.take(question)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return silence("Turso", error)

    async def _read(self, path: str, token: str) -> tuple[httpx.Response, bytes]:
        headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}
        async with self._http.stream("GET", self._base + path, headers=headers) as response:
            return response, await read_body(response, _PAGE_BYTES)

    def _complaint(self, status: int, body: bytes) -> str:
        message = error_message(body.decode(errors="replace"), self._secrets)
        return f"{status}: {message}" if message else str(status)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
