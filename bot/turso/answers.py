"""Decide what Turso's answer, or the lack of one, says about a rotation, and put it into words."""

import json
import re
import socket
import ssl
from asyncio import CancelledError
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

import httpx

from bot.domain.models import Outcome, Target
from bot.domain.states import State
from bot.domain.text import one_line
from bot.ops.redaction import Redactor

_TOO_MANY_REQUESTS = 429
_MIN_PAUSE_SECONDS = 1.0  # taken literally, "0" would mean one request after another until the deadline
_MAX_MESSAGE = 270
_MAX_READ = 8192
_MAX_SECRET = 4096
_HTML = re.compile(r"\s*<(?:!doctype|html|head|body)\b", re.IGNORECASE)

_OBSTACLES: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (socket.gaierror, "The host name {} could not be resolved"),
    (ssl.SSLError, "A secure connection to {} could not be established"),
    (ConnectionRefusedError, "The connection to {} was refused"),
    ((TimeoutError, httpx.TimeoutException), "{} could not be reached in time"),
)
_REFUSALS = {
    401: "Turso does not accept the bot's API token.",
    403: "The bot's API token lacks the scope group:rotate-creds.",
}


@dataclass(frozen=True, slots=True)
class TursoAnswer:
    """A complete answer; only a very long body is cut."""

    status: int
    text: str = field(default="", repr=False)
    pause: float | None = None
    """The seconds that Turso asks to wait before the next request, if it answered 429 and says so."""

    @classmethod
    def of(cls, status: int, headers: Mapping[str, str], body: bytes) -> "TursoAnswer":
        """Keep what matters of an answer; `headers` must be case-insensitive."""
        packed = headers.get("Content-Encoding", "identity").lower() != "identity"
        later = headers.get("Retry-After") if status == _TOO_MANY_REQUESTS else None
        pause = None if later is None else _seconds(later, headers.get("Date"))
        return cls(status, "" if packed else body.decode(errors="replace"), pause)


def classify(target: Target, answer: TursoAnswer, secrets: Collection[str] = ()) -> Outcome:
    """Return the outcome of a rotation that was answered; `secrets` are kept out of the explanation."""
    match answer.status // 100:
        case 2:
            return Outcome(State.SUCCEEDED, f"Turso has invalidated the group tokens of {target}.", answer.status)
        case 3 | 4:
            state = State.FAILED
            sentence = f"{_refusal(target, answer)} Nothing was changed.{_advice(answer)}"
        case _:
            state, sentence = State.UNKNOWN, f"Turso answered with {answer.status}: the rotation may have happened."
    message = error_message(answer.text, secrets)
    return Outcome(state, f"{sentence} Turso said: {message}" if message else sentence, answer.status)


def never_sent(error: BaseException | None, host: str) -> Outcome:
    """Return the outcome of a rotation whose request was never sent."""
    if isinstance(error, CancelledError):
        return Outcome(State.FAILED, "The bot was stopped before the call: nothing was sent.")
    return Outcome(State.FAILED, f"{_obstacle(error, host)}: nothing was sent, so it is safe to try again.")


def unanswered(error: BaseException | None, seconds: float) -> Outcome:
    """Return the outcome of a rotation whose request may have been sent, without a complete answer in time."""
    match error:
        case CancelledError():
            why = "The bot was stopped during the call"
        case TimeoutError() | httpx.TimeoutException():
            why = f"Turso did not answer within {seconds:g} s"
        case httpx.RemoteProtocolError() if not re.search("disconnected|closed", str(error)):
            why = "Turso's answer was malformed"
        case _:
            why = "Turso closed the connection before it answered"
    return Outcome(State.UNKNOWN, f"{why}: the rotation may have happened.")


def error_message(text: str, secrets: Collection[str] = ()) -> str:
    """Return Turso's message as one short line without control characters and secrets; it may still hold mrkdwn."""
    message = _json_error(text)
    if message is None:
        message = "" if _HTML.match(text) else text  # a proxy's error page is not Turso's message
    line = Redactor(secrets).text(one_line(message[:_MAX_READ]))
    if len(message) > _MAX_READ:
        # The cut may have left half a secret at the end, which no longer looks like one.
        line = line[:-_MAX_SECRET] + line[-_MAX_SECRET:].rpartition(" ")[0]
    return line if len(line) <= _MAX_MESSAGE else f"{line[: _MAX_MESSAGE - 1]}…"


def _seconds(later: str, date: str | None) -> float | None:
    """Parse a `Retry-After`; a date counts from the answer's own `Date`, because our clock may be wrong."""
    if re.fullmatch(r"[0-9]{1,9}", later):
        return max(_MIN_PAUSE_SECONDS, float(later))
    try:
        seconds = (parsedate_to_datetime(later) - parsedate_to_datetime(date or "")).total_seconds()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return max(_MIN_PAUSE_SECONDS, seconds)


def _refusal(target: Target, answer: TursoAnswer) -> str:
    if answer.status in _REFUSALS:
        return _REFUSALS[answer.status]
    if answer.status == 404:  # noqa: PLR2004 - known to everybody
        return f"Turso has no group called {target}."
    if answer.status == _TOO_MANY_REQUESTS:
        return "Turso is limiting the rate of requests."
    if answer.status < 400:  # noqa: PLR2004 - 3xx
        return f"Turso answered with a redirect ({answer.status}), which the bot never follows."
    return f"Turso refused the rotation ({answer.status})."


def _advice(answer: TursoAnswer) -> str:
    if answer.status in _REFUSALS:
        return " Please tell the bot's operators."
    if answer.status == _TOO_MANY_REQUESTS:
        return " Try again later." if answer.pause is None else f" Try again in {answer.pause:.0f} seconds."
    return ""


def _obstacle(error: BaseException | None, host: str) -> str:
    """Describe what kept a request from being sent; httpx hides it in the causes."""
    while error is not None:
        for kinds, what in _OBSTACLES:
            if isinstance(error, kinds):
                return what.format(host)
        # An exception group holds one error for each address that was tried.
        group = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
        error = group[0] if group else error.__cause__ or error.__context__
    return f"{host} could not be reached"


def _json_error(text: str) -> str | None:
    """Find the error in a JSON body: a string, or an object with a message."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return None
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, dict):
        error = error.get("message")
    return error if isinstance(error, str) else None
