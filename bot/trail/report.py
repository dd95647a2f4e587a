"""How to verify rows of the audit trail, and what was found."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bot.domain.errors import UsageError
from bot.domain.events import TrailHead
from bot.trail.chain import Seal
from bot.trail.diagnose import Diagnosis

_ANCHOR = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """How to verify the rows."""

    seal: Seal
    """That of the key in force."""
    earlier: Sequence[Seal] = ()
    """Those of the keys before it. One follows another at a row that names it, and nowhere else."""
    anchors: Sequence[TrailHead] = ()
    """Heads noted earlier, which the chain must contain."""
    unkeyed_until: int = 0
    """Rows up to this one may be sealed without the key, as long as none of them follows a row with it."""
    partial: bool = False
    """The rows may begin after the first one, as in an export."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Rows whose key is not at hand: they name each other, but what they say cannot be checked."""

    first: int
    last: int
    """The row that names the next key."""
    anchored: bool
    """Whether an anchor names the last of them, or the row after it, which names it."""


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
    changes: tuple[int, ...] = ()
    """The rows that changed the key."""
    gaps: tuple[Gap, ...] = ()
    in_force: bool = True
    """Whether the key after the last row is the one in force; if not, only a part of the trail can be sound."""

    @property
    def rows(self) -> int:
        """The number of sound rows before the first that is not."""
        return self.head.seq - self.start.seq - sum(gap.last - gap.first + 1 for gap in self.gaps)

    @property
    def first(self) -> int:
        """The first sound row."""
        begins_unknown = self.gaps and self.gaps[0].first == self.start.seq + 1
        return (self.gaps[0].last if begins_unknown else self.start.seq) + 1


def parse_anchor(text: str) -> TrailHead:
    """Parse `SEQ:HASH`, as the bot logs its head. Raises `UsageError`."""
    found = _ANCHOR.fullmatch(text.strip().lower())
    if found is None or int(found[1]) == 0:
        raise UsageError("An anchor is written SEQ:HASH: a row's number (from 1) and its hash, 64 hexadecimal digits.")
    return TrailHead(int(found[1]), found[2])
