"""Parse what somebody typed after `/turso-audit`; pure. Its errors quote nothing that was typed."""

import re
from dataclasses import replace

from bot.domain.errors import UsageError
from bot.domain.history import HistoryQuery, RequestStatus
from bot.domain.models import GroupName, UserId
from bot.domain.names import GROUP_NAME, USER_ID
from bot.domain.periods import Period
from bot.domain.text import storable
from bot.slack.rotate.command import HELP

_LABEL = re.compile(r"<@([A-Z0-9]+)\|[^<>]*>")
_MENTION = re.compile(rf"<@({USER_ID.pattern})>")
# With a digit, or a group called WAREHOUSE would be taken for a person.
_PLAIN_ID = re.compile(r"[UW](?=[A-Z]*[0-9])[A-Z0-9]{7,40}")


def parse(text: str, reader: UserId) -> HistoryQuery | None:
    """Parse `[group] [@person] [outcome] [period]` in any order; `None` is a request for help.

    Raises `UsageError`.
    """
    words = _LABEL.sub(r"<@\1>", storable(text)).split()
    if len(words) == 1 and words[0].lower() in HELP:
        return None
    query = HistoryQuery()
    for position, word in enumerate(words, 1):
        part = _parse_word(word, reader)
        if part is None:
            # By its position: the word may be anything.
            raise UsageError(f"Word {position} is not a group, a person, an outcome or a period.")
        query = _merge(query, part)
    return query


def _parse_word(word: str, reader: UserId) -> HistoryQuery | None:
    if Period.looks_like(word):
        return HistoryQuery(period=Period.parse(word))
    if word.lower() in set(RequestStatus):
        return HistoryQuery(outcome=RequestStatus(word.lower()))
    if word.lower() == "me":
        return HistoryQuery(person=reader)
    if mentioned := _MENTION.fullmatch(word):
        return HistoryQuery(person=UserId(mentioned[1]))
    if _PLAIN_ID.fullmatch(word):
        return HistoryQuery(person=UserId(word))
    group = word.removeprefix("group:")
    return HistoryQuery(group=GroupName(group)) if GROUP_NAME.fullmatch(group) else None


def _merge(query: HistoryQuery, part: HistoryQuery) -> HistoryQuery:
    for field in ("group", "person", "outcome", "period"):
        value = getattr(part, field)
        if value is None:
            continue
        if getattr(query, field) is not None:
            raise UsageError(f"Name only one {field}.")
        query = replace(query, **{field: value})
    return query
