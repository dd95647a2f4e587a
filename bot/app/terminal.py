"""Put together what a rotation from a terminal needs: the same store, call and notifications as in Slack."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace

from bot import __version__
from bot.app.wiring import build_notifier, build_use_cases, open_slack, open_turso
from bot.config import Settings
from bot.domain.access import PolicySource
from bot.domain.errors import DatabaseError
from bot.domain.models import TERMINAL, Organization, Outcome, Rotation
from bot.domain.recording import Claimed, OutcomeRecorder
from bot.domain.requests import Requests
from bot.domain.rotations import Rotations
from bot.domain.states import State
from bot.ops.metrics import Metrics
from bot.slack.notifier import Notifier
from bot.store.database import open_database
from bot.store.key_check import check_key
from bot.store.schema import check_schema
from bot.store.stores import Stores

_STOPPED = Outcome(State.FAILED, "It was stopped before the call: nothing was sent to Turso.")
_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Terminal:
    """The use cases of a rotation, for whoever runs a command."""

    requests: Requests
    rotations: Rotations
    stores: Stores
    audit_channel: str | None
    """The id of the channel in which outcomes are announced."""
    _recorder: OutcomeRecorder
    _notifier: Notifier
    forged: str
    """Which of the newest rows of the trail are somebody else's, as a warning; empty if none are."""

    @property
    def has_claim_in_doubt(self) -> bool:
        """Whether a claim was sent to the database, and its commit not confirmed: it may be recorded, or not."""
        return self._recorder.has_unsent

    def has_unrecorded(self, claimed: Claimed) -> bool:
        """Return whether the outcome is known, but could not be recorded yet."""
        return self._recorder.unrecorded(claimed) is not None

    def abandon(self, claimed: Claimed) -> None:
        """Give up a claim for which no call was begun; `recorded` waits until that is on record."""
        self._recorder.keep(claimed, _STOPPED)

    async def settle(self, seconds: float) -> bool:
        """Wait until it is recorded that no call followed such a claim; return whether it is."""
        until = time.monotonic() + seconds
        while True:
            await self.tidy()
            if not self._recorder.has_unsent or time.monotonic() > until:
                return not self._recorder.has_unsent
            await asyncio.sleep(_RETRY_SECONDS)

    async def recorded(self, claimed: Claimed, seconds: float) -> Rotation | None:
        """Wait until the outcome is on record; return the rotation as it ended, or `None` if that takes too long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if await self.tidy() and self._recorder.unrecorded(claimed) is None:
                with suppress(DatabaseError):
                    rotation = await self.stores.rotations.get(claimed.rotation.id)
                    # After Ctrl-C, the first attempt to record it may still be under way.
                    if rotation is not None and rotation.state is not State.ROTATING:
                        return rotation
            await asyncio.sleep(_RETRY_SECONDS)
        return None

    def as_known(self, claimed: Claimed) -> Rotation:
        """Return the rotation with what this process knows of its outcome, whatever is recorded."""
        outcome = self._recorder.unrecorded(claimed)
        if outcome is None:
            return claimed.rotation
        return replace(claimed.rotation, state=outcome.state, detail=outcome.detail)

    async def announce(self, rotation: Rotation) -> bool:
        """Try to announce the outcome now; return whether nothing about it is left to be announced."""
        try:
            await self._notifier.notify(rotation)
            return not await self.stores.outbox.any_left(rotation.id)
        except DatabaseError:
            return False

    async def tidy(self) -> bool:
        """End what others left behind, and record what is left to be recorded; return whether the database took it.

        What cannot be read stays as it is; `turso-rotate serve` reports it.
        """
        try:
            async for _ in self._recorder.tidy():
                pass
        except DatabaseError:
            return False
        return True


@asynccontextmanager
async def open_terminal(settings: Settings) -> AsyncIterator[Terminal]:
    """Open everything. Slack is not asked for anything until there is something to announce.

    Raises `DatabaseError`, or `SettingsError` if `AUDIT_KEY` is not the trail's.
    """
    async with AsyncExitStack() as stack:
        metrics = Metrics(__version__)
        database = open_database(settings.database_url)
        stack.push_async_callback(database.close)
        await check_schema(database)
        forged = await check_key(database, settings.seal())
        stores = Stores(database, settings.seal(), Organization(settings.turso_organization))
        turso = await stack.enter_async_context(open_turso(settings, metrics))
        slack = await open_slack(stack, settings)
        policies = PolicySource(TERMINAL, stores.grants)
        requests, rotations, recorder = build_use_cases(settings, policies, stores, stores.rotations, turso)
        notifier = build_notifier(settings, slack.web, slack.reply_to, stores, metrics)
        yield Terminal(requests, rotations, stores, settings.audit_channel, recorder, notifier, forged)
