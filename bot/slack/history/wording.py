"""Plain words for what history holds: outcomes, actions, durations, facts, and what was asked for."""

import re
from collections.abc import Mapping

from bot.domain.history import RequestStatus
from bot.domain.models import Action, State
from bot.slack.blocks import code
from bot.slack.history.command import Wanted
from bot.slack.payloads import HOME

OUTCOMES: Mapping[RequestStatus, str] = {
    RequestStatus.REQUESTED: ":bell: *requested*",
    RequestStatus.ROTATING: ":hourglass_flowing_sand: *rotating*",
    RequestStatus.SUCCEEDED: ":white_check_mark: *succeeded*",
    RequestStatus.FAILED: ":x: *failed*",
    RequestStatus.UNKNOWN: ":warning: *unknown*",
    RequestStatus.CANCELLED: ":no_entry_sign: *cancelled*",
    RequestStatus.EXPIRED: ":alarm_clock: *expired*",
    RequestStatus.DENIED: ":no_entry: *denied*",
    RequestStatus.REJECTED: ":mag: *rejected*",
}
ACTIONS: Mapping[Action, str] = {
    Action.REQUESTED: "Asked for the rotation",
    Action.DENIED: "Was refused",
    Action.REJECTED: "Named no group that exists",
    Action.CANCELLED: "Cancelled the request",
    Action.EXPIRED: "Nobody confirmed in time: the request expired",
    Action.STARTED: "Confirmed: the call to Turso began",
    Action.SUCCEEDED: "Turso confirmed: the tokens are rotated",
    Action.FAILED: "It failed: nothing was changed",
    Action.UNKNOWN: "No clear answer: it may have happened or not",
    Action.RESOLVED: "Judged what became of it",
    Action.GRANTED: "Put somebody on the allowlist",
    Action.REVOKED: "Took somebody off the allowlist",
    Action.READING_DENIED: "Was refused a look at the history",
    Action.GIVEN_UP: "For a day nobody could be told",
}
_SLACK_CHANNEL = re.compile(r"[CDG][A-Z0-9]{2,40}")
_FACTS = {
    "reason": "Reason",
    "why": "Why",
    "explanation": "What happened",
    "status": "HTTP status",
    "seconds": "Seconds",
    "grant": "By grant",
    "note": "Note",
    "as": "Judged as",
    "instead_of": "Instead of",
}
_SHOWN_AS_PLACE = "channel"
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}
_CLOCK = ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))  # seconds of a unit, and of the next
_TENTHS_BELOW = 10  # seconds


def outcome(ending: RequestStatus, resolved_as: State | None) -> str:
    """Say where a request stands; what a person judged stays an unknown."""
    judged = f", judged *{resolved_as}*" if ending is RequestStatus.UNKNOWN and resolved_as is not None else ""
    return OUTCOMES[ending] + judged


def lasted(seconds: float) -> str:
    """Say how long something took, in its two largest units."""
    whole = round(seconds)
    for size, unit, next_size, next_unit in _CLOCK:
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // next_size} {next_unit}"
    return f"{seconds:.1f} s" if whole < _TENTHS_BELOW else f"{whole} s"


def facts(detail: Mapping[str, object]) -> str:
    """Say what an event adds to its action; foreign text, to be shown as it is."""
    named = ((_FACTS.get(name, name), value) for name, value in detail.items() if name != _SHOWN_AS_PLACE)
    return " · ".join(f"{name}: {value}" for name, value in named if value is not None and value != "")


def place(channel: object) -> str:
    """Say where something was done, as far as Slack can show it."""
    if channel == HOME:
        return " on the Home tab"
    if not isinstance(channel, str) or not _SLACK_CHANNEL.fullmatch(channel):
        return ""
    return " in a direct message" if channel.startswith("D") else f" in <#{channel}>"


def asked_for(wanted: Wanted) -> str:
    """Repeat what somebody wants to see."""
    parts = (
        wanted.group and code(wanted.group),
        wanted.person and f"<@{wanted.person}>",
        wanted.outcome and str(wanted.outcome),
        wanted.period and period(wanted.period),
    )
    return " · ".join(part for part in parts if part) or "everything"


def period(text: str) -> str:
    """Repeat a period; days are UTC."""
    if text[-1] in _UNITS:
        return f"the last {text[:-1]} {_UNITS[text[-1]]}"
    first, between, last = text.partition("..")
    if not between:
        return f"{first} (UTC)"
    return " ".join(filter(None, (first and f"from {first}", last and f"up to {last}", "(UTC)")))
