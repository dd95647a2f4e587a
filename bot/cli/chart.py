"""Draw statistics for people: a line for each group and outcome, which ends in a bar for each interval."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from bot.domain.models import GroupName
from bot.domain.statistics import Interval, Medians, Series, Tally, intervals, line_up, merge_small_groups

GROUPS = 50
"""How many groups there is room for."""
_LEVELS, _NOTHING = "▁▂▃▄▅▆▇█", "·"
_LEVELS_ASCII, _NOTHING_ASCII = ":-=+*#%@", "."
_SHORTEST_NAME, _FEWEST_BARS, _MOST_BARS = 12, len("by month"), 60
_BETWEEN = len("  ") * 5 + len("  unresolved") + len("86,400 s")
_LONG_SECONDS = 100.0


@dataclass(frozen=True, slots=True)
class Canvas:
    """What there is to draw on: so many columns, and whether only ASCII can be shown."""

    columns: int
    plain: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """How many columns everything takes."""

    names: int
    numbers: int
    bars: int

    @classmethod
    def on(cls, canvas: Canvas, longest: int, numbers: int) -> "Layout":
        """Share what is left between the names, of which the longest counts, and the bars."""
        free = canvas.columns - _BETWEEN - 2 * numbers
        names = min(longest, max(_SHORTEST_NAME, free // 2))
        return cls(names, numbers, min(_MOST_BARS, max(_FEWEST_BARS, free - names)))


@dataclass(frozen=True, slots=True)
class Chart:
    """Statistics as they are drawn."""

    line_up: Sequence[Series]
    medians: Medians
    starts: Sequence[date]
    interval: Interval
    together: int
    """How many intervals make one bar."""
    rest: str
    """What stands for a group where there is none, or where there are too many."""
    layout: Layout
    plain: bool

    def rows(self) -> Iterator[dict[str, str]]:
        """Write a row for each kind, and one more for those of them that are unresolved."""
        for group, kinds in groupby(self.line_up, lambda course: course.key.group):
            name = self._name(group)
            for course in kinds:
                yield self._row(name, course.key.outcome, course.counts, self.medians.get((None, course.key)))
                name = ""
                if any(course.unresolved):
                    yield self._row(name, "  unresolved", course.unresolved, None)

    def legend(self) -> str:
        """Say what the columns mean."""
        several = f"{self.together} {self.interval}s" if self.together > 1 else f"a {self.interval}"
        first, last = self.starts[0], self.starts[-self.together]
        return (
            f"A bar is {several}; the first begins on {first}, the last on {last} (UTC).\n"
            "Each line is drawn to its own peak. MEDIAN: from the request to its end."
        )

    def _row(self, name: str, outcome: str, counts: Sequence[int], median: float | None) -> dict[str, str]:
        return {
            "group": name,
            "outcome": outcome,
            "count": f"{sum(counts):>{self.layout.numbers},}",
            "median": "" if median is None else f"{_seconds(median):>8}",
            "peak": f"{max(counts):>{self.layout.numbers},}",
            f"by {self.interval}": bars(counts, plain=self.plain),
        }

    def _name(self, group: GroupName | None) -> str:
        name = group or self.rest
        cut = "~" if self.plain else "…"
        return name if len(name) <= self.layout.names else f"{name[: self.layout.names - 1]}{cut}"


def chart(tallies: Sequence[Tally], medians: Medians, interval: Interval, last: date, canvas: Canvas) -> Chart:
    """Lay a chart out from the first tally to the last day, or to the last tally if that is later."""
    shown = merge_small_groups(tallies, GROUPS)
    days = [tally.start for tally in tallies]
    starts = intervals(min(days), max(last, *days), interval)
    longest = max(len("group"), *(len(tally.key.group or "(other)") for tally in shown))
    numbers = max(len("count"), len(f"{sum(tally.count for tally in tallies):,}"))
    layout = Layout.on(canvas, longest, numbers)
    together = -(-len(starts) // layout.bars)
    rest = "(none)" if shown == list(tallies) else "(other)"
    return Chart(line_up(shown, starts, together), medians, starts, interval, together, rest, layout, canvas.plain)


def bars(counts: Sequence[int], *, plain: bool) -> str:
    """Draw bars, the highest at full height; what is not nothing never looks like nothing."""
    levels, nothing = (_LEVELS_ASCII, _NOTHING_ASCII) if plain else (_LEVELS, _NOTHING)
    peak = max(counts)
    return "".join(levels[-(-count * len(levels) // peak) - 1] if count else nothing for count in counts)


def _seconds(seconds: float) -> str:
    return f"{seconds:,.1f} s" if seconds < _LONG_SECONDS else f"{seconds:,.0f} s"
