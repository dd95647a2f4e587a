"""The values of history: what people ask for, the pages and stories they get, and the store that finds them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from bot.domain.errors import UnreadableRow
from bot.domain.events import Action, RecordedEvent, TrailHead
from bot.domain.grants import Grant
from bot.domain.models import Actor, GroupName, Rotation, RotationId, UserId
from bot.domain.periods import Period
from bot.domain.policy import Visibility
from bot.domain.readable import Readable
from bot.domain.states import State

PAGE = 10
"""How many requests are on a page, by default."""
_MAX_SEQ = 2**63 - 1


class RequestStatus(StrEnum):
    """The status of a request: the state of its rotation, or how the command was refused; or a note."""

    REQUESTED = "requested"
    ROTATING = "rotating"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    DENIED = "denied"
    """The rules forbade the command; there is no rotation."""
    REJECTED = "rejected"
    """The command named no group that exists; there is no rotation."""
    NOTED = "noted"
    """Somebody noted a rotation made by hand, which has no id."""


RECORDED_ALONE: Mapping[RequestStatus, Action] = {
    RequestStatus.DENIED: Action.DENIED,
    RequestStatus.REJECTED: Action.REJECTED,
    RequestStatus.NOTED: Action.NOTED,
}
"""The action that records what has no rotation, by its status: refused commands, and rotations made by hand."""


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """Which requests somebody wants to see; `None` means any."""

    group: GroupName | None = None
    person: UserId | None = None
    outcome: RequestStatus | None = None
    period: Period | None = None


@dataclass(frozen=True, slots=True)
class EntryKey:
    """The position of a request in history. A page begins next to a key, never at an offset."""

    at: datetime
    id: str
    """The rotation's id; for what has no rotation, such as a refused command, `#` and the event's `seq`."""

    @property
    def rank(self) -> tuple[datetime, str, int]:
        """A sort key, oldest first; of one moment, what has no rotation, by `seq`, comes before rotations by id."""
        return (self.at, "", int(self.id[1:])) if self.id.startswith("#") else (self.at, self.id, _MAX_SEQ)


@dataclass(frozen=True, slots=True)
class Cursor:
    """A query, and the key before or after which the page begins; without a key it is the newest page."""

    query: HistoryQuery = field(default_factory=HistoryQuery)
    before: EntryKey | None = None
    after: EntryKey | None = None


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One request, as history shows it."""

    key: EntryKey
    actor: Actor
    group: GroupName | None
    """`None` if the typed text names no possible group."""
    status: RequestStatus
    reason: str
    explanation: str
    """Why it was refused, or how it ended; may be empty."""
    seconds: float | None = None
    """From the request to its end, if it has ended."""
    rotation_id: RotationId | None = None
    resolved_as: State | None = None
    """How a person judged an unknown."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some requests, newest first, and where the pages next to them begin, if there are any."""

    entries: Sequence[HistoryEntry]
    older: EntryKey | None
    """The next page is `before` this key."""
    newer: EntryKey | None
    """The previous page is `after` this key."""
    narrowed: str | None = None
    """What this reader does not see, in words; `None` if they see everything."""
    unreadable: Sequence[UnreadableRow] = ()
    """Requests that cannot be read."""


@dataclass(frozen=True, slots=True)
class Story:
    """One rotation, and its events in order."""

    rotation: Rotation
    events: Sequence[RecordedEvent]
    unreadable: Sequence[UnreadableRow] = ()
    """Events that cannot be read."""


@dataclass(frozen=True, slots=True)
class Home:
    """What the Home tab shows to one reader."""

    page: Page
    pending: Sequence[Rotation]
    """The reader's own requests that wait for confirmation, oldest first."""
    patterns: Sequence[str]
    """What the reader may rotate, as granted."""
    allowlist: Sequence[Grant] | None
    """The grants in force, for auditors; `None` for everybody else."""
    groups: Sequence[GroupName]
    """The groups with a history that the reader may see, sorted, at most 100."""
    head: TrailHead
    unreadable: Sequence[UnreadableRow] = ()
    """The reader's pending requests that cannot be read, and for auditors the grants."""


class AccessPath(StrEnum):
    """A set of requests that a search reads."""

    OPEN = "open"
    """All that the query asks for."""
    COVERED = "covered"
    """Of these, the groups that the reader may see."""
    OWN = "own"
    """Of these, the reader's own."""


@dataclass(frozen=True, slots=True)
class HistorySearch:
    """A search for one page, as the store gets it."""

    visibility: Visibility
    query: HistoryQuery
    since: datetime | None = None
    until: datetime | None = None
    """The first instant after the period."""
    before: EntryKey | None = None
    after: EntryKey | None = None
    """With this key alone, find what follows it; otherwise the newest there is."""
    limit: int = PAGE

    @property
    def paths(self) -> tuple[AccessPath, ...]:
        """What to read, so that nothing is found that the reader may not see."""
        group, person = self.query.group, self.query.person
        if self.visibility.everything or (group is not None and self.visibility.covers(group)):
            return (AccessPath.OPEN,)
        if person == self.visibility.actor.user_id:
            return (AccessPath.OWN,)
        covered = (AccessPath.COVERED,) if self.visibility.patterns and group is None else ()
        return covered + ((AccessPath.OWN,) if person is None else ())


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search found, newest first."""

    entries: Sequence[HistoryEntry]
    more: bool
    """There is more in the direction of the search."""
    crowded: bool = False
    """There are more groups than were searched: requests of some may be missing."""
    unreadable: Sequence[UnreadableRow] = ()
    """Requests between the entries, or with a time that cannot be read."""
    ends: tuple[EntryKey, EntryKey] | None = None
    """The newest and the oldest key that was found, also if that request cannot be read."""


class HistoryStore(Protocol):
    """The requests of one organization. Methods may raise `DatabaseError`."""

    async def find(self, search: HistorySearch) -> SearchResult:
        """Read one page of requests, ordered by their keys."""

    async def story(self, rotation_id: RotationId) -> Story | None:
        """Read one rotation with its events. Raises `UnreadableRow`."""

    async def pending(self, actor: Actor) -> Readable[Rotation]:
        """Read the actor's requests that wait for confirmation, oldest first."""

    async def groups(self, visibility: Visibility, limit: int) -> Sequence[GroupName]:
        """List groups with a history that the reader may see, sorted.

        If there are too many, groups without a rotation are left out first.
        """
