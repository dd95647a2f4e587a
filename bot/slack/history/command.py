"""Parse what somebody typed after `/turso-audit`; pure. Its errors quote nothing that was typed."""

import re
from collections.abc import Mapping
from dataclasses import replace

from bot.domain.errors import UsageError
from bot.domain.history import HistoryQuery, RequestStatus
from bot.domain.models import GroupName, UserId
from bot.domain.names import EXPLICIT, GROUP_NAME, USER_ID
from bot.domain.periods import Period
from bot.domain.text import words
from bot.slack.rotate.command import HELP

_LABEL = re.compile(r"<@([A-Z0-9]+)\|[^<>]*>")
# A plain id has a digit, or a group called WAREHOUSE would be taken for a person.
_PERSON = re.compile(rf"<@({USER_ID.pattern})>|([UW](?=[A-Z]*[0-9])[A-Z0-9]{{7,40}})")
_OUTCOMES: Mapping[str, RequestStatus] = {str(status): status for status in RequestStatus} | {
    word: status
    for status, more in {
        RequestStatus.REQUESTED: "open pending request requests waiting",
        RequestStatus.ROTATING: "running",
        RequestStatus.SUCCEEDED: "done ok succeed success successes successful successfully",
        RequestStatus.FAILED: "fail fails failing failure failures",
        RequestStatus.UNKNOWN: "unknowns",
        RequestStatus.CANCELLED: "cancel canceled cancellation cancellations",
        RequestStatus.EXPIRED: "expire expires",
        RequestStatus.DENIED: "deny denial denials",
        RequestStatus.REJECTED: "reject rejection rejections",
    }.items()
    for word in more.split()
}
_REFUSED = "may mean denied (the rules forbade it) or rejected (there is no such group)"
_ERROR = "may mean failed (nothing was changed) or unknown (it may have happened)"
_UNCLEAR = dict.fromkeys(("refused", "refusal", "refusals"), _REFUSED) | dict.fromkeys(("error", "errors"), _ERROR)
_TIME = re.compile(
    r"(?:(?:this|last|past|next|since)[-_]?)?\d*[-_]?"
    r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:days?)?|tomorrow|weekend|recent(?:ly)?|latest|ago"
    r"|min(?:ute)?s?|h(?:ou)?rs?|days?|weeks?|months?|quarters?|years?)|\d{1,4}(?:-\d{1,2}){1,2}|this|last|past|since"
)
_PERIODS = "looks like a time; a period is written like 24h, 7d, 4w, yesterday or 2026-10-01..2026-10-31"


def parse(text: str, reader: UserId) -> HistoryQuery | None:
    """Parse `[group] [@person] [outcome] [period]` in any order; `None` is a request for help.

    Raises `UsageError`.
    """
    typed = words(_LABEL.sub(r"<@\1>", text))
    if len(typed) == 1 and typed[0].lower() in HELP:
        return None
    query = HistoryQuery()
    for position, word in enumerate(typed, 1):
        part = _parse_word(word, reader)
        if isinstance(part, str):
            # By its position: the word may be anything.
            raise UsageError(f"Word {position} {part}.")
        query = _merge(query, part)
    return query


def _parse_word(word: str, reader: UserId) -> HistoryQuery | str:
    """Return what a word asks for, or why it asks for nothing."""
    lower = word.lower()
    if Period.looks_like(lower):
        return HistoryQuery(period=Period.parse(lower))
    if lower in _OUTCOMES:
        return HistoryQuery(outcome=_OUTCOMES[lower])
    if person := _PERSON.fullmatch(word):
        return HistoryQuery(person=UserId(person[1] or person[2]))
    return HistoryQuery(person=reader) if lower == "me" else _parse_group(word)


def _parse_group(word: str) -> HistoryQuery | str:
    lower = word.lower()
    group = word[len(EXPLICIT) :] if lower.startswith(EXPLICIT) else word
    misread = _PERIODS if _TIME.fullmatch(lower) else _UNCLEAR.get(lower)
    if misread is not None:
        return f"{misread}. If it is a group, write {EXPLICIT} in front of it"
    if GROUP_NAME.fullmatch(group):
        return HistoryQuery(group=GroupName(group))
    return "is not a group, a person, an outcome or a period"


def _merge(query: HistoryQuery, part: HistoryQuery) -> HistoryQuery:
    for field in ("group", "person", "outcome", "period"):
        value = getattr(part, field)
        if value is None:
            continue
        if getattr(query, field) is not None:
            raise UsageError(f"Name only one {field}.")
        query = replace(query, **{field: value})
    return query
