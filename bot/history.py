"""The use cases around reading: who may see which requests, pages of them, and the story of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.models import Actor, Grant, GroupName, Head, Recorded, Rotation, RotationId, State, UserId


class Ending(StrEnum):
    """Where a request stands, as people ask for it."""

    REQUESTED = "requested"
    ROTATING = "rotating"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    DENIED = "denied"
    """The rules said no to the command; there is no rotation."""
    REJECTED = "rejected"
    """The command named no group that exists; there is no rotation."""


@dataclass(frozen=True, slots=True)
class Query:
    """Which requests to read; `None` leaves a field free."""

    group: GroupName | None = None
    person: UserId | None = None
    ending: Ending | None = None
    since: datetime | None = None
    until: datetime | None = None
    """The first instant that is no longer read."""


@dataclass(frozen=True, slots=True)
class Key:
    """A request's place in history: a page begins after a key, never at an offset."""

    at: datetime
    id: str
    """The rotation's id, or `#` and the event's `seq` where a command was refused and there is no rotation."""

    @property
    def refused(self) -> bool:
        """Say whether it is the place of a refused command."""
        return self.id.startswith("#")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as history shows it."""

    key: Key
    actor: Actor
    group: GroupName | None
    """`None` where what was typed names no possible group."""
    ending: Ending
    reason: str
    explanation: str
    """Why it was refused, or what came of it; may be empty."""
    seconds: float | None = None
    """From the request to its end, where it has one."""
    rotation_id: RotationId | None = None
    resolved_as: State | None = None
    """What a person judged an unknown to have been."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some requests, newest first, and the keys from which the neighbouring pages begin, where there are any."""

    asked: Sequence[Asked]
    older: Key | None
    """Read on with `before` this key."""
    newer: Key | None
    """Read back with `after` this key."""
    narrowed: str | None = None
    """In words, what this reader does not see; `None` for somebody who sees everything."""


@dataclass(frozen=True, slots=True)
class Story:
    """One rotation and its events in their order."""

    rotation: Rotation
    events: Sequence[Recorded]


@dataclass(frozen=True, slots=True)
class Home:
    """What the Home tab shows one reader."""

    page: Page
    pending: Sequence[Rotation]
    """The reader's own requests that wait for their confirmation, oldest first."""
    patterns: Sequence[str]
    """What the reader may rotate, as it was granted."""
    allowlist: Sequence[Grant] | None
    """The grants in force, for auditors; `None` for everybody else."""
    groups: Sequence[GroupName]
    """The groups that have a history the reader may see, by name, 100 at most."""
    head: Head
