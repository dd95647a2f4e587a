"""Explain what was done to a chain of audit rows, from the first row that does not fit and those around it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from itertools import islice, pairwise

from bot.domain.events import Action, TrailHead
from bot.trail.chain import QUOTED, UNKEYED, Row, Seal

CONTENT = "Its content does not match its hash."
NEAR = 8
"""How many rows after the bad one are looked at closely."""


class ChainFault(StrEnum):
    """What is wrong with a chain."""

    CHANGED = "changed"
    MISSING = "missing"
    REORDERED = "reordered"
    INSERTED = "inserted"
    WRONG_KEY = "wrong key"
    EARLIER_KEY = "sealed with an earlier key"
    UNSEALED = "not sealed with the key"
    CUT = "cut off"
    """The end is missing, as an anchor shows."""
    UNVERIFIABLE = "not verifiable before"
    """The key of the rows before it is not at hand."""
    REWRITTEN = "rewritten"
    """The rows are a chain, but not the one that an anchor was taken from."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is wrong, and with which row first; `words` are a sentence or two for people."""

    fault: ChainFault
    seq: int
    words: str


@dataclass
class Evidence:
    """The first row that does not fit, and its surroundings."""

    last: TrailHead
    """The head of the rows before it, which are sound."""
    row: Row
    rest: Iterator[Row]
    """The rows after it."""
    seals: tuple[Seal, ...]
    """Those accepted here; the last is the one in force."""
    proved: bool = True
    """Whether the seal in force is known to be the right one: it has verified a row, or a row named its key."""
    earlier: tuple[Seal, ...] = ()
    """Those of the keys before the one in force."""
    near: list[Row] = field(init=False)
    """The next few of the rest."""

    def __post_init__(self) -> None:
        self.near = list(islice(self.rest, NEAR))

    @property
    def place(self) -> int:
        """The number that the row should have."""
        return self.last.seq + 1

    @property
    def links(self) -> bool:
        """Whether the row names its predecessor."""
        return self.row.prev_hash == self.last.hash

    def fits(self, row: Row, seq: int) -> bool:
        """Return whether a row carries an accepted seal, if it was written as row `seq`."""
        return any(_carries(seal, row, seq) for seal in self.seals)

    def shifted(self, rows: list[Row], by: int) -> bool:
        """Return whether all rows were written under a number that differs from theirs by `by`."""
        return all((seq := _number(row)) is not None and self.fits(row, seq + by) for row in rows)

    @property
    def comes_later(self) -> bool:
        """Whether the row that is missing here comes later."""
        return self._remaining[1]

    @cached_property
    def written_as(self) -> int | None:
        """The number under which the row was written, searched from the nearest: its hash covers everything else."""
        furthest = 2 * (self.place + len(self.near) + self._remaining[0]) + 1000
        for distance in range(1, furthest):
            for seq in (self.place + distance, self.place - distance):
                if 1 <= seq <= furthest and self.fits(self.row, seq):
                    return seq
        return None

    @cached_property
    def _remaining(self) -> tuple[int, bool]:
        """How many rows follow, and whether the one that belongs here is among them; reads to the end."""
        count, found = 0, any(row.seq == self.place for row in self.near)
        for row in self.rest:
            count += 1
            found = found or row.seq == self.place
        return count, found


def diagnose(evidence: Evidence) -> Diagnosis:
    """Return the likeliest explanation of what the rows show."""
    for explain in (_misnumbered, _inserted, _unsealed, _under_an_earlier_key, _unlinked, _under_another_key, _moved):
        if diagnosis := explain(evidence):
            return diagnosis
    return _changed(evidence)


def _misnumbered(evidence: Evidence) -> Diagnosis | None:
    seq = _number(evidence.row)
    if seq == evidence.place:
        return None
    if evidence.links and evidence.fits(evidence.row, evidence.place):
        return Diagnosis(ChainFault.CHANGED, evidence.place, "Its number was changed.")
    if seq is None:
        return None
    if seq < evidence.place:
        return Diagnosis(ChainFault.INSERTED, seq, f"It comes after row {evidence.last.seq}.")
    if evidence.comes_later:
        return Diagnosis(ChainFault.REORDERED, evidence.place, f"It comes after row {seq}.")
    before = f"Row {evidence.last.seq} is followed by" if evidence.last.seq else "What is here begins with"
    return Diagnosis(ChainFault.MISSING, evidence.place, f"{before} row {seq}.")


