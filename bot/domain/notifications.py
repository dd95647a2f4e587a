"""Notifications that people must still get, and how much else is pending."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.domain.models import Organization, RotationId


class NotificationKind(StrEnum):
    """Who must be told."""

    CARD = "card"
    """The requester: how the request ended."""
    ANNOUNCEMENT = "announcement"
    """The channel: the outcome of a rotation."""
    ALARM = "alarm"
    """The channel: the database no longer protects its history."""


@dataclass(frozen=True, slots=True)
class Notification:
    """A notification in the outbox."""

    id: int
    organization: Organization
    rotation_id: RotationId | None
    kind: NotificationKind
    created_at: datetime
    attempts: int
    overdue: bool
    """It is a day old by the database's clock: the next failure is the last."""
    subject: str | None = None
    """What it is about, if that is no rotation."""


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
