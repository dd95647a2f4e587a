"""Faults and outages of Slack, on demand."""

import json

from bot.sandbox.faults import CloseConnection, Fault, FixedResponse
from bot.sandbox.slack_server import ANY_METHOD, SlackServer
from bot.sandbox.sockets import DisconnectReason
from bot.sandbox.web_api import RESPONSE_URL


class Outages:
    """The methods of `LocalSlack` that make it misbehave."""

    def __init__(self, server: SlackServer) -> None:
        self._server = server

    def fail(  # noqa: PLR0913 - each is one way to fail
        self,
        method: str,
        *,
        status: int | None = None,
        error: str | None = None,
        retry_after: float | None = None,
        times: int | None = None,
        drop: bool = False,
        delay: float = 0.0,
        performs: bool = False,
    ) -> None:
        """Make the next `times` calls of a method, "response_url" or "*" fail, or all until cleared.

        `drop` closes the connection without a response; `retry_after` (seconds) means 429; an error alone is a
        200 with `"ok": false`; a delay (seconds) alone is a late success. With `performs`, the call takes
        effect although the app is not told so.
        """
        if method not in {*self._server.methods, RESPONSE_URL, ANY_METHOD}:
            raise ValueError(f"Slack has no method {method}")
        if drop:
            fault: Fault = CloseConnection(delay=delay, performs=performs)
        elif status is None and error is None and retry_after is None:
            fault = Fault(delay=delay)
        else:
            fault = _error_response(status, error, retry_after, Fault(delay=delay, performs=performs))
        self._server.faults.add(method, fault, times)

    def clear_faults(self) -> None:
        """Drop all planned faults, refused sockets included."""
        self._server.faults.clear()
        self._server.sockets.refuse(0)

    def skew_clock(self, seconds: float) -> None:
        """Set how far ahead Slack's clock is, as the Date header shows it."""
        self._server.http.clock_skew = seconds

    def drop_connections(self) -> None:
        """Abort every socket without an announcement."""
        self._server.sockets.drop()

    async def disconnect(self, reason: DisconnectReason = "refresh_requested") -> None:
        """Announce the end on every socket, then close it."""
        await self._server.sockets.disconnect(reason)

    def refuse_sockets(self, times: int = 1) -> None:
        """Refuse the next handshakes with a 503; their tickets are used up all the same."""
        self._server.sockets.refuse(times)

    async def go_offline(self) -> None:
        """Refuse connections, and abort the open ones."""
        await self._server.http.go_offline()

    async def go_online(self) -> None:
        """Listen again, on the same port."""
        await self._server.http.open()


def _error_response(status: int | None, error: str | None, retry_after: float | None, like: Fault) -> Fault:
    limited = retry_after is not None
    code = error or ("ratelimited" if limited else None)
    page = b"<html>Internal server error</html>"
    body = page if code is None else json.dumps({"ok": False, "error": code}).encode()
    headers = {"Content-Type": "text/html" if code is None else "application/json"}
    if limited:
        headers["Retry-After"] = str(retry_after)
    usual = 429 if limited else 200
    return FixedResponse(status or usual, body, headers, delay=like.delay, performs=like.performs)
