"""Walk rows of the audit trail in order, and check that they are still the chain that was written."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from bot.domain.errors import UsageError
from bot.domain.events import TrailHead
from bot.trail.chain import GENESIS, UNKEYED, Row, Seal
from bot.trail.diagnose import ChainFault, Diagnosis, Evidence, diagnose

STEP = 10_000
"""After how many rows progress is reported."""
_ANCHOR = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """How to verify the rows."""

    seal: Seal
    anchors: Sequence[TrailHead] = ()
    """Heads noted earlier, which the chain must contain."""
    unkeyed_until: int = 0
    """Rows up to this one may be sealed without the key, as long as none of them follows a row with it."""
    partial: bool = False
    """The rows may begin after the first one, as in an export."""


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """How far the rows are sound, and what is wrong with the first that is not."""

    start: TrailHead
    """The row before the first, as the first names it; `seq` is 0 if there is none."""
    head: TrailHead
    """The last row that is sound."""
    unkeyed_until: int
    """The last row accepted without the key, or 0."""
    diagnosis: Diagnosis | None

    @property
    def rows(self) -> int:
        """The number of sound rows before the first that is not."""
        return self.head.seq - self.start.seq


def parse_anchor(text: str) -> TrailHead:
    """Parse `SEQ:HASH`, as the bot logs its head. Raises `UsageError`."""
    found = _ANCHOR.fullmatch(text.strip().lower())
    if found is None:
        raise UsageError("An anchor is written SEQ:HASH: a row's number, and its hash in 64 hexadecimal digits.")
    return TrailHead(int(found[1]), found[2])


def verify(
    rows: Iterable[Row], options: VerifyOptions, progress: Callable[[int], None] = lambda _: None
) -> VerifyReport:
    """Check each row's number, link and seal, and the anchors, in constant memory.

    `progress` is called from time to time with the number of rows done. Columns may hold anything; what the bot
    never writes is a fault.
    """
    return _Walk(iter(rows), options, progress).report()


class _Walk:
    def __init__(self, rows: Iterator[Row], options: VerifyOptions, progress: Callable[[int], None]) -> None:
        self._rows = rows
        self._options = options
        self._progress = progress
        self._anchors = sorted(options.anchors, key=lambda head: head.seq)
        self._start = self._last = self._before_first()
        self._keyless = self._start
        self._diagnosis = self._unmet()

    def report(self) -> VerifyReport:
        bad = self._follow(UNKEYED, self._options.unkeyed_until)
        self._keyless = self._last
        if bad is not None:
            self._rows = chain([bad], self._rows)  # the key came earlier than the options say, or the row really is bad
        bad = self._follow(self._options.seal)
        diagnosis = self._diagnosis or (self._beyond() if bad is None else self._diagnose(bad))
        unkeyed_until = 0 if self._keyless == self._start else self._keyless.seq
        return VerifyReport(self._start, self._last, unkeyed_until, diagnosis)

    def _before_first(self) -> TrailHead:
        """Return the row before the first, which a part of the trail knows only from its first row."""
        first = next(self._rows, None)
        if first is None:
            return TrailHead(0, GENESIS)
        self._rows = chain([first], self._rows)
        seq: object = first.seq
        begins_later = self._options.partial and isinstance(seq, int) and seq > 1
        return TrailHead(first.seq - 1, first.prev_hash) if begins_later else TrailHead(0, GENESIS)

    def _follow(self, seal: Seal, until: int | None = None) -> Row | None:
        """Follow the rows as far as they are sound, or to row `until`; return the first that is not."""
        while self._diagnosis is None and (until is None or self._last.seq < until):
            stops = [stop for stop in (until, *(head.seq for head in self._anchors[:1])) if stop is not None]
            size = min([STEP, *(stop - self._last.seq for stop in stops)])
            goal = self._last.seq + size
            self._last, bad = _linked(islice(self._rows, size), self._last, seal)
            if bad is not None or self._last.seq < goal:
                return bad
            self._progress(self._last.seq - self._start.seq)
            self._diagnosis = self._unmet()
        return None

    def _unmet(self) -> Diagnosis | None:
        """Compare the anchors reached so far with the rows there."""
        while self._anchors and self._anchors[0].seq <= self._last.seq:
            anchor = self._anchors.pop(0)
            if anchor.seq < self._last.seq:
                words = f"An anchor names it, but what is here begins with row {self._start.seq + 1}."
                return Diagnosis(ChainFault.MISSING, anchor.seq, words)
            if anchor.hash != self._last.hash:
                return Diagnosis(ChainFault.REWRITTEN, anchor.seq, _REWRITTEN)
        return None

    def _beyond(self) -> Diagnosis | None:
        """Report rows after the last one, if an anchor proves that there were some."""
        if not self._anchors:
            return None
        words = f"An anchor names row {self._anchors[-1].seq}, but what is here ends with row {self._last.seq}."
        return Diagnosis(ChainFault.CUT, self._last.seq + 1, words)

    def _diagnose(self, bad: Row) -> Diagnosis:
        either = self._last == self._keyless and self._last.seq < self._options.unkeyed_until
        seals = (UNKEYED, self._options.seal) if either else (self._options.seal,)
        return diagnose(Evidence(self._last, bad, self._rows, seals))


_REWRITTEN = (
    "Its hash differs from the anchor's: the rows up to it were rewritten after the anchor was noted, "
    "or the anchor is from another trail."
)


def _linked(rows: Iterable[Row], last: TrailHead, seal: Seal) -> tuple[TrailHead, Row | None]:
    """Follow the links as far as they hold; return the last sound row, and the first that is not."""
    seq, prev_hash, digest = last.seq, last.hash, seal.hash
    for row in rows:
        try:
            sound = row[0] == seq + 1 and row[10] == prev_hash and digest(row) == row[11]
        except (TypeError, ValueError):
            sound = False
        if not sound:
            return TrailHead(seq, prev_hash), row
        seq, prev_hash = seq + 1, row[11]
    return TrailHead(seq, prev_hash), None
