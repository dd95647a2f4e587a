"""Slack's Web API: who may call which method, and with what arguments."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from bot.sandbox.methods import Answer, Method, Methods, SaysNoError
from bot.sandbox.workspace import Workspace

RESPONSE_URL = "response_url"
_CONNECTIONS_OPEN = "apps.connections.open"  # the one method that takes an app-level token


@dataclass(slots=True, eq=False)
class Call:
    """One request of the app, in the order of arrival."""

    method: str  # "chat.postMessage", …, or "response_url"
    payload: dict[str, Any] | None  # decoded; `None` when it could not be
    headers: Mapping[str, str] = field(repr=False)  # they hold the token
    at: float  # unix seconds
    path: str = field(default="", repr=False)
    status: int | None = None  # `None`: no answer was given
    error: str | None = None  # Slack's error code


def arguments(request: web.BaseRequest, body: bytes) -> dict[str, Any] | None:
    """Decode the arguments from the query and a body of JSON or a form; `None` if that is not possible."""
    query = dict(request.query)
    if not body:
        return query
    try:
        if request.content_type == "application/json":
            decoded = json.loads(body)
        else:
            decoded = dict(parse_qsl(body.decode(), keep_blank_values=True))
    except ValueError:
        return None
    return {**query, **decoded} if isinstance(decoded, dict) else None


class WebApi:
    """Checks a call as Slack does, and answers it."""

    def __init__(self, workspace: Workspace, bot_token: str, app_token: str, methods: Methods) -> None:
        self._workspace = workspace
        self._bot_token = bot_token
        self._app_token = app_token
        self._methods = methods

    def answers(self, call: Call) -> Answer:
        """Answer one call; what it asks for has happened when this returns."""
        try:
            return self._permitted(call).answers(call.payload or {})
        except SaysNoError as no:
            return no.answer

    def _permitted(self, call: Call) -> Method:
        if call.payload is None:
            raise SaysNoError("invalid_json")
        if call.method not in self._methods:
            raise SaysNoError("unknown_method", req_method=call.method)
        scheme, _, token = call.headers.get("Authorization", "").partition(" ")
        self._authenticates(call.method, token if scheme.lower() == "bearer" else str(call.payload.get("token", "")))
        method = self._methods[call.method]
        if method.scope is not None and method.scope not in self._workspace.scopes:
            provided = ",".join(self._workspace.scopes)
            raise SaysNoError("missing_scope", needed=method.scope, provided=provided)
        return method

    def _authenticates(self, method: str, token: str) -> None:
        if not token:
            raise SaysNoError("not_authed")
        if token not in {self._bot_token, self._app_token}:
            raise SaysNoError("invalid_auth")
        if (method == _CONNECTIONS_OPEN) != (token == self._app_token):
            raise SaysNoError("not_allowed_token_type")
