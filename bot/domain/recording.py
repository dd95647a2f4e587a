"""Record how rotations ended, even if the database was down or the process that made the call is gone."""

from asyncio import Event as Signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial

from bot.domain.errors import DatabaseError
from bot.domain.events import RECORDED_AS, Action, Event
from bot.domain.lease import Lease
from bot.domain.models import SYSTEM, Actor, Outcome, Rotation, RotationId
from bot.domain.ports import RotationStore
from bot.domain.states import State

_NEVER_STARTED = Outcome(State.FAILED, "The database did not confirm the start. Nothing was sent to Turso.")
_UNSENT_SECONDS = 60.0
"""How long after its lease a claim that was never used is watched: its commit may still arrive."""
_ABANDONED = Outcome(
    State.UNKNOWN,
    "No outcome was recorded in time, for example because the bot was interrupted during the call: "
    "the rotation may have happened.",
)
_UNRECORDED = "The outcome could not be saved yet. I will keep trying; until then it counts as unknown."
_MAX_FAILURES = 3
"""After this many failures the database is the cause, and waiting for it once more for each rotation is pointless."""


ReportFailure = Callable[[str, Exception], None]
"""Reports something that could not be tidied, by its name, and why: a row that cannot be read, or a bug."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A rotation that only this process may carry out, once."""

    rotation: Rotation
    claim: str
    """The name of the attempt."""
    lease: Lease


