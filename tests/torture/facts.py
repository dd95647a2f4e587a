"""What happened, as frozen values: seen from outside, and read from the tables with plain SQL."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

NO_TIME = float("inf")


@dataclass(frozen=True)
class Row:
    """A row of the audit trail; `at` and `detail` are the text that was hashed."""

    seq: int
    at: str
    action: str
    team_id: str
    user_id: str
    organization: str
    group: str | None
    rotation_id: str | None
    detail: str
    delivery: str | None
    prev_hash: str
    hash: str
    time: float
    """`at` in unix seconds."""


@dataclass(frozen=True)
class Rotation:
    """A row of the table of rotations."""

    id: str
    group: str
    team_id: str
    user_id: str
    reason: str
    state: str
    expires_at: float
    world: int


@dataclass(frozen=True)
class Grant:
    """A row of the allowlist."""

    id: int
    team_id: str
    user_id: str
    pattern: str
    role: str


@dataclass(frozen=True)
class RunningRotation:
    """What the database held when a call reached Turso: the group's running rotation, and the row of its start."""

    rotation_id: str
    claim: str
    started: Row


@dataclass(frozen=True)
class Call:
    """A request that reached Turso's rotate endpoint."""

    at: float
    ended: float
    group: str
    status: int | None
    """`None`: no whole answer was sent."""
    performed: bool
    """The key was rotated."""
    success: bool
    """The answer was one that says so, and nothing else."""
    readable: bool
    """Whether the database could be read at that moment."""
    running: RunningRotation | None = None


@dataclass(frozen=True)
class UserAction:
    """Something that a person did in Slack, and how it was acknowledged."""

    at: float
    seconds: float
    person: str
    what: str
    """What was typed, or the action id and the value of what was pressed."""
    delivery: str
    """The SHA-256 of the delivery's id."""
    acknowledged: bool
    answer: str
    """The text of the acknowledgement, or why there was none."""
    replica: int | None
    """`None`: Slack chose one."""
    leaves_row: bool
    """Whether the trail must name the delivery; otherwise an answer is enough."""


@dataclass(frozen=True)
class MessageVersion:
    """One version of a message of the bot."""

    message: int
    at: float
    channel: str
    to: str | None
    """The one person who sees it; `None`: the whole channel."""
    text: str
    buttons: tuple[str, ...] = ()
    rotations: tuple[str, ...] = ()
    """The ids that it names as *Rotation …*."""


@dataclass(frozen=True)
class GrantChange:
    """A command that gave or took all of a person's grants."""

    at: float
    ended: float
    person: str
    given: bool
    done: bool
    """The command said that it had worked."""


@dataclass(frozen=True)
class ActiveFault:
    """Something that was made to go wrong."""

    kind: str
    """`replica`, `database`, `turso`, `slack`, `sockets`, `guards`, or `row`."""
    what: str
    """What happened; of a `row`, first the rotation's id."""
    at: float
    ended: float = NO_TIME
    replica: int | None = None
    """`None`: all of them."""

    def spoils(self, what: str) -> bool:
        """Return whether an unreadable row is the rotation that somebody pressed a button of."""
        return self.kind == "row" and self.what.split()[0] in what


@dataclass(frozen=True)
class Change:
    """A row that was not what it had been when it was seen before."""

    table: str
    key: str
    was: str
    now: str


@dataclass(frozen=True)
class Facts:
    """Everything that the checker may know."""

    database: str
    rows: tuple[Row, ...]
    rotations: tuple[Rotation, ...]
    grants: tuple[Grant, ...]
    undelivered: tuple[str, ...]
    """What is left in the outbox: kind and rotation."""
    calls: tuple[Call, ...]
    user_actions: tuple[UserAction, ...]
    messages: tuple[MessageVersion, ...]
    grant_changes: tuple[GrantChange, ...]
    faults: tuple[ActiveFault, ...]
    changes: tuple[Change, ...]
    """What snapshots along the way had seen otherwise."""
    quiet_since: float
    read_at: float
    logs: tuple[str, ...]
    """Lines."""
    unexpected: tuple[str, ...]
    """Ends of processes that nobody caused, and what `audit verify` complained about."""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What must not be seen anywhere, by what it is."""
    key: bytes | None = field(default=None, repr=False)
    """The key of the trail."""
    channel: str = "C0AUDIT"

    @cached_property
    def stories(self) -> Mapping[str, tuple[Row, ...]]:
        """The rows about each rotation, in order."""
        told: dict[str, tuple[Row, ...]] = {}
        for row in self.rows:
            if row.rotation_id is not None:
                told[row.rotation_id] = (*told.get(row.rotation_id, ()), row)
        return told

    @cached_property
    def last_versions(self) -> tuple[MessageVersion, ...]:
        """What people can read in the end."""
        return tuple({version.message: version for version in self.messages}.values())

    def fault_between(self, since: float, until: float, *kinds: str, replica: int | None = None) -> bool:
        """Return whether a fault of these kinds, at this replica or all, overlapped that time."""
        return any(
            fault.kind in kinds
            and fault.at <= until
            and fault.ended >= since
            and (replica is None or fault.replica in {None, replica})
            for fault in self.faults
        )
