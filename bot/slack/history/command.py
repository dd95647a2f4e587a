"""Parse what somebody typed after `/turso-audit`; pure.

UsageError
├── UnknownWord       a word that is no group, person, outcome or period
├── Ambiguous         two groups, two people, two outcomes or two periods
└── ImpossiblePeriod  a day that does not exist, or a period that ends before it begins

Their texts quote nothing that was typed.
"""

import re
from dataclasses import replace

from bot.domain.errors import UsageError
from bot.domain.history import HistoryQuery, RequestStatus
from bot.domain.models import GroupName, UserId
from bot.domain.names import GROUP_NAME
from bot.domain.periods import Period
from bot.domain.text import storable
from bot.slack.rotate.command import HELP

PERSON = re.compile(r"[UW][A-Z0-9]{2,30}")
_LABEL = re.compile(r"<@([A-Z0-9]+)\|[^<>]*>")
_MENTION = re.compile(rf"<@({PERSON.pattern})>")
# With a digit, or a group called WAREHOUSE would be taken for a person.
_PLAIN_ID = re.compile(r"[UW](?=[A-Z]*[0-9])[A-Z0-9]{7,30}")


class UnknownWord(UsageError):
    """A word means nothing here. It is named by its position, because it may be anything."""

    def __init__(self, position: int) -> None:
        super().__init__(f"Word {position} is not a group, a person, an outcome or a period.")


class Ambiguous(UsageError):
    """There is more than one of a kind."""

    def __init__(self, what: str) -> None:
        super().__init__(f"Name only one {what}.")


def parse(text: str, reader: UserId) -> HistoryQuery | None:
    """Parse `[group] [@person] [outcome] [period]` in any order; `None` is a request for help.

    Raises `UnknownWord`, `Ambiguous` or `ImpossiblePeriod`.
    """
    words = _LABEL.sub(r"<@\1>", storable(text)).split()
    if len(words) == 1 and words[0].lower() in HELP:
        return None
    query = HistoryQuery()
    for position, word in enumerate(words, 1):
        part = _parse_word(word, reader)
        if part is None:
            raise UnknownWord(position)
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
            raise Ambiguous(field)
        query = replace(query, **{field: value})
    return query