def _inserted(evidence: Evidence) -> Diagnosis | None:
    """Check whether a later row belongs here, and all rows after it were moved by the same distance."""
    for count, later in enumerate(evidence.near, 1):
        seq, after = _number(later), evidence.near[count - 1 :]
        if seq is None or later.prev_hash != evidence.last.hash or not evidence.shifted(after, evidence.place - seq):
            continue
        if len(after) == 1 and evidence.fits(evidence.row, seq):
            continue  # the last row and this one were swapped
        so_far = "" if count == 1 else f", as are those up to row {evidence.place + count - 1}"
        return Diagnosis(
            ChainFault.INSERTED, evidence.place, f"What follows was written as row {evidence.place}{so_far}."
        )
    return None


def _unsealed(evidence: Evidence) -> Diagnosis | None:
    if not all(seal.keyed for seal in evidence.seals) or not _carries(UNKEYED, evidence.row, evidence.place):
        return None
    words = "It was written before there was a key, or forged by someone without it."
    return Diagnosis(ChainFault.UNSEALED, evidence.place, words)


def _under_an_earlier_key(evidence: Evidence) -> Diagnosis | None:
    if not any(_carries(seal, evidence.row, evidence.place) for seal in evidence.earlier):
        return None
    words = "The key had been changed before it: it was forged by someone who knows an earlier one."
    return Diagnosis(ChainFault.EARLIER_KEY, evidence.place, words)


def _unlinked(evidence: Evidence) -> Diagnosis | None:
    if not evidence.fits(evidence.row, evidence.place):
        return None
    if evidence.last.seq == 0:
        return Diagnosis(ChainFault.MISSING, evidence.place, "The first row names a row before it.")
    words = (
        f"Row {evidence.place} names another predecessor: one of the two was changed and resealed, "
        "or rows between them were removed and the rest renumbered and resealed."
    )
    return Diagnosis(ChainFault.CHANGED, evidence.last.seq, words)


def _under_another_key(evidence: Evidence) -> Diagnosis | None:
    """Check whether nothing from here on verifies; if nothing before did either, the key is the likelier cause."""
    following, seal = list(_up_to_a_change([evidence.row, *evidence.near])), evidence.seals[-1]
    linked = len(following) > 1 and all(after.prev_hash == before.hash for before, after in pairwise(following))
    if not evidence.links or (evidence.proved and not linked) or _is_strange(evidence.row):
        return None
    if any(evidence.fits(row, row.seq) for row in following):
        return None
    key = "another key than AUDIT_KEY" if seal.keyed else "a key (AUDIT_KEY is not set)"
    words = f"It does not verify: it is sealed with {key}, or it was changed."
    if len(following) > 1:
        words = f"It and the next rows are linked, but none verifies: they are sealed with {key}, or all were changed."
        words = words if linked else f"Neither it nor any of the next rows verifies: they are sealed with {key}."
    return Diagnosis(ChainFault.WRONG_KEY, evidence.place, f"{words} {QUOTED}" if seal.quoted else words)


def _up_to_a_change(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the rows under one key: up to the first that changes it."""
    for row in rows:
        yield row
        if row.action == Action.REKEYED:
            return


def _moved(evidence: Evidence) -> Diagnosis | None:
    """Check whether the row was written under another number; a row that names its predecessor was not."""
    if evidence.links or evidence.written_as is None:
        return None
    place, seq = evidence.place, evidence.written_as
    as_what = f"The content of row {place} was written as row {seq}"
    all_moved = evidence.shifted(evidence.near, seq - place)
    if seq > place and all_moved:
        return Diagnosis(ChainFault.MISSING, place, f"{as_what}, and the rest was renumbered.")
    if seq < place and all_moved:
        return Diagnosis(ChainFault.INSERTED, seq if evidence.near else place, f"{as_what}.")
    return Diagnosis(ChainFault.REORDERED, place, f"{as_what}.")


def _changed(evidence: Evidence) -> Diagnosis:
    if _is_strange(evidence.row):
        return Diagnosis(ChainFault.CHANGED, evidence.place, "It is not written as the bot writes rows.")
    return Diagnosis(ChainFault.CHANGED, evidence.place, CONTENT)


def _carries(seal: Seal, row: Row, seq: int) -> bool:
    return seal.matches(row._replace(seq=seq))


def _number(row: Row) -> int | None:
    seq: object = row.seq
    return seq if isinstance(seq, int) else None


def _is_strange(row: Row) -> bool:
    try:
        UNKEYED.hash(row)
    except (TypeError, ValueError):
        return True
    return not isinstance(row.hash, str)
