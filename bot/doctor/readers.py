"""Read-only clients of Slack and Turso for the checks; each call is made once and limited in time."""

import asyncio
import json
import time
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import httpx
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.config import Settings
from bot.doctor.calls import CALL_SECONDS, CallCache, CallLimiter, ServiceAnswer, no_answer, seconds_ahead
from bot.slack.replies import FAILURES
from bot.turso.bodies import error_message
from bot.turso.transport import read_body

_PAGE_BYTES = 4 * 1024 * 1024
_CLOSING = aiohttp.ClientWSTimeout(ws_close=1.0)


@dataclass(frozen=True, slots=True)
class SocketHello:
    """The first message on a Socket Mode connection."""

    connections: int | None
    """How many connections the app holds, this one included; `None` if Slack does not say."""
    app_id: str
    refusal: str = ""
    """Slack's reason for closing the connection, if it did."""


class SlackReader:
    """Calls methods of Slack's Web API that only read, and opens a Socket Mode connection for a moment."""

    def __init__(self, settings: Settings, session: aiohttp.ClientSession) -> None:
        token = settings.slack_bot_token.get_secret_value()
        self._web = AsyncWebClient(token, base_url=settings.slack_api_url, session=session)
        self._app_token = settings.slack_app_token.get_secret_value() if settings.slack_app_token else ""
        self._session = session
        self._limiter = CallLimiter()
        self.cache = CallCache()

    async def call(self, method: str, **arguments: str) -> ServiceAnswer:
        """Call a method that only reads."""
        return await self.cache.get((method, *sorted(arguments.items())), lambda: self._call(method, arguments))

    async def socket_url(self) -> ServiceAnswer:
        """Ask for the URL of a Socket Mode connection."""
        arguments = {"token": self._app_token}
        return await self.cache.get("socket_url", lambda: self._call("apps.connections.open", arguments))

    async def socket_hello(self) -> SocketHello | ServiceAnswer:
        """Open a connection, read Slack's hello, and close it at once; return a failed answer if there is none."""
        return await self.cache.get("socket_hello", self._socket_hello)

    async def _call(self, method: str, arguments: Mapping[str, str]) -> ServiceAnswer:
        async def call() -> ServiceAnswer:
            began = time.time()
            status, data, headers = await _response(self._web.api_call(method, params=dict(arguments)))
            error = "" if data.get("ok") is True else str(data.get("error") or f"HTTP {status}")
            return ServiceAnswer(status, data, error, headers, seconds_ahead(headers, began, time.time()))

        try:
            return await self._limiter.run(call)
        except FAILURES as error:
            return no_answer("Slack", error)

    async def _socket_hello(self) -> SocketHello | ServiceAnswer:
        answer = await self.socket_url()
        if not answer.succeeded:
            return answer
        try:
            async with asyncio.timeout(CALL_SECONDS):
                return _parse_hello(await self._first_message(str(answer.data.get("url", ""))))
        except (*FAILURES, TypeError, ValueError) as error:
            return no_answer("Slack's Socket Mode", error)

    async def _first_message(self, url: str) -> Mapping[str, Any]:
        async with self._session.ws_connect(url, timeout=_CLOSING, proxy=self._web.proxy) as socket:
            message = await socket.receive_json()
        if not isinstance(message, dict):
            raise TypeError("a hello is an object")
        return message


async def _response(call: Awaitable[Any]) -> tuple[int, Mapping[str, Any], Mapping[str, str]]:
    """Return status, data and headers; the client raises if Slack refuses, or if the body is not JSON."""
    try:
        response = await call
    except SlackApiError as error:
        response = error.response
    # slack-sdk 3.47 returns aiohttp's own response if the body is not JSON.
    status = response.status if isinstance(response, aiohttp.ClientResponse) else response.status_code
    data = getattr(response, "data", None)
    return status, data if isinstance(data, dict) else {}, response.headers


def _parse_hello(message: Mapping[str, Any]) -> SocketHello:
    kind, info, count = message.get("type"), message.get("connection_info"), message.get("num_connections")
    app_id = info.get("app_id", "") if isinstance(info, dict) else ""
    refusal = "" if kind == "hello" else str(message.get("reason", kind))
    return SocketHello(count if isinstance(count, int) else None, str(app_id), refusal)


class TursoReader:
    """Reads from Turso's Platform API with GET only, so it cannot rotate anything."""

    def __init__(self, settings: Settings, http: httpx.AsyncClient) -> None:
        self._http = http
        self._secrets = settings.secrets()
        self._base = settings.turso_api_url
        self._limiter = CallLimiter()
        self.cache = CallCache()

    async def get(self, path: str, token: str) -> ServiceAnswer:
        """Read a resource; `path` begins with `/v1/`."""
        return await self.cache.get((path, token), lambda: self._get(path, token))

    async def _get(self, path: str, token: str) -> ServiceAnswer:
        async def call() -> ServiceAnswer:
            began = time.time()
            response, body = await self._read(path, token)
            ahead = seconds_ahead(response.headers, began, time.time())
            error = "" if response.is_success else self._error(response.status_code, body)
            return ServiceAnswer(response.status_code, _json(body), error, response.headers, ahead)

        try:
            return await self._limiter.run(call)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return no_answer("Turso", error)

    async def _read(self, path: str, token: str) -> tuple[httpx.Response, bytes]:
        headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}
        async with self._http.stream("GET", self._base + path, headers=headers) as response:
            return response, await read_body(response, _PAGE_BYTES)

    def _error(self, status: int, body: bytes) -> str:
        reason = error_message(body.decode(errors="replace"), self._secrets)
        return f"{status}: {reason}" if reason else str(status)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
