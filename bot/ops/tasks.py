"""Work that outlives the acknowledgement: held, counted, refused when too much, and waited for at the end."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, TypeVar

from bot.domain.errors import Overloaded, Refusal, ShuttingDown

T = TypeVar("T")

LIMIT = 1000
"""How many pieces of work may be under way; far above any chat's load, it bounds memory under a flood."""

Kind = Literal["command", "click", "other"]


class Work:
    """The tasks of one bot; `within` is entered around each piece, and `refused` hears what was not taken."""

    def __init__(
        self,
        limit: int = LIMIT,
        *,
        within: Callable[[str], AbstractContextManager[None]] = lambda _: nullcontext(),
        refused: Callable[[Refusal], None] = lambda _: None,
    ) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._limit = limit
        self._within = within
        self._refused = refused
        self._closing = False

    def __len__(self) -> int:
        return len(self._tasks)

    def admit(self) -> None:
        """Say whether new work is taken. Raises `ShuttingDown` or `Overloaded`."""
        if not self._closing and len(self._tasks) < self._limit:
            return
        error = ShuttingDown() if self._closing else Overloaded()
        self._refused(error.refusal)
        raise error

    def start(self, coroutine: Coroutine[Any, Any, object], kind: Kind = "other") -> None:
        """Run the coroutine in a task of its own; it must explain its own failures.

        Far above the limit not even a refusal is said any more: saying it is work too.
        """
        if len(self._tasks) >= 2 * self._limit:
            coroutine.close()
            self._refused(Refusal.OVERLOADED)
            return
        task = self.hold(self._inside(coroutine, kind))
        task.add_done_callback(_look_at)
        task.add_done_callback(lambda _: coroutine.close())  # cancelled before it began, it would warn

    def hold(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run the coroutine in a task whose result somebody waits for."""
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def refuse_more(self) -> None:
        """Take no new work from now on."""
        self._closing = True

    async def finish(self, seconds: float) -> int:
        """Wait for what is under way, cancel what is left after so many seconds, and say how many those were."""
        self.refuse_more()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while self._tasks and (left := deadline - loop.time()) > 0:
            await asyncio.wait(set(self._tasks), timeout=left)
        overdue = set(self._tasks)
        for task in overdue:
            task.cancel()
        await asyncio.gather(*overdue, return_exceptions=True)
        return len(overdue)

    async def _inside(self, coroutine: Coroutine[Any, Any, object], kind: Kind) -> None:
        with self._within(kind):
            await coroutine


def _look_at(task: asyncio.Task[Any]) -> None:
    """Report a failure that escaped: a bug, as work explains its own failures."""
    if not task.cancelled() and (error := task.exception()) is not None:
        asyncio.get_running_loop().call_exception_handler({"message": "work failed", "exception": error, "task": task})
