"""Statistics of history: what is counted, in which intervals, and how the counts line up over time."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import groupby, takewhile

from bot.domain.history import RequestStatus
from bot.domain.models import GroupName, Organization

ENDINGS = tuple(RequestStatus)


class Interval(StrEnum):
    """How much time is counted together; all of it in UTC."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    def start(self, day: date) -> date:
        """Give the first day of the interval in which a day lies; weeks begin on Monday."""
        if self is Interval.MONTH:
            return day.replace(day=1)
        return day if self is Interval.DAY else day - timedelta(days=day.weekday())

    def after(self, start: date) -> date:
        """Give the first day of the next interval."""
        days = {Interval.DAY: 1, Interval.WEEK: 7, Interval.MONTH: 31}[self]
        return self.start(start + timedelta(days=days))


@dataclass(frozen=True, slots=True)
class Scope:
    """Which requests and refused commands are counted; `None` leaves a field free."""

    organization: Organization | None = None
    group: GroupName | None = None
    since: datetime | None = None
    until: datetime | None = None
    """The first instant that is no longer counted."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What is counted together, besides the interval."""

    group: GroupName | None
    """`None` where what was typed names no possible group."""
    outcome: RequestStatus


@dataclass(frozen=True, slots=True)
class Tally:
    """How much of a kind there was in one interval, by the time of the request."""

    start: date
    kind: Kind
    count: int
    unresolved: int
    """How many of them are unknown, and nobody has judged them."""


Medians = Mapping[tuple[date | None, Kind], float]
"""Seconds by the interval's first day, or `None` for the whole time, and by kind."""


@dataclass(frozen=True, slots=True)
class Course:
    """A kind over time."""

    kind: Kind
    counts: Sequence[int]
    """One for each interval, or for several that lie side by side."""
    unresolved: Sequence[int]


def intervals(first: date, last: date, interval: Interval) -> list[date]:
    """List where the intervals start that lie between two days, both included."""
    return list(takewhile(lambda start: start <= last, _from(interval.start(first), interval)))


def gathered(tallies: Sequence[Tally], most: int) -> list[Tally]:
    """Keep so many groups, those with the most requests, and count the others with what names no possible group."""
    sizes = Counter[GroupName | None]()
    for tally in tallies:
        sizes[tally.kind.group] += tally.count
    kept = {group for group, _ in sizes.most_common(most)}
    return [
        tally if tally.kind.group in kept else replace(tally, kind=Kind(None, tally.kind.outcome)) for tally in tallies
    ]


def courses(tallies: Iterable[Tally], starts: Sequence[date], together: int) -> list[Course]:
    """Line the tallies up over time, kind by kind: by group, and by outcome as they are declared.

    `together` says how many intervals make one count; the first count may hold fewer.
    """
    size = -(-len(starts) // together)
    missing = size * together - len(starts)
    places = {start: (place + missing) // together for place, start in enumerate(starts)}
    ordered = sorted(tallies, key=lambda tally: rank(tally.kind))
    return [_course(kind, list(tallied), places, size) for kind, tallied in groupby(ordered, lambda each: each.kind)]


def rank(kind: Kind) -> tuple[bool, str, int]:
    """Order kinds: by group, those without one last, and by outcome as they are declared."""
    return kind.group is None, kind.group or "", ENDINGS.index(kind.outcome)


def _course(kind: Kind, tallies: Sequence[Tally], places: Mapping[date, int], size: int) -> Course:
    counts, unresolved = [0] * size, [0] * size
    for tally in tallies:
        counts[places[tally.start]] += tally.count
        unresolved[places[tally.start]] += tally.unresolved
    return Course(kind, counts, unresolved)


def _from(start: date, interval: Interval) -> Iterator[date]:
    while True:
        yield start
        start = interval.after(start)
