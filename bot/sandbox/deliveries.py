"""Deliver commands, clicks and events to the app, and read its acknowledgement within three seconds."""

import asyncio
import hashlib
import hmac
import json
import time
import uuid
from dataclasses import dataclass, field
from typing import Any, Literal, Self
from urllib.parse import urlencode

from aiohttp import ClientError, ClientSession, DummyCookieJar, TCPConnector

from bot.sandbox.json_object import JsonObject
from bot.sandbox.sockets import NoSocketError, SocketServer

ACK_SECONDS = 3.0
"""How long Slack waits for an acknowledgement."""
DeliveryKind = Literal["slash_commands", "interactive", "events_api"]
Destination = str | int | None
"""A request URL, the index of an open socket, or `None` for the workspace's own setting."""
_FORM, _JSON = "application/x-www-form-urlencoded", "application/json"


@dataclass(frozen=True, slots=True)
class SlackRequest:
    """What Slack sends to the app; the kind decides how the payload is encoded."""

    kind: DeliveryKind
    payload: JsonObject = field(repr=False)
    attempt: int = 0  # above 0: Slack tries again

    @property
    def raw(self) -> bytes:
        """Return the body of the HTTP request."""
        if self.kind == "events_api":
            return json.dumps(self.payload).encode()
        form = self.payload if self.kind == "slash_commands" else {"payload": json.dumps(self.payload)}
        return urlencode(form).encode()


@dataclass(frozen=True, slots=True)
class Delivery:
    """A request, and the app's acknowledgement of it."""

    request: SlackRequest
    seconds: float  # until the acknowledgement, or until Slack gave up
    status: int | None = None  # HTTP status; 200 for a socket; `None`: not acknowledged
    body: Any = None  # of the acknowledgement: JSON, else text; `None` when empty
    error: str | None = None  # what Slack tells the person when a command failed

    @property
    def raw(self) -> bytes:
        """Return the body of the HTTP request."""
        return self.request.raw

    @property
    def trigger_id(self) -> str | None:
        """Return the id that opens a modal; the same in every copy of a delivery."""
        return self.request.payload.get("trigger_id")

    @property
    def response_url(self) -> str | None:
        """Return the URL at which the app may respond later."""
        return self.request.payload.get("response_url")


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Sign a request as Slack does, version 0."""
    return "v0=" + hmac.new(secret.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()


class RequestSender:
    """Send requests over HTTP, signed, or over one of the open sockets; an async context manager."""

    def __init__(self, signing_secret: str, sockets: SocketServer) -> None:
        self._secret = signing_secret
        self._sockets = sockets
        self._session: ClientSession | None = None

    async def __aenter__(self) -> Self:
        # No limit: Slack does not queue a click because another one is slow.
        self._session = ClientSession(connector=TCPConnector(limit=0), cookie_jar=DummyCookieJar())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, request: SlackRequest, destination: Destination, ack_seconds: float) -> Delivery:
        """Send once, and wait at most `ack_seconds` for the acknowledgement."""
        start = time.perf_counter()
        status, body, error = None, None, None
        try:
            async with asyncio.timeout(ack_seconds):
                if isinstance(destination, str):
                    status, body = await self._post(request, destination)
                else:
                    status, body = 200, await self._sockets.send(_envelope(request), destination)
        except TimeoutError:
            error = "operation_timeout"
        except (ClientError, OSError, NoSocketError):
            error = "dispatch_failed"
        if status is not None and status != 200:  # noqa: PLR2004 - nothing else is an acknowledgement
            error = "http_client_error" if status < 500 else "http_service_error"  # noqa: PLR2004
        return Delivery(request, time.perf_counter() - start, status, body, error)

    async def _post(self, request: SlackRequest, url: str) -> tuple[int, Any]:
        if self._session is None:
            raise NoSocketError
        raw = request.raw
        async with self._session.post(
            url, data=raw, headers=self._headers(request, raw), allow_redirects=False
        ) as response:
            text = await response.text(errors="replace")
            return response.status, _decoded(text) if response.content_type == _JSON else text or None

    def _headers(self, request: SlackRequest, raw: bytes) -> dict[str, str]:
        now = str(int(time.time()))  # not the workspace's clock: the app compares it with the real time
        retry = {"X-Slack-Retry-Num": str(request.attempt), "X-Slack-Retry-Reason": "http_timeout"}
        return {
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
            "Content-Type": _JSON if request.kind == "events_api" else _FORM,
            "X-Slack-Request-Timestamp": now,
            "X-Slack-Signature": signature(self._secret, now, raw),
            **(retry if request.attempt and request.kind == "events_api" else {}),
        }


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text or None


def _envelope(request: SlackRequest) -> JsonObject:
    envelope = {"type": request.kind, "envelope_id": str(uuid.uuid4()), "payload": request.payload}
    if request.kind == "events_api":
        reason = "timeout" if request.attempt else ""
        return {**envelope, "accepts_response_payload": False, "retry_attempt": request.attempt, "retry_reason": reason}
    accepts = request.kind == "slash_commands" or request.payload.get("type") == "view_submission"
    return {**envelope, "accepts_response_payload": accepts}
