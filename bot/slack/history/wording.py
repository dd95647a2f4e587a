"""Words for what history holds: outcomes, actions, durations, facts and queries."""

from collections.abc import Mapping

from bot.domain.events import Action
from bot.domain.history import HistoryQuery, RequestStatus
from bot.domain.names import CHANNEL_ID
from bot.domain.periods import Period
from bot.domain.states import State
from bot.slack.blocks import code
from bot.slack.payloads import HOME

STATUS_LABELS: Mapping[RequestStatus, str] = {
    RequestStatus.REQUESTED: ":bell: *requested*",
    RequestStatus.ROTATING: ":hourglass_flowing_sand: *rotating*",
    RequestStatus.SUCCEEDED: ":white_check_mark: *succeeded*",
    RequestStatus.FAILED: ":x: *failed*",
    RequestStatus.UNKNOWN: ":warning: *unknown*",
    RequestStatus.CANCELLED: ":no_entry_sign: *cancelled*",
    RequestStatus.EXPIRED: ":alarm_clock: *expired*",
    RequestStatus.SUPERSEDED: ":arrows_counterclockwise: *superseded*",
    RequestStatus.DENIED: ":no_entry: *denied*",
    RequestStatus.REJECTED: ":mag: *rejected*",
    RequestStatus.NOTED: ":writing_hand: *noted*, made by hand",
}
ACTIONS: Mapping[Action, str] = {
    Action.REQUESTED: "Requested the rotation",
    Action.DENIED: "Was refused",
    Action.REJECTED: "Named a group that does not exist",
    Action.CANCELLED: "Cancelled the request",
    Action.EXPIRED: "The request expired: nobody confirmed it in time",
    Action.SUPERSEDED: "Another request took its place",
    Action.NOTED: "Noted a rotation made by hand",
    Action.STARTED: "Confirmed; the call to Turso came next",
    Action.SUCCEEDED: "Turso confirmed that the tokens were rotated",
    Action.FAILED: "It failed: nothing was changed",
    Action.UNKNOWN: "No clear answer: it may or may not have happened",
    Action.RESOLVED: "Judged the outcome",
    Action.GRANTED: "Added somebody to the allowlist",
    Action.REVOKED: "Removed somebody from the allowlist",
    Action.READING_DENIED: "Was refused access to the history",
    Action.GUARDS_BROKEN: "Noticed that the database no longer protects its history",
    Action.GUARDS_RESTORED: "The database protects its history again",
    Action.GIVEN_UP: "Gave up notifying people after a day",
    Action.REKEYED: "Changed the key of the audit trail",
}
_FACTS = {
    "reason": "Reason",
    "why": "Why",
    "explanation": "What happened",
    "status": "HTTP status",
    "group_missing": "Group missing",
    "seconds": "Seconds",
    "grant": "By grant",
    "note": "Note",
    "as": "Judged as",
    "instead_of": "Instead of",
    "superseded_by": "Superseded by",
    "rotated_at": "Rotated at",
    "fingerprint": "Fingerprint of the new key",
}
_NOT_SHOWN = frozenset({"channel", "databases", "expires_in"})
"""Shown as a place, or on the card."""
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_CLOCK = ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))  # seconds of a unit, and of the next
_TENTHS_BELOW = 10  # seconds


def status_label(status: RequestStatus, resolved_as: State | None) -> str:
    """Format a status, with the judgement of an unknown."""
    judged = f", judged *{resolved_as}*" if status is RequestStatus.UNKNOWN and resolved_as is not None else ""
    return STATUS_LABELS[status] + judged


def duration(seconds: float) -> str:
    """Format a duration in its two largest units."""
    whole = round(seconds)
    for size, unit, next_size, next_unit in _CLOCK:
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // next_size} {next_unit}"
    return f"{seconds:.1f} s" if whole < _TENTHS_BELOW else f"{whole} s"


def facts(detail: Mapping[str, object]) -> str:
    """List what an event adds to its action. This is foreign text: show it without markup."""
    named = ((_FACTS.get(name, name), value) for name, value in detail.items() if name not in _NOT_SHOWN)
    return " · ".join(f"{name}: {value}" for name, value in named if value is not None and value != "")


def place(channel: object) -> str:
    """Format where something was done, if Slack can show it."""
    if channel == HOME:
        return " on the Home tab"
    if not isinstance(channel, str) or not CHANNEL_ID.fullmatch(channel):
        return ""
    return " in a direct message" if channel.startswith("D") else f" in <#{channel}>"


def asked_for(query: HistoryQuery) -> str:
    """Format a query."""
    parts = (
        query.group and code(query.group),
        query.person and f"<@{query.person}>",
        query.outcome and str(query.outcome),
        query.period and period(query.period),
    )
    return " · ".join(part for part in parts if part) or "everything"


def period(asked: Period) -> str:
    """Format a period."""
    text = asked.text
    if text[-1] in _UNITS:
        return f"the last {text[:-1]} {_UNITS[text[-1]]}"
    first, dots, last = text.partition("..")
    if not dots:
        return f"{first} (UTC)"
    return " ".join(filter(None, (first and f"from {first}", last and f"up to {last}", "(UTC)")))
