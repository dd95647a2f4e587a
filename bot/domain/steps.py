"""What the use cases around a rotation are told once, and what they hand out between two steps."""

from dataclasses import dataclass

from bot.domain.models import GroupInfo, Organization, Rotation, TeamId


@dataclass(frozen=True, slots=True)
class RotationConfig:
    """What the use cases are told once: whom they serve, and for how long (seconds) things hold."""

    team_id: TeamId
    organization: Organization
    confirm_seconds: int
    call_seconds: float
    database_host: str | None
    """The host of the bot's own database, or `None` for a file."""


@dataclass(frozen=True, slots=True)
class ConfirmationPrompt:
    """What a person is asked to confirm, with what is known about it."""

    rotation: Rotation
    look: GroupInfo
    last: Rotation | None


@dataclass(frozen=True, slots=True)
class Claimed:
    """A rotation that this process alone may carry out, once."""

    rotation: Rotation
    claim: str
