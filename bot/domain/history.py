"""History as values: what is asked of it, the pages and stories it is read in, and what its store finds."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from bot.domain.models import Actor, Grant, GroupName, Head, RecordedEvent, Rotation, RotationId, State, UserId
from bot.domain.policy import Visibility

PAGE = 10
"""How many requests make a page, unless somebody wants another number."""
_BEYOND = 2**63 - 1  # no row of the audit trail has a higher number


class RequestStatus(StrEnum):
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
    ending: RequestStatus | None = None
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

    @property
    def rank(self) -> tuple[datetime, str, int]:
        """Order keys, oldest first: at one moment refused commands, by their rows, come before rotations, by id."""
        return (self.at, "", int(self.id[1:])) if self.refused else (self.at, self.id, _BEYOND)


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One request as history shows it."""

    key: Key
    actor: Actor
    group: GroupName | None
    """`None` where what was typed names no possible group."""
    ending: RequestStatus
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

    asked: Sequence[HistoryEntry]
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
    events: Sequence[RecordedEvent]


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


class AccessPath(StrEnum):
    """Along what a search finds requests."""

    OPEN = "open"
    """All that the query asks for."""
    COVERED = "covered"
    """The same, group by group as far as the sight covers them."""
    OWN = "own"
    """The same, of the reader alone."""


@dataclass(frozen=True, slots=True)
class HistorySearch:
    """One page as it is searched for: how far the reader sees, what they look for, and between which keys."""

    sight: Visibility
    query: Query
    before: Key | None = None
    after: Key | None = None
    """With this key alone the page holds what comes next after it, else the newest there is."""
    limit: int = PAGE

    @property
    def ways(self) -> tuple[AccessPath, ...]:
        """Say along what to search, so that nothing is found that the sight does not let through."""
        group, person = self.query.group, self.query.person
        if self.sight.everything or (group is not None and self.sight.covers(group)):
            return (AccessPath.OPEN,)
        if person == self.sight.actor.user_id:
            return (AccessPath.OWN,)
        covered = (AccessPath.COVERED,) if self.sight.patterns and group is None else ()
        return covered + ((AccessPath.OWN,) if person is None else ())


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search found, newest first."""

    asked: Sequence[HistoryEntry]
    more: bool
    """There is more in the direction in which was searched."""
    crowded: bool = False
    """There are more groups than are looked through: requests about some may be missing."""


class HistoryStore(Protocol):
    """The requests of one organization. All of it may raise `DatabaseError`."""

    async def find(self, search: HistorySearch) -> SearchResult:
        """Read one page of requests in the order of their keys' ranks."""
        ...

    async def story(self, rotation_id: RotationId) -> Story | None:
        """Read one rotation with its events."""
        ...

    async def pending(self, actor: Actor) -> Sequence[Rotation]:
        """Read the actor's requests that wait for their confirmation, oldest first."""
        ...

    async def groups(self, sight: Visibility, limit: int) -> Sequence[GroupName]:
        """Name groups that have a history and that the sight covers, sorted.

        Where they are too many, those that refused commands alone name are left out first.
        """
        ...
