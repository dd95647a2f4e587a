"""Walk rows of the audit trail in order, and check that they are still the chain that was written."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice

from bot.domain.events import Action, TrailHead
from bot.trail.chain import GENESIS, UNKEYED, Row, Seal, named_key
from bot.trail.diagnose import CONTENT, NEAR, ChainFault, Diagnosis, Evidence, diagnose
from bot.trail.report import Gap, VerifyOptions, VerifyReport

STEP = 10_000
"""After how many rows progress is reported."""


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
        self._seal = options.seal
        self._proved_from = -1  # the row before the first that this seal verified; -1 if a row named its key
        self._missing: str | None = None  # the fingerprint of a key that a row named and that is not at hand
        self._changes: list[int] = []
        self._gaps: list[Gap] = []
        self._named_keys: set[str | None] = {options.seal.fingerprint}
        self._first_keys: Sequence[Seal] = ()  # one of these is the first key, unless rows name them all
        self._diagnosis = self._unmet()

    def report(self) -> VerifyReport:
        bad = self._follow(UNKEYED, self._options.unkeyed_until)
        self._keyless = self._last
        if bad is not None:
            self._rows = chain([bad], self._rows)  # the key came earlier than the options say, or the row really is bad
        self._follow_keys()
        self._diagnosis = self._diagnosis or self._beyond() or self._unknown()
        unkeyed_until = 0 if self._keyless == self._start else self._keyless.seq
        changes, gaps, in_force = tuple(self._changes), tuple(self._gaps), self._seal is self._options.seal
        return VerifyReport(self._start, self._last, unkeyed_until, self._diagnosis, changes, gaps, in_force)

    def _follow_keys(self) -> None:
        """Follow the rows under the keys that follow each other, past parts whose key is not at hand."""
        self._seal, self._proved_from = self._first_seal(), self._last.seq
        while self._diagnosis is None and (bad := self._follow()) is not None:
            evidence = self._evidence(bad)
            diagnosis = diagnose(evidence)
            if diagnosis.fault is not ChainFault.WRONG_KEY:
                self._diagnosis = diagnosis
            elif self._last.seq != self._proved_from:
                self._diagnosis = self._under_another_key(evidence, diagnosis)
            elif not self._skip(evidence):
                named = f" Row {self._last.seq} changed the key to the one with the fingerprint {self._missing}."
                self._diagnosis = replace(diagnosis, words=diagnosis.words + named * self._key_is_missing)

    def _first_seal(self) -> Seal:
        """Return the seal of the next rows, or the one in force."""
        near = list(islice(self._rows, NEAR))
        self._rows = chain(near, self._rows)
        found = (seal for row in near for seal in self._known if seal.matches(row))
        return next(found, self._options.seal)

    @property
    def _known(self) -> Sequence[Seal]:
        return (self._options.seal, *self._options.earlier)

    @property
    def _key_is_missing(self) -> bool:
        """Return whether the last row names a key that is not at hand."""
        return self._missing is not None and self._last.seq == self._proved_from

    def _before(self, seal: Seal) -> tuple[Seal, ...]:
        """Return the seals of the keys at hand that came before this one."""
        ordered = (*self._options.earlier, self._options.seal)
        return ordered[: ordered.index(seal)] if seal in ordered else ()

    def _verifies(self, row: Row) -> bool:
        return any(seal.matches(row) for seal in self._known)

    def _named(self, row: Row) -> Seal | None:
        """Return the seal whose key a row names, if it is at hand."""
        named = named_key(row.detail)
        return next((seal for seal in self._known if named is not None and seal.fingerprint == named), None)

    def _under_another_key(self, evidence: Evidence, diagnosis: Diagnosis) -> Diagnosis:
        """Call rows changed, not sealed with another key, if a later one verifies."""
        if self._verifies(evidence.row) or not any(map(self._verifies, chain(evidence.near, evidence.rest))):
            return diagnosis
        return replace(diagnosis, fault=ChainFault.CHANGED, words=CONTENT)

    def _skip(self, evidence: Evidence) -> bool:
        """Go on after rows under a key that is not at hand, if one of them names a key that is.

        Only the first rows can be such, or those after a row that names a key that is not at hand; and none of them
        verifies under a key that is.
        """
        before, unmet, keys = self._last, None, set[str | None]()
        rows = chain([evidence.row], evidence.near, evidence.rest)
        for row in rows:
            if self._verifies(row):
                return self._changed_after(before)
            if row.seq != self._last.seq + 1 or row.prev_hash != self._last.hash or not isinstance(row.hash, str):
                break
            self._last = TrailHead(row.seq, row.hash)
            unmet = unmet or self._unmet()
            if row.action != Action.REKEYED:
                continue
            keys.add(named_key(row.detail))
            if (seal := self._named(row)) is None:
                continue
            ahead = list(islice(rows, NEAR))
            if any(earlier.matches(later) for earlier in self._before(seal) for later in ahead):
                return self._changed_after(before)
            anchored = any(head.seq in {row.seq, row.seq + 1} for head in self._options.anchors)
            if not self._changes:
                self._first_keys = self._before(seal) if self._options.partial else tuple(self._options.earlier)
            self._gaps.append(Gap(before.seq + 1, row.seq, anchored))
            self._named_keys |= keys
            self._change(row, seal)
            self._rows, self._diagnosis = chain(ahead, rows), unmet
            return True
        self._last = before
        return False

    def _changed_after(self, last: TrailHead) -> bool:
        """Call the row after the last sound one changed."""
        self._last, self._diagnosis = last, Diagnosis(ChainFault.CHANGED, last.seq + 1, CONTENT)
        return True

    def _change(self, row: Row, seal: Seal | None) -> None:
        """Take the seal whose key a row names; if it is not at hand, no row after it will fit."""
        self._changes.append(row.seq)
        self._named_keys.add(named_key(row.detail))
        if seal is not None:
            self._seal, self._proved_from = seal, -1
        else:
            self._proved_from, self._missing = row.seq, named_key(row.detail)

    def _before_first(self) -> TrailHead:
        """Return the row before the first, which a part of the trail knows only from its first row."""
        first = next(self._rows, None)
        if first is None:
            return TrailHead(0, GENESIS)
        self._rows = chain([first], self._rows)
        seq: object = first.seq
        begins_later = self._options.partial and isinstance(seq, int) and seq > 1
        return TrailHead(first.seq - 1, first.prev_hash) if begins_later else TrailHead(0, GENESIS)

    def _follow(self, keyless: Seal | None = None, until: int | None = None) -> Row | None:
        """Follow the rows as far as they are sound, or to row `until`; return the first that is not."""
        while self._diagnosis is None and (until is None or self._last.seq < until):
            if self._key_is_missing:
                return next(self._rows, None)
            stops = [stop for stop in (until, *(head.seq for head in self._anchors[:1])) if stop is not None]
            size = min([STEP, *(stop - self._last.seq for stop in stops)])
            goal = self._last.seq + size
            self._last, bad, change = _linked(islice(self._rows, size), self._last, keyless or self._seal)
            if change is not None:
                self._change(change, self._named(change))
            elif bad is not None or self._last.seq < goal:
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

    def _unknown(self) -> Diagnosis | None:
        """Report what rests on a key that is not at hand, or ends before the key in force."""
        if any(seal.fingerprint not in self._named_keys for seal in self._first_keys):
            first, last = self._gaps[0].first, self._gaps[0].last
            words = (
                f"None of the rows {first} to {last} verifies, although AUDIT_KEYS_BEFORE has a key that no row names, "
                "as the first one: they were changed, or it is no key of this trail."
            )
            return Diagnosis(ChainFault.CHANGED, first, words)
        if gap := next((gap for gap in self._gaps if not gap.anchored), None):
            words = (
                f"The key of rows {gap.first} to {gap.last} is neither AUDIT_KEY nor in AUDIT_KEYS_BEFORE: nobody "
                "without it can check what they say. "
                f"If you noted a head there, give it: --anchor {gap.last + 1}:HASH"
            )
            return Diagnosis(ChainFault.UNVERIFIABLE, gap.last + 1, f"{words}.")
        if self._seal is self._options.seal or self._options.partial:
            return None
        words = (
            "The rows end under an earlier key: the one that changed it to AUDIT_KEY, and what followed, is missing."
        )
        return Diagnosis(ChainFault.CUT, self._last.seq + 1, words)

    def _evidence(self, bad: Row) -> Evidence:
        either = self._last == self._keyless and self._last.seq < self._options.unkeyed_until
        seals = (UNKEYED, self._seal) if either else (self._seal,)
        earlier = (*self._before(self._seal), *[self._seal] * self._key_is_missing)
        return Evidence(self._last, bad, self._rows, seals, self._last.seq > self._proved_from, earlier)


_REWRITTEN = (
    "Its hash differs from the anchor's: the rows up to it were rewritten after the anchor was noted, "
    "or the anchor is from another trail."
)


def _linked(rows: Iterable[Row], last: TrailHead, seal: Seal) -> tuple[TrailHead, Row | None, Row | None]:
    """Follow the links as far as they hold, or to a row that changes the key.

    Return the last sound row, the first that is not, and the one that changes the key.
    """
    seq, prev_hash, digest, keyed, change = last.seq, last.hash, seal.hash, seal.keyed, str(Action.REKEYED)
    for row in rows:
        try:
            sound = row[0] == seq + 1 and row[10] == prev_hash and digest(row) == row[11]
        except (TypeError, ValueError):
            sound = False
        if not sound:
            return TrailHead(seq, prev_hash), row, None
        seq, prev_hash = seq + 1, row[11]
        if row[2] == change and keyed:
            return TrailHead(seq, prev_hash), None, row
    return TrailHead(seq, prev_hash), None, None
