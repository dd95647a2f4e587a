"""What the use cases need from outside.

Methods of a store may raise `DatabaseError`. Nothing was changed then, unless it is a `CommitUnconfirmed`.
"""

from asyncio import CancelledError
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Protocol

from bot.domain.events import Action, Event, TrailHead
from bot.domain.grants import GrantSnapshot
from bot.domain.lease import Lease
from bot.domain.models import (
    Actor,
    ChannelId,
    Databases,
    GrantId,
    GroupInfo,
    GroupName,
    GroupWorld,
    Outcome,
    Rotation,
    RotationId,
    Target,
)
from bot.domain.notifications import Notification
from bot.domain.readable import Readable
from bot.domain.states import State

ASKED_AGAIN = "The same person asked again."
WORLD_GONE = "The group was rotated since this request was made, or was being rotated."


@dataclass(frozen=True, slots=True)
class NewRotation:
    """A rotation to be requested; its confirmation expires after `seconds`."""

    id: RotationId
    event: Event
    channel_id: ChannelId
    reason: str
    seconds: int
    databases: Databases | None = None

    @property
    def group(self) -> GroupName:
        """The group to be rotated."""
        if self.event.group is None:
            raise AssertionError("a request names a group")
        return self.event.group

    @property
    def recorded(self) -> Event:
        """The event with everything that people will read of the request, so that the trail proves it."""
        facts: dict[str, object] = {"channel": self.channel_id, "reason": self.reason, "expires_in": self.seconds}
        if self.databases is not None:
            facts["databases"] = asdict(self.databases)
        return replace(self.event, detail={**self.event.detail, **facts})

    def superseding(self, older: RotationId, why: str) -> Event:
        """Return the event that ends an older request of the same person."""
        detail = {"channel": self.channel_id, "why": why, "superseded_by": self.id}
        return replace(self.event, action=Action.SUPERSEDED, rotation_id=older, detail=detail, delivery=None)


@dataclass(frozen=True, slots=True)
class Opened:
    """A request that waits for confirmation, and the world that its card describes."""

    rotation: Rotation
    world: GroupWorld
    superseded: tuple[Rotation, ...] = ()
    """Older requests that it took the place of."""


@dataclass(frozen=True, slots=True)
class Superseded:
    """A request whose world is gone, and the one that takes its place."""

    old: Rotation
    new: Opened


@dataclass(frozen=True, slots=True)
class NewClaim:
    """An attempt to start a rotation."""

    rotation_id: RotationId
    grant: GrantId | None
    """The grant that must still hold; `None` at a terminal, where the settings are the right."""
    claim: str
    """The name of the attempt, so that only its holder can end it."""
    seconds: float
    """How long it holds."""
    event: Event
    instead: NewRotation
    """What is requested if the world of the request is gone."""

    def superseding(self) -> Event:
        """Return the event that ends the request instead, at the place and with the delivery of the press."""
        event = self.instead.superseding(self.rotation_id, WORLD_GONE)
        place = {name: where for name, where in self.event.detail.items() if name == "channel"}
        return replace(event, detail={**event.detail, **place}, delivery=self.event.delivery)


class GrantStore(Protocol):
    """The allowlist, for reading."""

    async def held_by(self, actor: Actor) -> GrantSnapshot:
        """Read the actor's grants that were not revoked."""

    async def all(self) -> GrantSnapshot:
        """Read all grants that were not revoked."""


class Interrupted(CancelledError):
    """The task was cancelled during the call to Turso; `outcome` is what is known of the call."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


class RotationStore(Protocol):
    """Rotations. Each change commits together with its audit event, or not at all."""

    async def open(self, new: NewRotation) -> Opened:
        """Insert a requested rotation, and supersede older requests of the same person for the same group.

        Raises `DuplicateDelivery` if the delivery was handled before.
        """

    async def note(self, event: Event) -> None:
        """Record a rotation that was made without the bot: older cards no longer describe the group."""

    async def get(self, rotation_id: RotationId) -> Rotation | None:
        """Read one rotation."""

    async def is_outdated(self, rotation_id: RotationId) -> bool:
        """Return whether the world of a request is gone by now; `claim` decides."""

    async def claim(self, claim: NewClaim) -> Rotation | Superseded | None:
        """Move `requested → rotating` if the request has not expired and the grant still holds.

        If the group was rotated since the request was opened, or is being rotated, supersede the request instead, and
        open a new one. Return `None` if somebody else decided first, the request expired or the grant is gone.
        """

    async def move(
        self, rotation_id: RotationId, *, expected: State, event: Event, claim: str | None = None
    ) -> Rotation | None:
        """Move from `expected` to the state that the event records; with `claim`, only if that claim holds it.

        Return `None` if the rotation is not in `expected`.
        """

    async def overdue(self) -> Readable[Rotation]:
        """Read the requests past their expiry and the rotations past their lease, oldest first."""


class Outbox(Protocol):
    """The notifications that are not delivered yet."""

    async def take_for(self, rotation_id: RotationId, seconds: float) -> Sequence[Notification]:
        """Take the notifications about a rotation that has just ended, except those that somebody else has taken."""

    async def take(self, seconds: float) -> Notification | None:
        """Take the notification that has been due longest; for `seconds`, nobody else takes it.

        Raises `UnreadableRow` for one that cannot be read; it is taken all the same.
        """

    async def any_due(self) -> bool:
        """Return whether a notification is due, without taking it."""

    async def put_off(self, notification: Notification, seconds: float) -> None:
        """Make it due again in `seconds`, unless somebody else has taken it since."""

    async def done(self, notification: Notification) -> None:
        """Delete a delivered notification."""

    async def give_up(self, notification: Notification, event: Event) -> bool:
        """Delete a notification and record the event; return whether it was still there."""


class AuditTrail(Protocol):
    """The audit trail, for events that change no state."""

    async def append(self, event: Event) -> None:
        """Record an event. Raises `DuplicateDelivery` if its delivery was handled before."""

    async def head(self) -> TrailHead:
        """Read the number and hash of the newest row."""


class Turso(Protocol):
    """The Platform API. No method raises for what Turso or the network do."""

    def has_token(self, group: GroupName) -> bool:
        """Return whether an API token is configured for the group."""

    async def group_info(self, group: GroupName) -> GroupInfo:
        """Read what the card shows about the group; parts may be missing."""

    async def groups(self) -> tuple[GroupName, ...] | None:
        """List the organization's groups, or return `None` if that fails."""

    async def group_of(self, database: str) -> GroupName | None:
        """Return the group that a database is in, or `None` if there is no such database or it cannot be read."""

    async def rotate(self, target: Target, lease: Lease) -> Outcome:
        """Rotate the target's key, which invalidates its tokens, with at most one call, if the lease lasts for it.

        If the task is cancelled meanwhile, raises an `Interrupted` that carries what is known.
        """
