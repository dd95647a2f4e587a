"""Draw statistics for people: a line for each group and outcome, with a bar for each interval."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from bot.domain.models import GroupName
from bot.domain.statistics import Interval, Medians, Series, Tally, intervals, line_up, merge_small_groups

GROUPS = 50
"""The most groups that are shown."""
_LEVELS, _ZERO = "▁▂▃▄▅▆▇█", "·"
_LEVELS_ASCII, _ZERO_ASCII = ":-=+*#%@", "."
_SHORTEST_NAME, _FEWEST_BARS, _MOST_BARS = 12, len("by month"), 60
_BETWEEN = len("  ") * 5 + len("  unresolved") + len("86,400 s")
_LONG_SECONDS = 100.0


@dataclass(frozen=True, slots=True)
class Canvas:
    """The size of the terminal in columns, and whether it can show only ASCII."""

    columns: int
    plain: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """The widths of the columns."""

    names: int
    numbers: int
    bars: int

    @classmethod
    def on(cls, canvas: Canvas, longest: int, numbers: int) -> "Layout":
        """Divide the free width between the names, of which the longest is given, and the bars."""
        free = canvas.columns - _BETWEEN - 2 * numbers
        names = min(longest, max(_SHORTEST_NAME, free // 2))
        return cls(names, numbers, min(_MOST_BARS, max(_FEWEST_BARS, free - names)))


@dataclass(frozen=True, slots=True)
class Chart:
    """Statistics, laid out for a canvas."""

    series: Sequence[Series]
    medians: Medians
    starts: Sequence[date]
    interval: Interval
    together: int
    """How many intervals make one bar."""
    rest: str
    """The name for the rows without a group, or for the groups that are not shown."""
    layout: Layout
    plain: bool

    def rows(self) -> Iterator[dict[str, str]]:
        """Return a row for each series, and one more for its unresolved requests."""
        for group, several in groupby(self.series, lambda each: each.key.group):
            name = self._name(group)
            for series in several:
                yield self._row(name, series.key.outcome, series.counts, self.medians.get((None, series.key)))
                name = ""
                if any(series.unresolved):
                    yield self._row(name, "  unresolved", series.unresolved, None)

    def legend(self) -> str:
        """Explain the columns."""
        several = f"{self.together} {self.interval}s" if self.together > 1 else f"a {self.interval}"
        first, last = self.starts[0], self.starts[-self.together]
        return (
            f"A bar is {several}; the first begins on {first}, the last on {last} (UTC).\n"
            "Each line is scaled to its own peak. MEDIAN: time from the request to its end."
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
    """Draw bars, the highest at full height; a count above zero never looks like zero."""
    levels, zero = (_LEVELS_ASCII, _ZERO_ASCII) if plain else (_LEVELS, _ZERO)
    peak = max(counts)
    return "".join(levels[-(-count * len(levels) // peak) - 1] if count else zero for count in counts)


def _seconds(seconds: float) -> str:
    return f"{seconds:,.1f} s" if seconds < _LONG_SECONDS else f"{seconds:,.0f} s"
