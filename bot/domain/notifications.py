"""Notifications: what people must still be told about a rotation."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.domain.models import RotationId


class NotificationKind(StrEnum):
    """Who must be told."""

    CARD = "card"
    """The requester: how the request ended."""
    ANNOUNCEMENT = "announcement"
    """The channel: the outcome of a rotation."""


@dataclass(frozen=True, slots=True)
class Notification:
    """A notification in the outbox."""

    id: int
    rotation_id: RotationId
    kind: NotificationKind
    created_at: datetime
    attempts: int
    overdue: bool
    """It is a day old by the database's clock: the next failure is the last."""
