"""A call to Slack or Turso: its answer, its time limit, and a cache that makes each call once."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar, cast

import httpx

T = TypeVar("T")

CALL_SECONDS = 5.0
"""How long one call may take."""
_AT_A_TIME = 8
_HALF_A_SECOND = 0.5  # a Date header leaves out the fraction


@dataclass(frozen=True, slots=True)
class ServiceAnswer:
    """What Slack or Turso answered, if anything. `data` may have any shape."""

    status: int = 0
    """The HTTP status, or 0 if no answer arrived."""
    data: Any = field(default=None, repr=False)
    error: str = ""
    """The service's reason for a refusal, or ours if no answer arrived; empty if the call succeeded."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    clock_ahead: float | None = None
    """By how many seconds the service's clock is ahead of this machine's; `None` if the answer has no time."""

    @property
    def arrived(self) -> bool:
        """Return whether there is an answer at all."""
        return self.status != 0

    @property
    def succeeded(self) -> bool:
        """Return whether the service did what was asked."""
        return self.arrived and not self.error

    def member(self, name: str) -> Mapping[str, Any]:
        """Return an object in the answer; an empty one if it is missing."""
        found = self.data.get(name) if isinstance(self.data, dict) else None
        return found if isinstance(found, dict) else {}

    def members(self, name: str) -> list[Mapping[str, Any]]:
        """Return the objects of a list in the answer; an empty list if it is missing."""
        found = self.data.get(name) if isinstance(self.data, dict) else None
        return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


class CallLimiter:
    """Limits the calls to one service: a few at a time, each for `CALL_SECONDS`, and no more after a timeout.

    A hanging service costs one timeout, however many calls there are.
    """

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(_AT_A_TIME)
        self._hangs = False

    async def run(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call as soon as there is a free slot. Raises `TimeoutError`."""
        async with self._slots:
            if self._hangs:
                raise TimeoutError
            try:
                async with asyncio.timeout(CALL_SECONDS):
                    return await call()
            except TimeoutError:
                self._hangs = True
                raise


class CallCache:
    """Makes each call once, however many checks need its answer."""

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[Any]] = {}

    async def get(self, key: Hashable, call: Callable[[], Awaitable[T]]) -> T:
        """Wait for the answer to the call with this key, and make the call if nobody has."""
        if key not in self._tasks:
            self._tasks[key] = asyncio.ensure_future(call())
        return cast("T", await asyncio.shield(self._tasks[key]))

    async def aclose(self) -> None:
        """Cancel the calls that are still open."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


def no_answer(service: str, error: Exception) -> ServiceAnswer:
    """Return an answer that explains why there is none."""
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return ServiceAnswer(error=f"{service} did not answer within {CALL_SECONDS:g} seconds")
    return ServiceAnswer(error=f"{service} cannot be reached ({type(error).__name__})")


def seconds_ahead(headers: Mapping[str, str], began: float, ended: float) -> float | None:
    """Compare the `Date` of an answer with this machine's clock (unix seconds) before and after the call."""
    try:
        date = parsedate_to_datetime(headers.get("Date", "")).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return date + _HALF_A_SECOND - (began + ended) / 2
