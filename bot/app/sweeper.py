"""What the bot does by itself: end what is overdue, deliver notifications, and count what is pending."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable

import structlog

from bot.domain.errors import DatabaseError
from bot.domain.models import Rotation
from bot.domain.recording import OutcomeRecorder
from bot.ops.metrics import Metrics
from bot.slack.notifier import Notifier
from bot.store.backlog import SqlBacklog

PAUSE_SECONDS = 1.0
COUNT_SECONDS = 15.0
"""How often pending work is counted: it costs a query, and changes slowly."""

log = structlog.get_logger(__name__)


class Sweeper:
    """Runs two loops, so that a slow Slack cannot delay ending rotations."""

    def __init__(self, recorder: OutcomeRecorder, notifier: Notifier, backlog: SqlBacklog, metrics: Metrics) -> None:
        self.healthy = True
        self._failure: type[DatabaseError] | None = None
        self._recorder = recorder
        self._notifier = notifier
        self._backlog = backlog
        self._metrics = metrics
        self._ended: deque[Rotation] = deque()
        self._counted_at = float("-inf")

    async def sweep(self) -> None:
        """End what is overdue, and count what is pending. Raises `DatabaseError`."""
        async for rotation in self._recorder.tidy():
            self._ended.append(rotation)
        await self._backlog.check_writable()  # also while there is nothing to write: operators must hear of it
        self._metrics.tidied()
        if time.monotonic() - self._counted_at >= COUNT_SECONDS:
            self._metrics.pending(await self._backlog.read())
            self._counted_at = time.monotonic()

    async def notify(self) -> None:
        """Notify people of what the sweep has ended, and deliver what is due. Raises `DatabaseError`."""
        while self._ended:
            await self._notifier.notify(self._ended.popleft())
        await self._notifier.send_due()

    async def try_sweep(self) -> None:
        """Sweep, and remember whether the database was available."""
        self._note(await _tried(self.sweep))

    async def keep_sweeping(self) -> None:
        """Sweep forever, also while the database is unavailable."""
        while True:
            await self.try_sweep()
            await asyncio.sleep(PAUSE_SECONDS)

    async def keep_notifying(self) -> None:
        """Notify forever; the other loop logs when the database is unavailable."""
        while True:
            await _tried(self.notify)
            await asyncio.sleep(PAUSE_SECONDS)

    def _note(self, failure: DatabaseError | None) -> None:
        kind = None if failure is None else type(failure)
        if kind is not None and kind is not self._failure:
            log.error("database unavailable", why=str(failure))
        if kind is None and not self.healthy:
            log.info("database available again")
        self.healthy, self._failure = kind is None, kind


async def _tried(step: Callable[[], Awaitable[None]]) -> DatabaseError | None:
    """Run a step; no failure may end its loop."""
    try:
        await step()
    except DatabaseError as error:
        return error
    except Exception:
        log.exception("bug in the sweeper")
    return None
