"""Read what somebody wants to see of history, from the words behind `/turso-audit`; pure.

UsageError
├── UnknownWord     a word that is no group, person, outcome or period
├── SaidTwice       two groups, two people, two outcomes or two periods
└── ImpossibleDays  a day that no calendar has, or a period that ends before it begins

Their texts quote nothing of what was typed.
"""

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from bot.domain.errors import UsageError
from bot.domain.history import Query, RequestStatus
from bot.domain.models import GroupName, UserId
from bot.domain.names import GROUP_NAME, storable

HELP = frozenset({"help", "--help", "-h", "?"})
PERSON = re.compile(r"[UW][A-Z0-9]{2,30}")
_LABEL = re.compile(r"<@([A-Z0-9]+)\|[^<>]*>")
_MENTION = re.compile(rf"<@({PERSON.pattern})>")
# With a digit in it, or a group called WAREHOUSE would be somebody.
_PLAIN_ID = re.compile(r"[UW](?=[A-Z]*[0-9])[A-Z0-9]{7,30}")
_AGO = re.compile(r"([0-9]{1,4})([hdw])")
_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_DAYS = re.compile(rf"(?:{_DAY})?\.\.(?:{_DAY})?|{_DAY}")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


class UnknownWord(UsageError):
    """A word means nothing here; it is called by its position, as it may be anything."""

    def __init__(self, position: int) -> None:
        super().__init__(f"Word {position} is no group, no person, no outcome and no period.")


class SaidTwice(UsageError):
    """There is room for one of each only."""

    def __init__(self, what: str) -> None:
        super().__init__(f"Name one {what} at most.")


class ImpossibleDays(UsageError):
    """The period makes no sense."""

    def __init__(self) -> None:
        super().__init__("There is no such period: a day does not exist, or the last comes before the first.")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants to see; what is left open is `None`."""

    group: GroupName | None = None
    person: UserId | None = None
    outcome: RequestStatus | None = None
    period: str | None = None
    """As it was typed: `7d`, `2026-10-01` or `2026-10-01..2026-10-31`, in UTC; either end may be missing."""

    def query(self, now: datetime) -> Query:
        """Say the same to the history, which knows moments alone. Raises `ImpossibleDays`."""
        since, until = (None, None) if self.period is None else span(self.period, now)
        return Query(self.group, self.person, self.outcome, since, until)


def parse(text: str, reader: UserId) -> Wanted | None:
    """Read `[group] [@person] [outcome] [period]` in any order; `None` stands for a request for help.

    Whether a period makes sense is known when it is asked for. Raises `UnknownWord` or `SaidTwice`.
    """
    words = _LABEL.sub(r"<@\1>", storable(text)).split()
    if len(words) == 1 and words[0].lower() in HELP:
        return None
    wanted = Wanted()
    for position, word in enumerate(words, 1):
        one = _read(word, reader)
        if one is None:
            raise UnknownWord(position)
        wanted = _together(wanted, one)
    return wanted


def span(period: str, now: datetime) -> tuple[datetime | None, datetime | None]:
    """Give the first instant of a period and the first after it. Raises `ImpossibleDays`."""
    if ago := _AGO.fullmatch(period):
        return now - int(ago[1]) * _UNITS[ago[2]], None
    first, between, last = period.partition("..")
    try:
        since = _midnight(first)
        until = _midnight(last if between else first, days=1)
    except (ValueError, OverflowError):
        raise ImpossibleDays from None
    if since is not None and until is not None and until <= since:
        raise ImpossibleDays
    return since, until


def is_period(text: str) -> bool:
    """Say whether it is written like a period."""
    return text != ".." and bool(_AGO.fullmatch(text) or _DAYS.fullmatch(text))


def _midnight(day: str, *, days: int = 0) -> datetime | None:
    return datetime.combine(date.fromisoformat(day) + timedelta(days=days), time(), UTC) if day else None


def _read(word: str, reader: UserId) -> Wanted | None:
    if is_period(word):
        return Wanted(period=word)
    if word.lower() in set(RequestStatus):
        return Wanted(outcome=RequestStatus(word.lower()))
    if word.lower() == "me":
        return Wanted(person=reader)
    if mentioned := _MENTION.fullmatch(word):
        return Wanted(person=UserId(mentioned[1]))
    if _PLAIN_ID.fullmatch(word):
        return Wanted(person=UserId(word))
    group = word.removeprefix("group:")
    return Wanted(group=GroupName(group)) if GROUP_NAME.fullmatch(group) else None


def _together(wanted: Wanted, one: Wanted) -> Wanted:
    for field in ("group", "person", "outcome", "period"):
        value = getattr(one, field)
        if value is None:
            continue
        if getattr(wanted, field) is not None:
            raise SaidTwice(field)
        wanted = replace(wanted, **{field: value})
    return wanted
