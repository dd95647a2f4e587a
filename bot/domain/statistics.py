"""Statistics of history: what is counted, in which intervals, and the counts lined up over time."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import groupby

from bot.domain.history import RequestStatus
from bot.domain.models import GroupName, Organization


class Interval(StrEnum):
    """How much time is counted together, in UTC."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    def start(self, day: date) -> date:
        """Return the first day of the interval that contains `day`; weeks begin on Monday."""
        if self is Interval.MONTH:
            return day.replace(day=1)
        return day if self is Interval.DAY else day - timedelta(days=day.weekday())

    def after(self, start: date) -> date:
        """Return the first day of the next interval."""
        days = {Interval.DAY: 1, Interval.WEEK: 7, Interval.MONTH: 31}[self]
        return self.start(start + timedelta(days=days))


@dataclass(frozen=True, slots=True)
class StatisticsQuery:
    """Which requests, refused commands and notes to count; `None` means any."""

    organization: Organization | None = None
    group: GroupName | None = None
    since: datetime | None = None
    until: datetime | None = None
    """The first instant that is no longer counted."""


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """What is counted together, apart from the interval."""

    group: GroupName | None
    """`None` for commands that named no possible group."""
    outcome: RequestStatus


@dataclass(frozen=True, slots=True)
class Tally:
    """One count of a series, by the time of the request."""

    start: date
    """The first day of the interval."""
    key: SeriesKey
    count: int
    unresolved: int
    """How many of them are unknown and not judged."""


Medians = Mapping[tuple[date | None, SeriesKey], float]
"""Seconds, by the first day of the interval (`None` for the whole time) and by series."""


@dataclass(frozen=True, slots=True)
class Series:
    """The counts of one series over time."""

    key: SeriesKey
    counts: Sequence[int]
    """One for each interval, or for several adjacent ones."""
    unresolved: Sequence[int]


def intervals(first: date, last: date, interval: Interval) -> list[date]:
    """Return the first days of the intervals from one day to another, both included."""
    starts, start = [], interval.start(first)
    while start <= last:
        starts.append(start)
        start = interval.after(start)
    return starts


def merge_small_groups(tallies: Sequence[Tally], limit: int) -> list[Tally]:
    """Keep the `limit` groups with the most requests, and count all others under no group."""
    sizes = Counter[GroupName | None]()
    for tally in tallies:
        sizes[tally.key.group] += tally.count
    kept = {group for group, _ in sizes.most_common(limit)}
    return [
        tally if tally.key.group in kept else replace(tally, key=SeriesKey(None, tally.key.outcome))
        for tally in tallies
    ]


def line_up(tallies: Iterable[Tally], starts: Sequence[date], together: int) -> list[Series]:
    """Return the tallies as series, by group and outcome.

    Each count covers `together` intervals; the first one may cover fewer.
    """
    size = -(-len(starts) // together)
    missing = size * together - len(starts)
    places = {start: (place + missing) // together for place, start in enumerate(starts)}
    ordered = sorted(tallies, key=lambda tally: rank(tally.key))
    return [_series(key, list(tallied), places, size) for key, tallied in groupby(ordered, lambda each: each.key)]


def rank(key: SeriesKey) -> tuple[bool, str, int]:
    """Return a sort key: by group, no group last, then by outcome in the order of `RequestStatus`."""
    return key.group is None, key.group or "", list(RequestStatus).index(key.outcome)


def _series(key: SeriesKey, tallies: Sequence[Tally], places: Mapping[date, int], size: int) -> Series:
    counts, unresolved = [0] * size, [0] * size
    for tally in tallies:
        counts[places[tally.start]] += tally.count
        unresolved[places[tally.start]] += tally.unresolved
    return Series(key, counts, unresolved)
