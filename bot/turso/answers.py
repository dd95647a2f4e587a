"""Decide what an answer to a rotation proves, or the lack of one, and put it into words.

An answer proves a success or a refusal only if it is on one of the two lists below *and* its body fits. Anything else
may come from a proxy or a broken gateway after Turso has performed the rotation, so the outcome is unknown.
"""

import re
import socket
import ssl
from asyncio import CancelledError
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import httpx

from bot.domain.lease import LeaseSpent
from bot.domain.models import Outcome, Target
from bot.domain.states import State
from bot.turso.bodies import Body, error_message, kind_of

PROVES_SUCCESS = frozenset({200, 204})
PROVES_REFUSAL = frozenset({400, 401, 402, 403, 404, 405, 410, 413, 414, 415, 422, 429, 431})

_MIN_PAUSE_SECONDS = 1.0  # taken literally, "0" would mean one request after another until the deadline
_IN_BETWEEN = re.compile(r"\b(?:access policy|block\w*|captcha|firewall|gateway|proxy|waf)\b", re.IGNORECASE)
"""What something between the bot and Turso speaks of."""
_OF_SCOPE = re.compile(r"\b(?:tokens?|scopes?|permissions?)\b", re.IGNORECASE)
_NO_GROUP = re.compile(
    r"\W*(?:the )?group(?: \S{1,70})? (?:was )?(?:not found|does not exist|doesn't exist)|\W*no such group",
    re.IGNORECASE,
)
_MAYBE = "the rotation may have happened"
_STOOD_STILL = "The bot stood still between the start and the call, for longer than its claim holds"
_LOOK_AGAIN = "Others may have rotated the group meanwhile: type the command again to see."

_OBSTACLES: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (socket.gaierror, "The host name {} could not be resolved"),
    (ssl.SSLError, "A secure connection to {} could not be established"),
    (ConnectionRefusedError, "The connection to {} was refused"),
    ((TimeoutError, httpx.TimeoutException), "{} could not be reached in time"),
)


@dataclass(frozen=True, slots=True, repr=False)
class TursoAnswer:
    """A complete answer. It has no `repr`: the text is foreign."""

    status: int
    body: Body = Body.EMPTY
    text: str = ""
    """The body, possibly cut; empty if it is compressed."""
    pause: float | None = None
    """The seconds to wait before the next request, if the rate is limited and the answer says so."""

    @classmethod
    def of(cls, status: int, headers: Mapping[str, str], body: bytes, *, whole: bool) -> "TursoAnswer":
        """Keep what matters of an answer; `headers` must be case-insensitive, `whole` says that no byte is missing."""
        packed = body and headers.get("Content-Encoding", "identity").lower() != "identity"
        text = "" if packed else body.decode(errors="replace")
        framed = status == httpx.codes.NO_CONTENT or "Content-Length" in headers or "Transfer-Encoding" in headers
        if not body and "Content-Type" in headers and not framed:
            whole = False  # something was to come, and the connection ended
        kind = kind_of(body, headers.get("Content-Type", "")) if whole and not packed else Body.OTHER
        later = headers.get("Retry-After") if _limits_rate(status, kind) else None
        return cls(status, kind, text, None if later is None else _seconds(later, headers.get("Date")))

    @property
    def refuses(self) -> bool:
        """Whether it proves that nothing was changed."""
        return self.status in PROVES_REFUSAL and self.body in {Body.EMPTY, Body.ERROR}

    @property
    def says_no_group(self) -> bool:
        """Whether it says that there is no such group."""
        is_said = self.status == httpx.codes.NOT_FOUND and self.body is Body.ERROR
        return is_said and _NO_GROUP.match(error_message(self.text)) is not None

    @property
    def confirms(self) -> bool:
        """Whether it proves that the rotation was performed."""
        return self.status in PROVES_SUCCESS and self.body in {Body.EMPTY, Body.NO_ERROR}


