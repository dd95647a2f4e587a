"""What the bot does by itself, for ever: settle what is overdue, tell people, and count what waits."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from bot.domain.errors import DatabaseError
from bot.domain.models import Rotation
from bot.domain.ports import Backlog
from bot.domain.rotations import Rotations
from bot.ops.metrics import Metrics
from bot.slack.notifier import Notifier

PAUSE_SECONDS = 1.0
COUNT_SECONDS = 15.0
"""How long what waits is not counted again: it costs the database a query, and changes slowly."""

log = structlog.get_logger(__name__)


class Counts(Protocol):
    """Says how much waits."""

    async def read(self) -> Backlog:
        """Count. Raises `DatabaseError`."""
        ...


class Sweeper:
    """Two loops: a Slack that does not answer must not keep rotations from being settled."""

    def __init__(self, rotations: Rotations, courier: Notifier, counts: Counts, metrics: Metrics) -> None:
        self.well = True
        self._rotations = rotations
        self._courier = courier
        self._counts = counts
        self._metrics = metrics
        self._settled: deque[Rotation] = deque()
        self._counted_at = float("-inf")

    async def sweep(self) -> None:
        """Settle what is overdue, and count what waits. Raises `DatabaseError`."""
        async for rotation in self._rotations.tidy():
            self._settled.append(rotation)
        self._metrics.tidied()
        if time.monotonic() - self._counted_at >= COUNT_SECONDS:
            self._metrics.waits(await self._counts.read())
            self._counted_at = time.monotonic()

    async def tell(self) -> None:
        """Tell whom it concerns about what was settled, and run the errands that are due. Raises `DatabaseError`."""
        while self._settled:
            await self._courier.tell(self._settled.popleft())
        await self._courier.run_due()

    async def try_sweep(self) -> None:
        """Sweep, and remember whether the database let it."""
        self._judge(await _tried(self.sweep))

    async def keep_sweeping(self) -> None:
        """Sweep for ever; a database that is away is waited for."""
        while True:
            await self.try_sweep()
            await asyncio.sleep(PAUSE_SECONDS)

    async def keep_telling(self) -> None:
        """Tell for ever; the other loop says it when the database is away."""
        while True:
            await _tried(self.tell)
            await asyncio.sleep(PAUSE_SECONDS)

    def _judge(self, trouble: DatabaseError | None) -> None:
        if trouble is not None and self.well:
            log.error("database away", why=str(trouble))
        if trouble is None and not self.well:
            log.info("database back")
        self.well = trouble is None


async def _tried(step: Callable[[], Awaitable[None]]) -> DatabaseError | None:
    """Take a step; no failure may end the loop it is a part of."""
    try:
        await step()
    except DatabaseError as error:
        return error
    except Exception:
        log.exception("bug while tidying up")
    return None
