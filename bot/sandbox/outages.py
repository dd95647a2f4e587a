"""Slack's bad days, on demand."""

import json

from bot.sandbox.faults import Answers, Closes, Fault
from bot.sandbox.reception import EVERYTHING, Reception
from bot.sandbox.sockets import Reason
from bot.sandbox.web_api import RESPONSE_URL


class Outages:
    """The part of `LocalSlack` that makes it misbehave."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception

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
        """Let the next `times` calls of a method, "response_url" or "*" fail, or all until healed.

        `drop` closes the connection without an answer; `retry_after` (seconds) means 429; an error alone is a
        200 with `"ok": false`; a delay (seconds) alone is a late success. With `performs`, what was asked for
        happens although the app is not told so.
        """
        if method not in {*self._reception.methods, RESPONSE_URL, EVERYTHING}:
            raise ValueError(f"Slack has no method {method}")
        if drop:
            fault: Fault = Closes(delay=delay, performs=performs)
        elif status is None and error is None and retry_after is None:
            fault = Fault(delay=delay)
        else:
            fault = _answer(status, error, retry_after, Fault(delay=delay, performs=performs))
        self._reception.troubles.plan(method, fault, times)

    def heals(self) -> None:
        """Forget everything that was to fail; refused sockets too."""
        self._reception.troubles.heal()
        self._reception.sockets.refuse(0)

    def skews(self, seconds: float) -> None:
        """Let Slack's clock, as the Date of its answers shows it, be so far ahead."""
        self._reception.port.ahead = seconds

    def drops_connections(self) -> None:
        """Abort every socket without a word."""
        self._reception.sockets.drop()

    async def disconnects(self, reason: Reason = "refresh_requested") -> None:
        """Announce the end on every socket, then close it."""
        await self._reception.sockets.disconnect(reason)

    def refuses_sockets(self, times: int = 1) -> None:
        """Refuse the next handshakes with a 503; their tickets are used up all the same."""
        self._reception.sockets.refuse(times)

    async def unreachable(self) -> None:
        """Close the port, and abort all connections."""
        await self._reception.port.vanish()

    async def reachable(self) -> None:
        """Listen again, on the same port."""
        await self._reception.port.open()


def _answer(status: int | None, error: str | None, retry_after: float | None, like: Fault) -> Fault:
    limited = retry_after is not None
    code = error or ("ratelimited" if limited else None)
    body = (
        b"<html>Slack is having a bad day</html>" if code is None else json.dumps({"ok": False, "error": code}).encode()
    )
    headers = {"Content-Type": "text/html" if code is None else "application/json"}
    if limited:
        headers["Retry-After"] = str(retry_after)
    usual = 429 if limited else 200
    return Answers(status or usual, body, headers, delay=like.delay, performs=like.performs)
