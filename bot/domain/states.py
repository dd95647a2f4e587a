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


MOVES: Mapping[State, frozenset[State]] = {
    State.REQUESTED: frozenset({State.ROTATING, State.CANCELLED, State.EXPIRED}),
    State.ROTATING: frozenset({State.SUCCEEDED, State.FAILED, State.UNKNOWN}),
    # A late answer: the lease expired before the process could record what Turso had answered.
    State.UNKNOWN: frozenset({State.SUCCEEDED, State.FAILED}),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
    State.EXPIRED: frozenset(),
}
"""The legal moves. The database decides races between them."""
