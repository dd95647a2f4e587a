"""What the bot does by itself: end what is overdue, deliver notifications, and watch what it depends on."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial

import structlog

from bot.app.failures import Failures
from bot.app.guard_watch import GuardWatch
from bot.domain.errors import BotError, CommitUnconfirmed, DatabaseError
from bot.domain.events import TrailHead
from bot.domain.lease import Clock
from bot.domain.models import Rotation
from bot.domain.recording import OutcomeRecorder
from bot.ops.metrics import Metrics
from bot.slack.notifier import TAKEN_SECONDS, Notifier
from bot.store.driver_errors import NO_ANSWER
from bot.store.key_check import refuse_changed_key
from bot.store.schema import refuse_other_versions
from bot.store.stores import Stores
from bot.trail.chain import GENESIS

PAUSE_SECONDS = 1.0
COUNT_SECONDS = 15.0
"""How often pending work is counted: it costs a query, and changes slowly."""

_SPARE_SECONDS = 5.0
_LOST_ROWS = (
    "The audit trail no longer holds a row that this process saw: the database failed over or was restored without "
    "the newest rows, or somebody changed them. To find out: turso-rotate audit verify --anchor {}"
)

log = structlog.get_logger(__name__)


class Sweeper:
    """Ends, delivers, counts and watches, in two loops, so that a slow Slack cannot delay ending rotations.

    It watches the guards of history and whether the database takes writes, and less often the schema's version, the
    audit trail's key, grants that cannot be read, and whether the trail lost rows.
    """

    def __init__(
        self,
        recorder: OutcomeRecorder,
        notifier: Notifier,
        stores: Stores,
        metrics: Metrics,
        *,
        clock: Clock = time.monotonic,
    ) -> None:
        self.failure: DatabaseError | None = None
        """Why the last sweep found no database that answers, takes writes, and has this process's schema and key."""
        self.failures = Failures(clock)
        self._clock = clock
        self._head = TrailHead(0, GENESIS)
        self._guards = GuardWatch(stores.guards)
        self._logged = ""
        self._well_since: float | None = None
        self._unnotified: tuple[float, DatabaseError] | None = None
        self._recorder = recorder
        self._notifier = notifier
        self._stores = stores
        self._metrics = metrics
        self._ended: deque[Rotation] = deque()
        self._counted_at = float("-inf")

    @property
    def ready(self) -> bool:
        """Whether rotations could start when last looked at."""
        return self.healthy and not self._guards.broken

    @property
    def healthy(self) -> bool:
        """Whether the database did what was asked in the last sweep."""
        return self.failure is None

    async def sweep(self) -> None:
        """End what is overdue, look at what must hold for rotations to start, and count what is pending.

        Raises `DatabaseError`.
        """
        began = self._clock()
        async for rotation in self._recorder.tidy(self.failures.note):
            self._ended.append(rotation)
        await self._stores.database.check_writable()  # also while there is nothing to write: operators must hear of it
        self._metrics.tidied()
        await self._guards.look()
        if began - self._counted_at >= COUNT_SECONDS:
            await self._stores.database.read(refuse_other_versions)
            await refuse_changed_key(self._stores.database, self._stores.seal)
            self._metrics.pending(await self._stores.backlog.read())
            await self._check_grants_and_trail()
            self._counted_at = began  # only now: what fails is looked at again in the next sweep
        self._note_unnotified()
        self.failures.forget(began)

    async def _check_grants_and_trail(self) -> None:
        """Look for what nothing else would meet soon: grants that cannot be read, and a trail that lost rows."""
        note = partial(self.failures.note, seconds=COUNT_SECONDS + _SPARE_SECONDS)
        for grant in (await self._stores.grants.all()).unreadable:
            note(grant.key, grant)
        if await self._stores.trail.contains(self._head):
            self._head = await self._stores.trail.head()
        else:
            note("The audit trail", BotError(_LOST_ROWS.format(self._head)))

    async def notify(self) -> None:
        """Notify people of what the sweep has ended, and deliver what is due. Raises `DatabaseError`."""
        while self._ended:
            await self._notifier.notify(self._ended.popleft())
        # What fails is due again after a minute.
        await self._notifier.send_due(partial(self.failures.note, seconds=TAKEN_SECONDS + _SPARE_SECONDS))

    async def try_sweep(self) -> None:
        """Sweep, and remember whether the database did what was asked."""
        began = self._clock()
        self._note(await self._tried(self.sweep))
        self._well_since = (began if self._well_since is None else self._well_since) if self.healthy else None

    async def try_notify(self) -> None:
        """Notify, and remember why the database was not available; a sweep that does well tells of it."""
        failure = await self._tried(self.notify)
        self._unnotified = None if failure is None else (self._clock(), failure)

    async def keep_sweeping(self) -> None:
        """Sweep forever, also while the database is unavailable."""
        while True:
            await self.try_sweep()
            await asyncio.sleep(PAUSE_SECONDS)

    async def keep_notifying(self) -> None:
        """Notify forever, also while the database is unavailable."""
        while True:
            await self.try_notify()
            await asyncio.sleep(PAUSE_SECONDS)

    def _note(self, failure: DatabaseError | None) -> None:
        why = _words(failure)
        if failure is not None and why != self._logged:
            log.error("database unavailable", **(failure.facts | {"why": why}))
        if not why and self._logged:
            log.info("database available again")
        self.failure, self._logged = failure, why

    def _note_unnotified(self) -> None:
        """Take note of a database that fails the notifications alone: otherwise, the sweep has failed too."""
        if self._unnotified is None or self._well_since is None:
            return
        at, failure = self._unnotified
        if at >= self._well_since:
            self.failures.note(
                "Notifications", BotError(f"Notifications cannot be delivered: {failure}"), _SPARE_SECONDS
            )

    async def _tried(self, step: Callable[[], Awaitable[None]]) -> DatabaseError | None:
        """Run a step; no failure may end its loop."""
        try:
            await step()
        except DatabaseError as error:
            return error
        except Exception as error:  # noqa: BLE001 - noted
            self.failures.note(f"The step {step.__name__}", error, _SPARE_SECONDS)
        return None


def _words(failure: DatabaseError | None) -> str:
    """Return what to log: without an answer, whether something was saved matters to its caller only."""
    if failure is None:
        return ""
    return NO_ANSWER if isinstance(failure, CommitUnconfirmed) else str(failure)