class OutcomeRecorder:
    """Records the ends of rotations in one store."""

    def __init__(self, store: RotationStore) -> None:
        self._store = store
        self._kept: dict[str, tuple[Claimed, Outcome]] = {}  # by claim
        self._unsent: dict[str, Claimed] = {}  # by claim
        self._in_flight: dict[str, Claimed] = {}  # by claim
        self._nothing_kept = Signal()
        self._nothing_kept.set()

    async def record(self, claimed: Claimed, outcome: Outcome) -> Rotation:
        """Record the outcome of a call, and return the rotation.

        If that fails, the rotation reads `unknown` for now, and `tidy` records it later.
        """
        self.keep(claimed, outcome)  # first, because whoever waits for this may be interrupted
        try:
            recorded = await self._write(claimed, outcome)
            return recorded or await self._store.get(claimed.rotation.id) or claimed.rotation
        except BaseException as error:
            if not isinstance(error, Exception):
                raise
            return replace(claimed.rotation, state=State.UNKNOWN, detail={"explanation": _UNRECORDED})

    def begin(self, claimed: Claimed) -> None:
        """Take note of a call that begins; `record` ends it."""
        self._in_flight[claimed.claim] = claimed

    def known(self, rotation_id: RotationId) -> Rotation | None:
        """Return a rotation whose call, or whose outcome, only this process knows of, as it would read on record."""
        for claimed in self._in_flight.values():
            if claimed.rotation.id == rotation_id:
                return claimed.rotation
        for claimed, outcome in self._kept.values():
            if claimed.rotation.id == rotation_id:
                return replace(claimed.rotation, state=outcome.state, detail=outcome.detail)
        return None

    def keep(self, claimed: Claimed, outcome: Outcome) -> None:
        """Keep an outcome that is not recorded yet, for `tidy`."""
        self._in_flight.pop(claimed.claim, None)
        self._kept[claimed.claim] = (claimed, outcome)
        self._nothing_kept.clear()

    def watch(self, claimed: Claimed) -> None:
        """Watch a claim whose commit was not confirmed, for `tidy`: no call follows, but it may still arrive."""
        self._unsent[claimed.claim] = claimed

    def unrecorded(self, claimed: Claimed) -> Outcome | None:
        """Return the outcome of this claim if it could not be recorded yet."""
        return self._kept[claimed.claim][1] if claimed.claim in self._kept else None

    @property
    def unsaved(self) -> int:
        """How many outcomes are not recorded yet."""
        return len(self._kept)

    @property
    def has_unsent(self) -> bool:
        """Whether claims are watched that were never used."""
        return bool(self._unsent)

    async def all_recorded(self) -> None:
        """Wait until no outcome is kept anymore."""
        await self._nothing_kept.wait()

    async def end_overdue(self, rotation: Rotation) -> Rotation | None:
        """Expire an overdue request, or move a rotation whose lease has expired to `unknown`."""
        if rotation.state is State.REQUESTED:
            event = _by_system(rotation, Action.EXPIRED, {"why": "Nobody confirmed it in time."})
        else:
            event = _by_system(rotation, Action.UNKNOWN, _ABANDONED.detail)
        return await self._store.move(rotation.id, expected=rotation.state, event=event)

    async def tidy(self, report: ReportFailure = lambda _, __: None) -> AsyncIterator[Rotation]:
        """Record kept outcomes, expire old requests and end interrupted rotations; yield those that changed.

        One that fails does not hold up the others. `report` is called for a row that cannot be read, and for a bug; of
        the failures of the database, the first is raised at the end.
        """
        failures: list[DatabaseError] = []
        for rotation, end in await self._steps(report):
            try:
                changed = await end()
            except DatabaseError as error:
                failures.append(error)
                if len(failures) == _MAX_FAILURES:
                    break
            except Exception as error:  # noqa: BLE001 - reported
                report(f"Rotation {rotation.id}", error)
            else:
                if changed is not None:
                    yield changed
        if failures:
            raise failures[0]

    async def _steps(self, report: ReportFailure) -> list[tuple[Rotation, Callable[[], Awaitable[Rotation | None]]]]:
        """Return what is to be tidied, each with its rotation."""
        overdue = await self._store.overdue()
        for row in overdue.unreadable:
            report(row.key, row)
        kept = [(claimed.rotation, partial(self._write, claimed, outcome)) for claimed, outcome in self._kept.values()]
        unsent = [(claimed.rotation, partial(self._end_unsent, claimed)) for claimed in self._unsent.values()]
        return [*kept, *unsent, *((rotation, partial(self.end_overdue, rotation)) for rotation in overdue)]

    async def _write(self, claimed: Claimed, outcome: Outcome) -> Rotation | None:
        """Record an outcome, unless that was done before."""
        recorded = await self._end(claimed, outcome, claimed.rotation.requester)
        self._kept.pop(claimed.claim, None)
        if not self._kept:
            self._nothing_kept.set()
        return recorded

    async def _end_unsent(self, claimed: Claimed) -> Rotation | None:
        """Record that no call followed, once the claim's commit has arrived; forget it when that cannot happen."""
        rotation, recorded = await self._store.get(claimed.rotation.id), None
        state = None if rotation is None else rotation.state
        if state is State.REQUESTED and claimed.lease.left() > -_UNSENT_SECONDS:
            return None
        if state in {State.ROTATING, State.UNKNOWN}:
            recorded = await self._end(claimed, _NEVER_STARTED, SYSTEM)
        self._unsent.pop(claimed.claim, None)
        return recorded

    async def _end(self, claimed: Claimed, outcome: Outcome, actor: Actor) -> Rotation | None:
        """End the claim, if need be over an `unknown` that another replica recorded when the lease expired."""
        rotation = claimed.rotation
        event = replace(_by_system(rotation, RECORDED_AS[outcome.state], outcome.detail), actor=actor)
        recorded = await self._store.move(rotation.id, expected=State.ROTATING, event=event, claim=claimed.claim)
        if recorded is None and outcome.state is not State.UNKNOWN:
            recorded = await self._store.move(rotation.id, expected=State.UNKNOWN, event=event, claim=claimed.claim)
        return recorded


def _by_system(rotation: Rotation, action: Action, detail: dict[str, object]) -> Event:
    return Event(action, SYSTEM, rotation.organization, rotation.group, rotation.id, detail)
