"""Supervised tasks: counted, limited, and waited for at shutdown."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, TypeVar

from bot.domain.errors import Overloaded, ShuttingDown
from bot.domain.refusals import Refusal

T = TypeVar("T")

LIMIT = 1000
"""How many tasks may run; far above the load of any workspace, it bounds memory under a flood."""

TaskKind = Literal["command", "press", "other"]


class SupervisedTasks:
    """The tasks of one bot. `within` is entered around each task, and `refused` is called for work not accepted."""

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
        """Check that new work is accepted. Raises `ShuttingDown` or `Overloaded`."""
        if not self._closing and len(self._tasks) < self._limit:
            return
        error = ShuttingDown() if self._closing else Overloaded()
        self._refused(error.refusal)
        raise error

    def start(self, coroutine: Coroutine[Any, Any, object], kind: TaskKind = "other") -> None:
        """Run a coroutine in a task; it must handle its own failures.

        Far above the limit it is dropped: even telling people that the bot is overloaded is work.
        """
        if len(self._tasks) >= 2 * self._limit:
            coroutine.close()
            self._refused(Refusal.OVERLOADED)
            return
        task = self.hold(self._inside(coroutine, kind))
        task.add_done_callback(_report)
        task.add_done_callback(lambda _: coroutine.close())  # it would warn if it were cancelled before its first step

    def hold(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run a coroutine in a task whose result the caller awaits."""
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def refuse_more(self) -> None:
        """Accept no new work from now on."""
        self._closing = True

    async def finish(self, seconds: float) -> int:
        """Wait up to `seconds` for running tasks, cancel the rest, and return how many those were."""
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

    async def _inside(self, coroutine: Coroutine[Any, Any, object], kind: TaskKind) -> None:
        with self._within(kind):
            await coroutine


def _report(task: asyncio.Task[Any]) -> None:
    """Report a failure that the coroutine did not handle, which is a bug."""
    if not task.cancelled() and (error := task.exception()) is not None:
        asyncio.get_running_loop().call_exception_handler({"message": "task failed", "exception": error, "task": task})
