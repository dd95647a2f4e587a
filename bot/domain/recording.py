"""Put on record what became of rotations: at once, later when the database is back, or for whoever left them behind."""

from asyncio import Event as Signal
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial

from bot.domain.models import SYSTEM, Action, Event, Outcome, Rotation, State
from bot.domain.ports import RotationStore
from bot.domain.steps import Claimed

NEVER_STARTED = Outcome(State.FAILED, "The database did not confirm the start. Nothing was sent to Turso.")
_LEFT_BEHIND = Outcome(
    State.UNKNOWN,
    "No outcome came on record in time, as when the bot is interrupted in the call: the rotation may have happened.",
)
_UNRECORDED = "The outcome is not on record yet, as the database does not take it. It is kept and will be reported."
_MOST_TROUBLES = 3
"""After so many it is the database's doing, and each of the others would be waited for too."""


class OutcomeRecorder:
    """The ends of one store's rotations."""

    def __init__(self, store: RotationStore) -> None:
        self._store = store
        self._kept: dict[str, tuple[Claimed, Outcome]] = {}  # by claim
        self._nothing_kept = Signal()
        self._nothing_kept.set()

    async def record(self, claimed: Claimed, outcome: Outcome) -> Rotation:
        """Write what became of a call; returns the rotation as it then stands.

        Where it cannot be written it reads `unknown` for now, and `tidy` writes it later.
        """
        try:
            settled = await self._settle(claimed, outcome)
            return settled or await self._store.get(claimed.rotation.id) or claimed.rotation
        except BaseException as error:
            # Whatever stopped it, people hear the truth, and it is tried again.
            self.keep(claimed, outcome)
            if not isinstance(error, Exception):
                raise
            return replace(claimed.rotation, state=State.UNKNOWN, detail={"explanation": _UNRECORDED})

    def keep(self, claimed: Claimed, outcome: Outcome) -> None:
        """Keep an outcome that could not be written, for `tidy`."""
        self._kept[claimed.claim] = (claimed, outcome)
        self._nothing_kept.clear()

    async def all_recorded(self) -> None:
        """Wait until no outcome is kept any more."""
        await self._nothing_kept.wait()

    async def end(self, rotation: Rotation) -> Rotation | None:
        """Expire an overdue request, or give up an overdue rotation as unknown."""
        if rotation.state is State.REQUESTED:
            event = _by_system(rotation, Action.EXPIRED, {"why": "Nobody confirmed it in time."})
        else:
            event = _by_system(rotation, Action.UNKNOWN, _LEFT_BEHIND.detail)
        return await self._store.move(rotation.id, expected=rotation.state, event=event)

    async def tidy(self) -> AsyncIterator[Rotation]:
        """Write the outcomes that were kept, expire old requests, give up interrupted rotations.

        Gives those whose state changed. One that cannot be settled holds up no other, and its failure is raised at the
        end: a `DatabaseError`, or a bug.
        """
        kept = [partial(self._settle, *each) for each in self._kept.values()]
        overdue = [partial(self.end, rotation) for rotation in await self._store.overdue()]
        troubles: list[Exception] = []
        for settle in (*kept, *overdue):
            try:
                changed = await settle()
            except Exception as error:  # noqa: BLE001 - raised below
                troubles.append(error)
                if len(troubles) == _MOST_TROUBLES:
                    break
            else:
                if changed is not None:
                    yield changed
        if troubles:
            raise troubles[0]

    async def _settle(self, claimed: Claimed, outcome: Outcome) -> Rotation | None:
        """Write an outcome, also over an `unknown` that another replica wrote when the lease ran out."""
        rotation = claimed.rotation
        actor = rotation.requester if outcome is not NEVER_STARTED else SYSTEM
        event = replace(_by_system(rotation, Action.of(outcome.state), outcome.detail), actor=actor)
        settled = await self._store.move(rotation.id, expected=State.ROTATING, event=event, claim=claimed.claim)
        if settled is None and outcome.state is not State.UNKNOWN:
            settled = await self._store.move(rotation.id, expected=State.UNKNOWN, event=event, claim=claimed.claim)
        self._kept.pop(claimed.claim, None)
        if not self._kept:
            self._nothing_kept.set()
        return settled


def _by_system(rotation: Rotation, action: Action, detail: dict[str, object]) -> Event:
    return Event(action, SYSTEM, rotation.organization, rotation.group, rotation.id, detail)
