"""What the use cases need from outside."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bot.domain.models import (
    Actor,
    ChannelId,
    Event,
    Grant,
    GrantId,
    GroupInfo,
    GroupName,
    Head,
    NotificationKind,
    Outcome,
    Role,
    Rotation,
    RotationId,
    State,
)


@dataclass(frozen=True, slots=True)
class GrantSnapshot:
    """The grants an actor holds, revoked ones left out, and the database's time at which they were read."""

    grants: tuple[Grant, ...]
    now: datetime


@dataclass(frozen=True, slots=True)
class NewRotation:
    """A rotation about to be requested; `seconds` is how long the confirmation stays valid."""

    id: RotationId
    event: Event
    channel_id: ChannelId
    reason: str
    seconds: int


@dataclass(frozen=True, slots=True)
class NewGrant:
    """A line about to be added to the allowlist."""

    actor: Actor
    pattern: str
    until: datetime | None
    note: str
    role: Role = Role.ROTATE


@dataclass(frozen=True, slots=True)
class Notification:
    """An errand in the outbox: somebody is still to be told about a rotation."""

    id: int
    rotation_id: RotationId
    errand: NotificationKind
    created_at: datetime
    attempts: int
    overdue: bool
    """A day has passed by the database's clock: the next failure is the last."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much waits, each counted up to a limit that the store sets."""

    requested: int
    """Requests that wait for their confirmation."""
    rotating: int
    unresolved: int
    """Unknown outcomes that nobody has judged yet."""
    errands: int
    oldest_seconds: float
    """The age of the oldest errand; 0 without any."""


class GrantStore(Protocol):
    """The allowlist as the rules read it."""

    async def held_by(self, actor: Actor) -> GrantSnapshot:
        """Read what the actor holds. Raises `DatabaseError`."""
        ...


class RotationStore(Protocol):
    """Rotations and their moves. Every change commits together with its audit event, or not at all.

    All of it may raise `DatabaseError`; then nothing was changed, except where `DatabaseUnavailable` came
    from a commit whose answer was lost.
    """

    async def open(self, draft: NewRotation) -> tuple[Rotation, Rotation | None]:
        """Insert a requested rotation; returns it with the group's newest that reached Turso, or may have.

        Raises `DuplicateDelivery` if the delivery was handled before.
        """
        ...

    async def get(self, rotation_id: RotationId) -> Rotation | None:
        """Read one rotation."""
        ...

    async def claim(
        self, rotation_id: RotationId, *, grant: GrantId, claim: str, lease: float, event: Event
    ) -> Rotation | None:
        """Move `requested → rotating` if the request has not expired and the grant still holds.

        `claim` names the attempt, so that only its holder can end it; `lease` is in seconds.

        Returns `None` when somebody else decided first, the time is over or the grant is gone; raises
        `GroupBusy` when another rotation of the group is under way.
        """
        ...

    async def move(
        self, rotation_id: RotationId, *, expected: State, event: Event, claim: str | None = None
    ) -> Rotation | None:
        """Move from `expected` to the state the event names; with `claim`, only if that claim holds it.

        Returns `None` when the rotation is not in `expected`.
        """
        ...

    async def overdue(self) -> Sequence[Rotation]:
        """Read the requests past their expiry and the rotations past their lease, oldest first."""
        ...


class Outbox(Protocol):
    """The errands still to be run. All of it may raise `DatabaseError`."""

    async def take_for(self, rotation_id: RotationId, seconds: float) -> Sequence[Notification]:
        """Take the errands about a rotation that has just ended, unless somebody else has taken them."""
        ...

    async def take(self, seconds: float) -> Notification | None:
        """Take the errand that is due longest; for so many seconds nobody else takes it."""
        ...

    async def any_due(self) -> bool:
        """Say whether an errand waits, without taking it."""
        ...

    async def put_off(self, letter: Notification, seconds: float) -> None:
        """Try again in so many seconds, unless somebody else has taken the errand since."""
        ...

    async def done(self, letter: Notification) -> None:
        """Strike an errand off."""
        ...

    async def give_up(self, letter: Notification, event: Event) -> bool:
        """Strike an errand off together with its event, and say whether it still stood."""
        ...


class Trail(Protocol):
    """The audit trail, to which events without a change of state are appended."""

    async def append(self, event: Event) -> None:
        """Record an event by itself. Raises `DuplicateDelivery` if its delivery was handled before."""
        ...

    async def head(self) -> Head:
        """Read which row is the newest. Raises `DatabaseError`."""
        ...


class Turso(Protocol):
    """Turso's side. No method raises for what Turso or the network do."""

    def has_token(self, group: GroupName) -> bool:
        """Say whether an API token is configured that is meant for the group."""
        ...

    async def look(self, group: GroupName) -> GroupInfo:
        """Look at the group; a courtesy, whose parts may be missing."""
        ...

    async def groups(self) -> tuple[GroupName, ...] | None:
        """List the organization's groups, or return `None` where that cannot be read."""
        ...

    async def rotate(self, group: GroupName) -> Outcome:
        """Invalidate the tokens of the group, at most once, and say what became of it.

        When the task is cancelled meanwhile, raises an `Interrupted` that says what is known.
        """
        ...
