"""Events of the audit trail, and the event that records each state of a rotation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Self

from bot.domain.models import Actor, GroupName, Organization, RotationId, SlackContext
from bot.domain.states import State


class Action(StrEnum):
    """What an event says happened. Stored forever: add actions, never rename them."""

    REQUESTED = "rotation.requested"
    DENIED = "rotation.denied"
    REJECTED = "rotation.rejected"
    CANCELLED = "rotation.cancelled"
    EXPIRED = "rotation.expired"
    SUPERSEDED = "rotation.superseded"
    STARTED = "rotation.started"
    SUCCEEDED = "rotation.succeeded"
    FAILED = "rotation.failed"
    UNKNOWN = "rotation.unknown"
    RESOLVED = "rotation.resolved"
    """A person's judgement of an `unknown`. It never becomes `succeeded`, which only Turso can say."""
    NOTED = "rotation.noted"
    """Somebody noted a rotation that was made by hand, without the bot; it has no id."""
    GRANTED = "allowlist.granted"
    REVOKED = "allowlist.revoked"
    READING_DENIED = "history.denied"
    GUARDS_BROKEN = "guards.broken"
    """The bot noticed that the database no longer protects its history."""
    GUARDS_RESTORED = "guards.restored"
    GIVEN_UP = "announcement.given_up"
    """A notification to the requester or to the channel could not be delivered for a day."""
    REKEYED = "audit.rekeyed"
    """The key of the trail was changed on purpose: this row is the last one under the old key, and names the new."""


RECORDED_AS: Mapping[State, Action] = {
    State.REQUESTED: Action.REQUESTED,
    State.ROTATING: Action.STARTED,
    State.SUCCEEDED: Action.SUCCEEDED,
    State.FAILED: Action.FAILED,
    State.UNKNOWN: Action.UNKNOWN,
    State.CANCELLED: Action.CANCELLED,
    State.EXPIRED: Action.EXPIRED,
    State.SUPERSEDED: Action.SUPERSEDED,
}
"""The action that records the move to each state.

The store writes by it and `audit verify` compares by it. Actions that are not in it change no state.
"""

STATE_AFTER: Mapping[Action, State] = {action: state for state, action in RECORDED_AS.items()}
"""The same table, read backwards."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event to be recorded in the audit trail."""

    action: Action
    actor: Actor
    organization: Organization
    group: GroupName | None = None
    rotation_id: RotationId | None = None
    detail: Mapping[str, object] = field(default_factory=dict)
    delivery: str | None = None
    """See `SlackContext.delivery`; the trail takes one event per delivery."""

    @classmethod
    def at(
        cls, context: SlackContext, action: Action, actor: Actor, organization: Organization, **detail: object
    ) -> Self:
        """Describe what somebody did at a place, which the event names."""
        detail = {"channel": context.channel_id, **detail}
        return cls(action, actor, organization, detail=detail, delivery=context.delivery)


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event that is recorded in the audit trail."""

    seq: int
    """1, 2, 3, … without a gap."""
    at: datetime
    event: Event
    prev_hash: str
    hash: str
    """See `bot.trail.chain`."""


@dataclass(frozen=True, slots=True)
class TrailHead:
    """The newest row of the trail; one noted earlier shows later that rows were cut off. `seq` is 0 for no rows."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"
