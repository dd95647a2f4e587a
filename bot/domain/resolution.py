"""The use case of judging an unknown outcome, recorded as one more row of the audit trail."""

from enum import StrEnum
from typing import Protocol

from bot.domain.errors import AlreadyResolved, ChangedMeanwhile, NoSuchRotation, NotUnknown, UsageError
from bot.domain.events import Action, Event
from bot.domain.models import Actor, Rotation, RotationId
from bot.domain.states import State
from bot.domain.text import kept

_TRIES = 3


class Resolution(StrEnum):
    """How a person may judge an unknown rotation."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"


class ResolutionStore(Protocol):
    """Rotations, for judging. Methods may raise `DatabaseError`: see `ports`."""

    async def get(self, rotation_id: RotationId) -> Rotation | None:
        """Read one rotation."""

    async def resolve(self, rotation_id: RotationId, resolved_as: State, event: Event) -> Rotation | None:
        """Record the judgement with its event, and queue its announcement; the state stays.

        Return `None` if the rotation is not unknown, or was already judged the same way.
        """


class Resolutions:
    """The judgements of one operator."""

    def __init__(self, store: ResolutionStore, operator: Actor) -> None:
        self._store = store
        self._operator = operator

    async def resolve(self, rotation_id: RotationId, resolution: Resolution, note: str) -> Rotation:
        """Judge an unknown rotation, or change an earlier judgement.

        Raises `UsageError`, `NoSuchRotation`, `NotUnknown`, `AlreadyResolved` or `DatabaseError`: nothing is recorded.
        """
        note = kept(note)
        if not note:
            raise UsageError("Explain in the note how you know; it is the only evidence on record.")
        resolved_as = State(resolution)
        for _ in range(_TRIES):
            rotation = await self._unresolved(rotation_id, resolved_as)
            event = self._event(rotation, resolved_as, note)
            if (resolved := await self._store.resolve(rotation.id, resolved_as, event)) is not None:
                return resolved
            # It was judged or has ended since it was read: ask again.
        raise ChangedMeanwhile("Others are judging this rotation right now. Look at it again, then try again.")

    async def _unresolved(self, rotation_id: RotationId, resolved_as: State) -> Rotation:
        rotation = await self._store.get(rotation_id)
        if rotation is None:
            raise NoSuchRotation
        if rotation.state is not State.UNKNOWN:
            raise NotUnknown(rotation.state)
        if rotation.resolved_as is resolved_as:
            raise AlreadyResolved(rotation)
        return rotation

    def _event(self, rotation: Rotation, resolved_as: State, note: str) -> Event:
        detail = {"as": str(resolved_as), "note": note}
        return Event(Action.RESOLVED, self._operator, rotation.organization, rotation.group, rotation.id, detail)
