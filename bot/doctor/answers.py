"""What Slack or Turso answered to a question, or why there is no answer."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar, cast

import httpx

T = TypeVar("T")

SECONDS = 5.0
"""How long anybody may take to answer one question."""
_AT_A_TIME = 8
_HALF_A_SECOND = 0.5  # a Date header leaves out the fraction


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; what it holds is not trusted to have any shape."""

    status: int = 0
    """The HTTP status, or 0 when no answer came."""
    data: Any = field(default=None, repr=False)
    error: str = ""
    """Why it is a no, in the other side's words, or why there is no answer, in ours; empty for a yes."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ahead: float | None = None
    """Seconds by which the other side's clock is ahead of this machine's; `None` where it did not say."""

    @property
    def came(self) -> bool:
        """Say whether there is an answer at all."""
        return self.status != 0

    @property
    def yes(self) -> bool:
        """Say whether the question was answered."""
        return self.came and not self.error

    def part(self, name: str) -> Mapping[str, Any]:
        """Return an object within the answer, empty where none stands."""
        found = self.data.get(name) if isinstance(self.data, dict) else None
        return found if isinstance(found, dict) else {}

    def rows(self, name: str) -> list[Mapping[str, Any]]:
        """Return the objects in a list within the answer."""
        found = self.data.get(name) if isinstance(self.data, dict) else None
        return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


class Turns:
    """Lets a few questions at a time be open, each for a limited time, and none once an answer did not come in time.

    So whoever hangs is waited for once, however many questions there are.
    """

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(_AT_A_TIME)
        self._hangs = False

    async def take(self, question: Callable[[], Awaitable[T]]) -> T:
        """Wait for a turn and for the answer. Raises `TimeoutError`."""
        async with self._turns:
            if self._hangs:
                raise TimeoutError
            try:
                async with asyncio.timeout(SECONDS):
                    return await question()
            except TimeoutError:
                self._hangs = True
                raise


class Once:
    """Asks each question once, however many want to know."""

    def __init__(self) -> None:
        self._asked: dict[Hashable, asyncio.Task[Any]] = {}

    async def ask(self, key: Hashable, question: Callable[[], Awaitable[T]]) -> T:
        """Wait for the answer, and ask if nobody has."""
        if key not in self._asked:
            self._asked[key] = asyncio.ensure_future(_asking(question))
        return cast("T", await asyncio.shield(self._asked[key]))

    async def aclose(self) -> None:
        """Give up what is still open."""
        for task in self._asked.values():
            task.cancel()
        await asyncio.gather(*self._asked.values(), return_exceptions=True)


async def _asking(question: Callable[[], Awaitable[T]]) -> T:
    return await question()


def silence(who: str, error: Exception) -> Answer:
    """Say why there is no answer."""
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return Answer(error=f"{who} did not answer within {SECONDS:g} seconds")
    return Answer(error=f"{who} cannot be reached ({type(error).__name__})")


def ahead(headers: Mapping[str, str], began: float, ended: float) -> float | None:
    """Compare the `Date` of an answer with our own clock (unix seconds) around the question."""
    try:
        date = parsedate_to_datetime(headers.get("Date", "")).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return date + _HALF_A_SECOND - (began + ended) / 2
