"""Publish what happens in the sandbox to those who wait for it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, Self, TypeVar
from weakref import WeakSet

from bot.sandbox.messages import PostedMessage
from bot.sandbox.views import View

T = TypeVar("T")
ChangeKind = Literal["posted", "edited", "view", "call", "sockets", "sandbox"]


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that happened; `subject` is what changed, in its new state."""

    kind: ChangeKind
    subject: PostedMessage | View | None = None


class Subscription:
    """Iterate over the changes since the subscription, until the bus closes."""

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


class ChangeBus:
    """Deliver each change once, and store none.

    A waiter's condition is checked against the new change only, never against the history: a hundred waiters
    and a hundred thousand messages stay cheap.
    """

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[Change], Callable[[Change], bool]] = {}
        self._subscriptions: WeakSet[Subscription] = WeakSet()

    def publish(self, kind: ChangeKind, subject: PostedMessage | View | None = None) -> None:
        """Deliver a change to all waiters and subscriptions."""
        if not self._waiting and not self._subscriptions:
            return
        change = Change(kind, subject)
        for future, accepts in list(self._waiting.items()):
            if not future.done() and accepts(change):
                future.set_result(change)
        for subscription in self._subscriptions:
            subscription.put(change)

    async def first(self, accepts: Callable[[Change], bool]) -> Change:
        """Wait for the first change that is accepted."""
        future: asyncio.Future[Change] = asyncio.get_running_loop().create_future()
        self._waiting[future] = accepts
        try:
            return await future
        finally:
            del self._waiting[future]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds, checking it again after each change."""
        if not condition():
            await self.first(lambda _: condition())

    def subscribe(self) -> Subscription:
        """Subscribe; dropping the subscription unsubscribes."""
        subscription = Subscription()
        self._subscriptions.add(subscription)
        return subscription

    def close(self) -> None:
        """End all subscriptions."""
        for subscription in self._subscriptions:
            subscription.put(None)


async def within(seconds: float, waiting: Awaitable[T], explain: Callable[[], str]) -> T:
    """Wait at most so many seconds.

    Raises:
        AssertionError: it did not happen in time; `explain` is called only then.

    """
    try:
        async with asyncio.timeout(seconds):  # `wait_for` of Python 3.11 may swallow a cancellation
            return await waiting
    except TimeoutError:
        raise AssertionError(f"not within {seconds:g} s: {explain()}") from None