def classify(target: Target, answer: TursoAnswer, secrets: Collection[str] = ()) -> Outcome:
    """Return the outcome of a rotation that was answered; `secrets` are kept out of the explanation."""
    if answer.confirms:
        return Outcome(State.SUCCEEDED, f"Turso has invalidated the group tokens of {target}.", answer.status)
    message = error_message(answer.text, secrets)
    if answer.refuses:
        refusal, advice = _refusal(target, answer, message), _advice(answer, message)
        state, sentence = State.FAILED, f"{refusal} Nothing was changed.{advice}"
    else:
        state, sentence = State.UNKNOWN, f"{_unproven(answer)}: {_MAYBE}."
    is_turso = answer.refuses and answer.body is Body.ERROR and not _IN_BETWEEN.search(message)
    said = f"{sentence} {'Turso' if is_turso else 'The answer'} said: {message}" if message else sentence
    return Outcome(state, said, answer.status, group_missing=answer.says_no_group)


def never_sent(error: BaseException | None, host: str) -> Outcome:
    """Return the outcome of a rotation whose request was never sent."""
    if isinstance(error, CancelledError):
        return Outcome(State.FAILED, "The bot was stopped before the call: nothing was sent.")
    if _is_caused_by(error, LeaseSpent):
        return Outcome(State.FAILED, f"{_STOOD_STILL}: nothing was sent. {_LOOK_AGAIN}")
    return Outcome(State.FAILED, f"{_obstacle(error, host)}: nothing was sent.")


def unanswered(error: BaseException | None, seconds: float) -> Outcome:
    """Return the outcome of a rotation whose request may have been sent, without a complete answer in time."""
    match error:
        case CancelledError():
            why = "The bot was stopped during the call"
        case TimeoutError() | httpx.TimeoutException():
            why = f"There was no complete answer within {seconds:g} s"
        case httpx.RemoteProtocolError() if not re.search("disconnected|closed", str(error)):
            why = "The answer was malformed"
        case _:
            why = "The connection broke before the answer was complete"
    return Outcome(State.UNKNOWN, f"{why}: {_MAYBE}.")


def _limits_rate(status: int, body: Body) -> bool:
    return status == httpx.codes.TOO_MANY_REQUESTS and body in {Body.EMPTY, Body.ERROR}


def _seconds(later: str, date: str | None) -> float | None:
    """Parse a `Retry-After`; a date counts from the answer's own `Date`, because our clock may be wrong."""
    if re.fullmatch(r"[0-9]{1,9}", later):
        return max(_MIN_PAUSE_SECONDS, float(later))
    try:
        seconds = (parsedate_to_datetime(later) - parsedate_to_datetime(date or "")).total_seconds()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return max(_MIN_PAUSE_SECONDS, seconds)


def _refusal(target: Target, answer: TursoAnswer, message: str) -> str:
    """Describe a refusal; without a word from Turso, it is not said who refused what."""
    match answer.status:
        case 429:
            return "The rate of requests is limited (429)."
        case status if answer.body is Body.EMPTY or _IN_BETWEEN.search(message):
            return f"The rotation was refused ({status}){'' if message else ', without an explanation'}."
        case 401:
            return "Turso does not accept the bot's API token (401)."
        case 403 if _OF_SCOPE.search(message):
            return "Turso does not let the bot's API token do this (403)."
        case 404 if answer.says_no_group:
            return f"Turso has no group called {target} (404)."
        case status:
            return f"Turso refused the rotation ({status})."


def _advice(answer: TursoAnswer, message: str) -> str:
    match answer.status:
        case 403 if not _IN_BETWEEN.search(message):
            return " Please tell the bot's operators: its API token may lack the scope group:rotate-creds."
        case 401 | 403:
            return " Please tell the bot's operators."
        case 429:
            return " Try again later." if answer.pause is None else f" Try again in {answer.pause:.0f} seconds."
        case _:
            return ""


def _unproven(answer: TursoAnswer) -> str:
    """Describe an answer that proves neither a success nor a refusal."""
    if answer.body is Body.HTML:
        return f"Something between the bot and Turso answered with a web page ({answer.status})"
    if answer.status // 100 == 3:  # noqa: PLR2004 - 3xx
        return f"The answer was a redirect ({answer.status}), which the bot never follows"
    return f"The answer ({answer.status}) proves neither a success nor a refusal"


def _is_caused_by(error: BaseException | None, kind: type[Exception]) -> bool:
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error is not None


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
