"""What happens, as it happens, for those who wait and those who watch."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, Self, TypeVar
from weakref import WeakSet

from bot.sandbox.messages import Message
from bot.sandbox.views import View

T = TypeVar("T")
Kind = Literal["posted", "edited", "deleted", "view", "call", "sockets", "stage"]


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that happened; `subject` is what it happened to, in its new state."""

    kind: Kind
    subject: Message | View | None = None


class Changes:
    """Iterate over changes, from the moment this was asked for until the workspace closes."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Change | None] = asyncio.Queue()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        change = await self._queue.get()
        if change is None:
            raise StopAsyncIteration
        return change

    def put(self, change: Change | None) -> None:
        """Append a change; `None` ends the iteration."""
        self._queue.put_nowait(change)


class Feed:
    """Tells of each change once, and keeps none.

    A waiter is asked about the change alone, never about the whole history: a hundred waiters and
    a hundred thousand messages stay cheap.
    """

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[Change], Callable[[Change], bool]] = {}
        self._followers: WeakSet[Changes] = WeakSet()

    def publish(self, kind: Kind, subject: Message | View | None = None) -> None:
        """Tell everybody."""
        if not self._waiting and not self._followers:
            return
        change = Change(kind, subject)
        for future, accepts in list(self._waiting.items()):
            if not future.done() and accepts(change):
                future.set_result(change)
        for follower in self._followers:
            follower.put(change)

    async def first(self, accepts: Callable[[Change], bool]) -> Change:
        """Wait for the first change that is accepted."""
        future: asyncio.Future[Change] = asyncio.get_running_loop().create_future()
        self._waiting[future] = accepts
        try:
            return await future
        finally:
            del self._waiting[future]

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds, asking again after each change."""

        def asks(_: Change) -> bool:
            return holds()

        if not holds():
            await self.first(asks)

    def follow(self) -> Changes:
        """Subscribe; letting go of the iterator unsubscribes."""
        changes = Changes()
        self._followers.add(changes)
        return changes

    def end(self) -> None:
        """End all subscriptions."""
        for follower in self._followers:
            follower.put(None)


async def within(seconds: float, waiting: Awaitable[T], complaint: Callable[[], str]) -> T:
    """Wait no longer than so many seconds.

    Raises:
        AssertionError: it did not happen; the complaint is put into words only then.

    """
    try:
        async with asyncio.timeout(seconds):  # `wait_for` of Python 3.11 may swallow a cancellation
            return await waiting
    except TimeoutError:
        raise AssertionError(f"not within {seconds:g} s: {complaint()}") from None
