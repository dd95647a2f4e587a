"""Work that outlives the acknowledgement: held, counted, refused when too much, and waited for at the end."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from bot.errors import Closing, Overloaded

T = TypeVar("T")

LIMIT = 1000
"""How many pieces of work may be under way; far above any chat's load, it bounds memory under a flood."""


class Work:
    """The tasks of one bot."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._limit = limit
        self._closing = False

    def __len__(self) -> int:
        return len(self._tasks)

    def admit(self) -> None:
        """Say whether new work is taken. Raises `Closing` or `Overloaded`."""
        if self._closing:
            raise Closing
        if len(self._tasks) >= self._limit:
            raise Overloaded

    def start(self, coroutine: Coroutine[Any, Any, object]) -> None:
        """Run the coroutine in a task of its own; it must explain its own failures."""
        self.hold(coroutine).add_done_callback(_look_at)

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


def _look_at(task: asyncio.Task[Any]) -> None:
    """Report a failure that escaped: a bug, as work explains its own failures."""
    if not task.cancelled() and (error := task.exception()) is not None:
        asyncio.get_running_loop().call_exception_handler({"message": "work failed", "exception": error, "task": task})
