"""The use case of judging: a person says what an unknown rotation has been, as one more row of the audit trail.

BotError
├── NotUnknown     the outcome is known, or there is none yet
└── AlreadyResolved  the same has been said before
"""

from enum import StrEnum
from typing import Protocol

from bot.domain.errors import BotError, DatabaseUnavailable, NoSuchRotation, UsageError
from bot.domain.models import Action, Actor, Event, Rotation, RotationId, State
from bot.domain.names import storable

NOTE_LIMIT = 500
"""Characters of a note that are kept."""
_TRIES = 3


class Resolution(StrEnum):
    """What a person may say an unknown rotation has been."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"


class NotUnknown(BotError):
    """Only an unknown outcome is for people to judge."""

    def __init__(self, state: State) -> None:
        super().__init__(f"Only an unknown outcome can be judged, and this rotation is recorded as {state}.")


class AlreadyResolved(BotError):
    """The same has been said before."""

    def __init__(self, rotation: Rotation) -> None:
        judge = rotation.detail.get("judged_by", "somebody")
        super().__init__(f"This rotation has been judged {rotation.resolved_as} by {judge} already.")


class ResolutionStore(Protocol):
    """Rotations as they are judged. All of it may raise `DatabaseError`; then nothing was changed."""

    async def get(self, rotation_id: RotationId) -> Rotation | None:
        """Read one rotation."""
        ...

    async def resolve(self, rotation_id: RotationId, judged: State, event: Event) -> Rotation | None:
        """Keep the judgement with its event, and have it announced; the state stays.

        Returns `None` when the rotation is not unknown, or has been judged the same.
        """
        ...


class Resolutions:
    """An operator who judges."""

    def __init__(self, store: ResolutionStore, operator: Actor) -> None:
        self._store = store
        self._operator = operator

    async def resolve(self, rotation_id: RotationId, judgement: Resolution, note: str) -> Rotation:
        """Say what an unknown rotation has been, or say it otherwise than before.

        Raises `UsageError`, `NoSuchRotation`, `NotUnknown`, `AlreadyResolved` or `DatabaseError`; then nothing is written.
        """
        note = storable(note).strip()[:NOTE_LIMIT]
        if not note:
            raise UsageError("Say in the note how you know: it is all that a reader will have to go by.")
        judged = State(judgement)
        for _ in range(_TRIES):
            rotation = await self._open(rotation_id, judged)
            event = self._event(rotation, judged, note)
            if (resolved := await self._store.resolve(rotation.id, judged, event)) is not None:
                return resolved
            # Somebody was faster: the same questions now have another answer.
        raise DatabaseUnavailable("Others are judging this rotation right now; look again, and try again.")

    async def _open(self, rotation_id: RotationId, judged: State) -> Rotation:
        rotation = await self._store.get(rotation_id)
        if rotation is None:
            raise NoSuchRotation
        if rotation.state is not State.UNKNOWN:
            raise NotUnknown(rotation.state)
        if rotation.resolved_as is judged:
            raise AlreadyResolved(rotation)
        return rotation

    def _event(self, rotation: Rotation, judged: State, note: str) -> Event:
        detail = {"as": str(judged), "note": note}
        return Event(Action.RESOLVED, self._operator, rotation.organization, rotation.group, rotation.id, detail)
