"""Counts of what is pending, for operators."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much is pending. Each number is counted up to a limit of the store's."""

    requested: int
    """Requests waiting for confirmation."""
    rotating: int
    unresolved: int
    """Unknown outcomes that nobody has judged yet."""
    notifications: int
    oldest_seconds: float
    """The age of the oldest notification; 0 if there are none."""
