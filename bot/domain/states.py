"""The states of a rotation, and the moves between them."""

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """The state of a rotation."""

    REQUESTED = "requested"
    ROTATING = "rotating"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    """Another request took its place: the group was rotated meanwhile, or the requester asked again."""


MOVES: Mapping[State, frozenset[State]] = {
    State.REQUESTED: frozenset({State.ROTATING, State.CANCELLED, State.EXPIRED, State.SUPERSEDED}),
    State.ROTATING: frozenset({State.SUCCEEDED, State.FAILED, State.UNKNOWN}),
    # A late answer: the lease expired before the process could record what Turso had answered.
    State.UNKNOWN: frozenset({State.SUCCEEDED, State.FAILED}),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
    State.EXPIRED: frozenset(),
    State.SUPERSEDED: frozenset(),
}
"""The legal moves. The database decides races between them."""
