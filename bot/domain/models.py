"""The words of the domain as frozen values, with the legal moves of a rotation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import NewType

TeamId = NewType("TeamId", str)
UserId = NewType("UserId", str)
ChannelId = NewType("ChannelId", str)
Organization = NewType("Organization", str)
GroupName = NewType("GroupName", str)
RotationId = NewType("RotationId", str)
GrantId = NewType("GrantId", int)


class State(StrEnum):
    """Where a rotation stands."""

    REQUESTED = "requested"
    ROTATING = "rotating"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


MOVES: Mapping[State, frozenset[State]] = {
    State.REQUESTED: frozenset({State.ROTATING, State.CANCELLED, State.EXPIRED}),
    State.ROTATING: frozenset({State.SUCCEEDED, State.FAILED, State.UNKNOWN}),
    # The one late truth: the process that made the call learns that its lease was given up while the
    # database was away, and still holds Turso's answer.
    State.UNKNOWN: frozenset({State.SUCCEEDED, State.FAILED}),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
    State.EXPIRED: frozenset(),
}
"""The legal moves. The database decides races between them."""


class Action(StrEnum):
    """What an audit event says happened. Stored for ever: add, never rename."""

    REQUESTED = "rotation.requested"
    DENIED = "rotation.denied"
    REJECTED = "rotation.rejected"
    CANCELLED = "rotation.cancelled"
    EXPIRED = "rotation.expired"
    STARTED = "rotation.started"
    SUCCEEDED = "rotation.succeeded"
    FAILED = "rotation.failed"
    UNKNOWN = "rotation.unknown"
    RESOLVED = "rotation.resolved"
    """A person's judgement of an `unknown`; it never becomes `succeeded`, which only Turso can say."""
    GRANTED = "allowlist.granted"
    REVOKED = "allowlist.revoked"
    READING_DENIED = "history.denied"
    GIVEN_UP = "announcement.given_up"
    """For a day nobody could be told: the requester by the card, or the channel."""

    @classmethod
    def of(cls, state: State) -> "Action":
        """Name the event that records a move to `state`."""
        return cls.STARTED if state is State.ROTATING else cls(f"rotation.{state}")


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did something: a Slack user, an operating-system user (`cli`), or the bot itself (`system`)."""

    team_id: TeamId
    user_id: UserId

    @classmethod
    def on_terminal(cls, os_user: str) -> "Actor":
        """Name the operating-system user who runs a command."""
        return cls(TeamId("cli"), UserId(os_user))

    @property
    def in_slack(self) -> bool:
        """Say whether Slack knows this actor."""
        return self.team_id not in {"cli", "system"}


SYSTEM = Actor(TeamId("system"), UserId("system"))


class Role(StrEnum):
    """What a grant lets its holder do."""

    ROTATE = "rotate"
    """Rotate the groups that match, and read their history."""
    AUDIT = "audit"
    """Read everything, and rotate nothing."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One line of the allowlist: who may rotate the groups that match a pattern, until a date or for ever."""

    id: GrantId
    actor: Actor
    pattern: str
    """A group name, or a glob with `*`, `?` and `[...]`; case matters."""
    until: datetime | None
    """The first instant at which the grant no longer holds (UTC)."""
    note: str
    granted_at: datetime
    granted_by: Actor
    revoked_at: datetime | None = None
    revoked_by: Actor | None = None
    role: Role = Role.ROTATE

    def in_force(self, now: datetime) -> bool:
        """Say whether the grant holds at `now`."""
        return (
            self.granted_at <= now
            and (self.until is None or now < self.until)
            and (self.revoked_at is None or now < self.revoked_at)
        )

    def covers(self, actor: Actor, group: GroupName, now: datetime) -> bool:
        """Say whether the grant lets `actor` rotate `group` at `now`."""
        return self.actor == actor and self.matches(group) and self.in_force(now)

    def matches(self, group: GroupName) -> bool:
        """Say whether the grant is about rotating `group`, whoever holds it and whenever."""
        return self.role is Role.ROTATE and fnmatchcase(group, self.pattern)


@dataclass(frozen=True, slots=True)
class Request:
    """Somebody typed the command: a valid group name and a reason, possibly empty."""

    group: GroupName
    reason: str


@dataclass(frozen=True, slots=True)
class SlackContext:
    """Where in Slack something happened, and the delivery that told us (to recognise it if it comes again)."""

    channel_id: ChannelId
    delivery: str | None = None
    """SHA-256 of Slack's `trigger_id`, hex; the id itself is a capability and is not kept."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """One request and what became of it. Times are UTC and come from the database's clock."""

    id: RotationId
    organization: Organization
    group: GroupName
    requester: Actor
    channel_id: ChannelId
    reason: str
    state: State
    requested_at: datetime
    expires_at: datetime
    started_at: datetime | None = None
    lease_until: datetime | None = None
    """Past it, a `rotating` rotation is given up as `unknown` by any replica."""
    ended_at: datetime | None = None
    detail: Mapping[str, object] = field(default_factory=dict)
    """What ended it: the facts of the last audit event."""
    resolved_as: State | None = None
    """What a person judged an `unknown` to have been; the state stays what the bot knows."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something to be recorded in the audit trail."""

    action: Action
    actor: Actor
    organization: Organization
    group: GroupName | None = None
    rotation_id: RotationId | None = None
    detail: Mapping[str, object] = field(default_factory=dict)
    delivery: str | None = None
    """See `SlackContext.delivery`; the trail takes one event per delivery."""


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event as it stands in the audit trail."""

    seq: int
    """1, 2, 3, … without a gap."""
    at: datetime
    event: Event
    prev_hash: str
    hash: str
    """See `bot.chain`."""


@dataclass(frozen=True, slots=True)
class Head:
    """The newest row of the trail, by which a cut-off tail can be noticed later; `seq` is 0 while there is none."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one call to Turso."""

    state: State
    """`SUCCEEDED`, `FAILED` or `UNKNOWN`."""
    explanation: str
    """One sentence for people: what Turso said, or what happened on the way."""
    status: int | None = None
    """Turso's HTTP status, if there was a complete answer."""
    seconds: float = 0.0
    """From the first attempt to the end."""

    @property
    def detail(self) -> dict[str, object]:
        """Say the same for the audit trail."""
        facts = {"explanation": self.explanation, "status": self.status, "seconds": round(self.seconds, 3)}
        return {name: value for name, value in facts.items() if value is not None}


@dataclass(frozen=True, slots=True)
class GroupInfo:
    """What Turso said about a group before the confirmation; `None` stands for "could not be looked up"."""

    exists: bool | None
    databases: tuple[str, ...] | None
    hostnames: tuple[str, ...] = ()
    similar: tuple[str, ...] = ()
    """When the group does not exist: names that do, best match first."""


class NotificationKind(StrEnum):
    """What people are still to be told about a rotation."""

    CARD = "card"
    """The requester, about the end of their request."""
    ANNOUNCEMENT = "announcement"
    """The channel, about the outcome of a rotation."""
