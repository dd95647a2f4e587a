"""Sort Turso's answers into done, refused and unknown."""

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
_LEAST_PAUSE_SECONDS = 1.0  # taken literally, "0" would hammer until the deadline
_LONGEST_WORDS = 270
_READABLE = 8192
_LONGEST_SECRET = 4096
_HTML = re.compile(r"\s*<(?:!doctype|html|head|body)\b", re.IGNORECASE)

_OBSTACLES: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (socket.gaierror, "The name {} could not be resolved"),
    (ssl.SSLError, "No secure connection to {} could be made"),
    (ConnectionRefusedError, "The connection to {} was refused"),
    ((TimeoutError, httpx.TimeoutException), "{} could not be reached in time"),
)
_REFUSALS = {
    401: "Turso does not accept the bot's API token: tell its operators.",
    403: "The bot's API token lacks the right group:rotate-creds: tell its operators.",
}


@dataclass(frozen=True, slots=True)
class TursoAnswer:
    """An answer, complete but for what nobody will read."""

    status: int
    text: str = field(default="", repr=False)
    pause: float | None = None
    """How many seconds Turso wants to be left alone, where it said 429 and how many."""

    @classmethod
    def of(cls, status: int, headers: Mapping[str, str], body: bytes) -> "TursoAnswer":
        """Take what counts out of an answer; `headers` do not mind upper and lower case."""
        packed = headers.get("Content-Encoding", "identity").lower() != "identity"
        later = headers.get("Retry-After") if status == _TOO_MANY_REQUESTS else None
        pause = None if later is None else _seconds(later, headers.get("Date"))
        return cls(status, "" if packed else body.decode(errors="replace"), pause)


def judge(target: Target, answer: TursoAnswer, secrets: Collection[str] = ()) -> Outcome:
    """Say what became of a rotation that was answered; `secrets` are kept out of the explanation."""
    match answer.status // 100:
        case 2:
            return Outcome(State.SUCCEEDED, f"Turso has invalidated the group tokens of {target}.", answer.status)
        case 3 | 4:
            state, sentence = State.FAILED, f"{_refusal(target, answer)} Nothing was changed."
        case _:
            state, sentence = State.UNKNOWN, f"Turso answered with {answer.status}: the rotation may have happened."
    said = words(answer.text, secrets)
    return Outcome(state, f"{sentence} Turso said: {said}" if said else sentence, answer.status)


def never_sent(error: BaseException | None, host: str) -> Outcome:
    """Say that the request did not leave."""
    if isinstance(error, CancelledError):
        return Outcome(State.FAILED, "The bot was stopped before the call: nothing was sent.")
    return Outcome(State.FAILED, f"{_obstacle(error, host)}: nothing was sent, and it is safe to try again.")


def unanswered(error: BaseException | None, seconds: float) -> Outcome:
    """Say that the request may have left, and that no complete answer came back within its deadline."""
    match error:
        case CancelledError():
            why = "The bot was stopped during the call"
        case TimeoutError() | httpx.TimeoutException():
            why = f"Turso did not answer within {seconds:g} s"
        case httpx.RemoteProtocolError() if not re.search("disconnected|closed", str(error)):
            why = "Turso's answer could not be understood"
        case _:
            why = "Turso closed the connection before it answered"
    return Outcome(State.UNKNOWN, f"{why}: the rotation may have happened.")


def words(text: str, secrets: Collection[str] = ()) -> str:
    """Return Turso's own words: one clean, short line without secrets, which may still hold mrkdwn."""
    said = _error(text)
    if said is None:
        said = "" if _HTML.match(text) else text  # a proxy's error page is nobody's words
    line = Redactor(secrets).text(one_line(said[:_READABLE]))
    if len(said) > _READABLE:
        # Half a secret, which no longer looks like one, may stand at the end.
        line = line[:-_LONGEST_SECRET] + line[-_LONGEST_SECRET:].rpartition(" ")[0]
    return line if len(line) <= _LONGEST_WORDS else f"{line[: _LONGEST_WORDS - 1]}…"


def _seconds(later: str, date: str | None) -> float | None:
    """Read a `Retry-After`; a date counts from the answer's own `Date`, as our clock may be wrong."""
    if re.fullmatch(r"[0-9]{1,9}", later):
        return max(_LEAST_PAUSE_SECONDS, float(later))
    try:
        seconds = (parsedate_to_datetime(later) - parsedate_to_datetime(date or "")).total_seconds()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return max(_LEAST_PAUSE_SECONDS, seconds)


def _refusal(target: Target, answer: TursoAnswer) -> str:
    if answer.status in _REFUSALS:
        return _REFUSALS[answer.status]
    if answer.status == 404:  # noqa: PLR2004 - the one everybody knows
        return f"Turso has no group called {target}."
    if answer.status == _TOO_MANY_REQUESTS:
        pause = "just now" if answer.pause is None else f"for {answer.pause:.0f} seconds"
        return f"Turso takes no more requests {pause}."
    if answer.status < 400:  # noqa: PLR2004 - 3xx
        return f"Turso answered with a redirect ({answer.status}), which the bot never follows."
    return f"Turso refused the rotation ({answer.status})."


def _obstacle(error: BaseException | None, host: str) -> str:
    """Name what kept a request from leaving; httpx hides it in the causes."""
    while error is not None:
        for kinds, what in _OBSTACLES:
            if isinstance(error, kinds):
                return what.format(host)
        # A group holds one error for each address that was tried.
        group = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
        error = group[0] if group else error.__cause__ or error.__context__
    return f"{host} could not be reached"


def _error(text: str) -> str | None:
    """Find the error in a JSON body; it is a string, or an object with a message."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return None
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, dict):
        error = error.get("message")
    return error if isinstance(error, str) else None
