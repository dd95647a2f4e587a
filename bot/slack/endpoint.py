"""The HTTP endpoint for Slack: it limits, verifies and parses requests before Bolt sees them."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import structlog
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_sdk.signature import SignatureVerifier
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from bot.ops.metrics import Metrics
from bot.slack.bolt import log_malformed

BODY_LIMIT = 512 * 1024
"""Bytes; Slack's largest payload is a view of 250 kB."""
BODY_SECONDS = 3.0
_FIELDS = 100
_NOT_SIGNED = 401
_TIMESTAMP_DIGITS = 12

log = structlog.get_logger(__name__)


class _Rejected(Exception):
    """The request is answered with a status and a reason."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Endpoint:
    """`POST /slack/events`.

    Bolt's own HTTP adapter drops a form that contains the word `payload`, answers malformed requests with 500, reads
    bodies of any size and accepts its internal headers from outside (slack-bolt 1.30).
    """

    def __init__(self, app: AsyncApp, signing_secret: str, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._verifier = SignatureVerifier(signing_secret)

    async def answer(self, request: Request) -> Response:
        """Answer 401 to unsigned requests, 400, 408 or 413 to malformed ones, and what Bolt answers to the others."""
        arrived = self._metrics.arrives()
        try:
            payload = _parse(await self._verify(request), request.headers.get("content-type", ""))
        except _Rejected as rejection:
            log.warning("request rejected", status=rejection.status, why=str(rejection))
            if rejection.status == _NOT_SIGNED:
                self._metrics.badly_signed()
            return PlainTextResponse(str(rejection), rejection.status)
        answer = await self._dispatch(payload)
        self._metrics.acknowledged("http", arrived)
        return answer

    async def _dispatch(self, payload: dict[str, Any]) -> Response:
        """Pass the parsed payload to Bolt without any header, as in Socket Mode."""
        try:
            answer = await self._app.async_dispatch(AsyncBoltRequest(mode="socket_mode", body=payload))
        except Exception as error:  # noqa: BLE001 - listeners handle their failures, so this is Bolt's
            log_malformed(error)
            return PlainTextResponse("malformed", 400)
        return Response(answer.body, answer.status, _headers(answer.headers))

    async def _verify(self, request: Request) -> bytes:
        timestamp = request.headers.get("x-slack-request-timestamp", "")
        signature = request.headers.get("x-slack-signature", "")
        if not (
            timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= _TIMESTAMP_DIGITS and signature.isascii()
        ):
            raise _Rejected(_NOT_SIGNED, "not signed by Slack")
        body = await _read_body(request)
        try:
            signed = self._verifier.is_valid(body, timestamp, signature)
        except UnicodeDecodeError:  # slack-sdk 3.47 decodes the body before it looks at the signature
            raise _Rejected(400, "malformed") from None
        if not signed:
            raise _Rejected(_NOT_SIGNED, "not signed by Slack")
        return body


async def _read_body(request: Request) -> bytes:
    """Read the body, up to a size and within a time limit."""
    declared = request.headers.get("content-length", "0")
    if not declared.isdigit() or int(declared) > BODY_LIMIT:
        raise _Rejected(413, "too large")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > BODY_LIMIT:
                    raise _Rejected(413, "too large")
    except TimeoutError:
        raise _Rejected(408, "too slow") from None
    except ClientDisconnect:
        raise _Rejected(400, "incomplete") from None
    return bytes(body)


def _parse(body: bytes, content_type: str) -> dict[str, Any]:
    """Parse a form, a form with JSON in its field `payload`, or JSON."""
    try:
        text = body.decode()
        if content_type.partition(";")[0].strip().lower() == "application/json":
            payload = json.loads(text)
        else:
            payload = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_FIELDS, errors="strict"))
            payload = json.loads(payload["payload"]) if "payload" in payload else payload
    except (ValueError, RecursionError):
        raise _Rejected(400, "malformed") from None
    if not isinstance(payload, dict):
        raise _Rejected(400, "malformed")
    return payload


def _headers(headers: Mapping[str, Any]) -> dict[str, str]:
    kept = {name: values[0] for name, values in headers.items() if values}
    kept.pop("content-length", None)
    return kept
