"""The door for Slack over HTTP: bounded, verified, parsed, and only then handed to Bolt."""

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
from bot.slack.bolt import not_understood

BODY_LIMIT = 512 * 1024
"""Bytes; Slack's largest payload is a view of 250 kB."""
BODY_SECONDS = 3.0
_FIELDS = 100
_NOT_SIGNED = 401
_TIMESTAMP_DIGITS = 12

log = structlog.get_logger(__name__)


class _Unacceptable(Exception):
    """The request is answered with a status and no more."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Endpoint:
    """`POST /slack/events`.

    Bolt's own HTTP adapter drops a form that contains the word `payload`, answers malformed requests with 500,
    reads bodies of any size and honours its internal headers from outside (slack-bolt 1.30).
    """

    def __init__(self, app: AsyncApp, signing_secret: str, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._verifier = SignatureVerifier(signing_secret)

    async def answer(self, request: Request) -> Response:
        """Answer 401 to the unsigned, 400 or 413 to the malformed, and what Bolt says to the rest."""
        arrived = self._metrics.arrives()
        try:
            payload = _parse(await self._verified(request), request.headers.get("content-type", ""))
        except _Unacceptable as refusal:
            log.warning("request turned away", status=refusal.status, why=str(refusal))
            if refusal.status == _NOT_SIGNED:
                self._metrics.badly_signed()
            return PlainTextResponse(str(refusal), refusal.status)
        answer = await self._dispatched(payload)
        self._metrics.acknowledged("http", arrived)
        return answer

    async def _dispatched(self, payload: dict[str, Any]) -> Response:
        """Hand Bolt, as in Socket Mode, the parsed payload and none of the headers."""
        try:
            answer = await self._app.async_dispatch(AsyncBoltRequest(mode="socket_mode", body=payload))
        except Exception as error:  # noqa: BLE001 - listeners explain their own failures: Bolt stumbled
            not_understood(error)
            return PlainTextResponse("malformed", 400)
        return Response(answer.body, answer.status, _headers(answer.headers))

    async def _verified(self, request: Request) -> bytes:
        timestamp = request.headers.get("x-slack-request-timestamp", "")
        signature = request.headers.get("x-slack-signature", "")
        if not (
            timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= _TIMESTAMP_DIGITS and signature.isascii()
        ):
            raise _Unacceptable(_NOT_SIGNED, "not signed by Slack")
        body = await _bounded(request)
        try:
            signed = self._verifier.is_valid(body, timestamp, signature)
        except UnicodeDecodeError:  # slack-sdk 3.47 decodes the body before it looks at the signature
            raise _Unacceptable(400, "malformed") from None
        if not signed:
            raise _Unacceptable(_NOT_SIGNED, "not signed by Slack")
        return body


async def _bounded(request: Request) -> bytes:
    """Read the body, up to a size and a time."""
    declared = request.headers.get("content-length", "0")
    if not declared.isdigit() or int(declared) > BODY_LIMIT:
        raise _Unacceptable(413, "too large")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > BODY_LIMIT:
                    raise _Unacceptable(413, "too large")
    except TimeoutError:
        raise _Unacceptable(408, "too slow") from None
    except ClientDisconnect:
        raise _Unacceptable(400, "broken off") from None
    return bytes(body)


def _parse(body: bytes, content_type: str) -> dict[str, Any]:
    """Read a form, a form with JSON in its field `payload`, or JSON."""
    try:
        text = body.decode()
        if content_type.partition(";")[0].strip().lower() == "application/json":
            payload = json.loads(text)
        else:
            payload = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_FIELDS, errors="strict"))
            payload = json.loads(payload["payload"]) if "payload" in payload else payload
    except (ValueError, RecursionError):
        raise _Unacceptable(400, "malformed") from None
    if not isinstance(payload, dict):
        raise _Unacceptable(400, "malformed")
    return payload


def _headers(headers: Mapping[str, Any]) -> dict[str, str]:
    kept = {name: values[0] for name, values in headers.items() if values}
    kept.pop("content-length", None)
    return kept
