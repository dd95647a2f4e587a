"""Slack's Web API: decode a call, check its token and scope, and run its method."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from aiohttp import web

from bot.sandbox.json_object import JsonObject
from bot.sandbox.methods import Method, MethodError, Methods
from bot.sandbox.workspace import Workspace

RESPONSE_URL = "response_url"
_CONNECTIONS_OPEN = "apps.connections.open"  # the one method that takes an app-level token


@dataclass(slots=True, eq=False)
class ApiCall:
    """One request of the app, in the order of arrival."""

    method: str  # "chat.postMessage", …, or "response_url"
    payload: JsonObject | None  # decoded; `None` if that failed
    headers: Mapping[str, str] = field(repr=False)  # they hold the token
    at: float  # unix seconds
    path: str = field(default="", repr=False)
    status: int | None = None  # `None`: no response was sent
    error: str | None = None  # Slack's error code


def decode_arguments(request: web.BaseRequest, body: bytes) -> JsonObject | None:
    """Decode the arguments from the query and a body of JSON or a form; return `None` if that fails."""
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
    """Check and run calls as Slack does."""

    def __init__(self, workspace: Workspace, bot_token: str, app_token: str, methods: Methods) -> None:
        self._workspace = workspace
        self._bot_token = bot_token
        self._app_token = app_token
        self._methods = methods

    def handle(self, call: ApiCall) -> JsonObject:
        """Run one call and return its response; the call has taken effect when this returns."""
        try:
            return self._check(call).call(call.payload or {})
        except MethodError as error:
            return error.response

    def _check(self, call: ApiCall) -> Method:
        if call.payload is None:
            raise MethodError("invalid_json")
        if call.method not in self._methods:
            raise MethodError("unknown_method", req_method=call.method)
        scheme, _, token = call.headers.get("Authorization", "").partition(" ")
        self._authenticate(call.method, token if scheme.lower() == "bearer" else str(call.payload.get("token", "")))
        method = self._methods[call.method]
        if method.scope is not None and method.scope not in self._workspace.scopes:
            provided = ",".join(self._workspace.scopes)
            raise MethodError("missing_scope", needed=method.scope, provided=provided)
        return method

    def _authenticate(self, method: str, token: str) -> None:
        if not token:
            raise MethodError("not_authed")
        if token not in {self._bot_token, self._app_token}:
            raise MethodError("invalid_auth")
        if (method == _CONNECTIONS_OPEN) != (token == self._app_token):
            raise MethodError("not_allowed_token_type")
