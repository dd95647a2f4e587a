"""The values of the domain: who, where, what to rotate, and how it ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NewType

from bot.domain.names import EXPLICIT
from bot.domain.states import State

TeamId = NewType("TeamId", str)
UserId = NewType("UserId", str)
ChannelId = NewType("ChannelId", str)
Organization = NewType("Organization", str)
GroupName = NewType("GroupName", str)
RotationId = NewType("RotationId", str)
GrantId = NewType("GrantId", int)

SHOWN_DATABASES = 20
"""How many of a group's databases a card names."""


TERMINAL = TeamId("cli")
"""Stands for a Slack team where somebody runs a command."""
AT_TERMINAL = ChannelId("terminal")
"""Stands for a channel in the same way."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did something: a Slack user, an operating-system user (team `cli`), or the bot itself (team `system`)."""

    team_id: TeamId
    user_id: UserId

    @classmethod
    def on_terminal(cls, os_user: str) -> "Actor":
        """Return the operating-system user who runs a command."""
        return cls(TERMINAL, UserId(os_user))

    @property
    def in_slack(self) -> bool:
        """Whether this is a Slack user."""
        return self.team_id not in {TERMINAL, "system"}


SYSTEM = Actor(TeamId("system"), UserId("system"))


@dataclass(frozen=True, slots=True)
class SlackContext:
    """Where in Slack something happened, and the id of its delivery."""

    channel_id: ChannelId
    delivery: str | None = None
    """SHA-256 of Slack's `trigger_id`, hex, to recognise a second delivery; on the Home tab, of the `event_id`.

    A `trigger_id` is a capability, so it is not kept itself."""


@dataclass(frozen=True, slots=True)
class Request:
    """A parsed command: a group and a reason, possibly empty."""

    group: GroupName
    """A valid name: as it was typed or, if that is none, what it most likely stands for."""
    reason: str
    typed: str = ""
    """The word as it was typed, if it is not the name itself."""
    readings: tuple[GroupName, ...] = ()
    """Other names that the word may stand for."""
    problem: str = ""
    """Why the word is hardly the name of a group, for the person who typed it; Turso's list knows better."""
    example: str = ""
    """How the command is written instead, if that is known."""

    @property
    def as_typed(self) -> bool:
        """Whether the name is what was typed, and not only what it most likely stands for."""
        return self.typed.removeprefix(EXPLICIT) in {"", self.group}


class TargetKind(StrEnum):
    """Whose tokens a signing key at Turso signs."""

    GROUP = "group"


@dataclass(frozen=True, slots=True)
class Target:
    """One signing key at Turso: what a single call rotates."""

    kind: TargetKind
    name: str
    """The name of the group, as Turso spells it."""

    @classmethod
    def of_group(cls, group: GroupName) -> "Target":
        """Return the key that signs a group's tokens."""
        return cls(TargetKind.GROUP, group)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Databases:
    """How many databases a group has, and the names of the first few."""

    count: int
    names: tuple[str, ...]

    @classmethod
    def of(cls, names: Sequence[str] | None) -> "Databases | None":
        """Keep as many names as a card may show; a group may have thousands."""
        return None if names is None else cls(len(names), tuple(names[:SHOWN_DATABASES]))


@dataclass(frozen=True, slots=True)
class Rotation:
    """One request and how it ended. Times are UTC and come from the database's clock."""

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
    """After it, any replica moves a `rotating` rotation to `unknown`."""
    ended_at: datetime | None = None
    detail: Mapping[str, object] = field(default_factory=dict)
    """The facts of the event that ended it."""
    resolved_as: State | None = None
    """How a person judged an `unknown`. The state stays what the bot knows."""
    databases: Databases | None = None
    """The group's databases when it was requested; `None` if they could not be listed."""

    @property
    def target(self) -> Target:
        """The key that this rotation rotates."""
        return Target.of_group(self.group)


@dataclass(frozen=True, slots=True)
class HandRotation:
    """A rotation that somebody made without the bot, as they noted it."""

    at: datetime
    """When it was made (UTC)."""
    noted_by: Actor
    note: str


@dataclass(frozen=True, slots=True)
class GroupWorld:
    """What a card has to say about its group's past, read together with the request."""

    last: Rotation | None = None
    """The group's last rotation that reached Turso, or may have."""
    by_hand: HandRotation | None = None
    """The one noted last."""
    waiting: tuple[Rotation, ...] = ()
    """Requests of other people that wait for confirmation."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one call to Turso ended."""

    state: State
    """`SUCCEEDED`, `FAILED` or `UNKNOWN`."""
    explanation: str
    """One sentence for people: what Turso said, or what happened on the way."""
    status: int | None = None
    """Turso's HTTP status, if the answer was complete."""
    seconds: float = 0.0
    """From the first attempt to the end."""
    group_missing: bool = False
    """Turso said that there is no such group."""

    @property
    def detail(self) -> dict[str, object]:
        """The outcome as the detail of an audit event."""
        facts = {"explanation": self.explanation, "status": self.status, "seconds": round(self.seconds, 3)}
        facts["group_missing"] = self.group_missing or None
        return {name: value for name, value in facts.items() if value is not None}


@dataclass(frozen=True, slots=True)
class GroupInfo:
    """What Turso said about a group before the confirmation; `None` means that it could not be read."""

    exists: bool | None
    databases: tuple[str, ...] | None
    hostnames: tuple[str, ...] = ()
