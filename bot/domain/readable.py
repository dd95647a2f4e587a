"""What was read of several rows, some of which may hold what the bot never writes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar, overload

from bot.domain.errors import UnreadableRow

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Readable(Sequence[T], Generic[T]):
    """The values of the rows that can be read, and which others there are."""

    values: Sequence[T]
    unreadable: Sequence[UnreadableRow] = ()

    @property
    def found(self) -> int:
        """How many rows there were, readable or not; what is empty may still have found some."""
        return len(self.values) + len(self.unreadable)

    def __len__(self) -> int:
        return len(self.values)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...

    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        return self.values[index]
