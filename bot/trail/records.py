"""Events of the trail for scripts: a filter for them, and their form in JSON."""

from dataclasses import dataclass
from datetime import datetime

from bot.domain.errors import UsageError
from bot.domain.events import Action, RecordedEvent
from bot.domain.models import GroupName, UserId
from bot.domain.periods import rfc3339


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events to read; `None` means any."""

    group: GroupName | None = None
    user_id: UserId | None = None
    action: Action | None = None
    since: datetime | None = None
    until: datetime | None = None
    """The first instant after the period."""


def action_named(text: str) -> Action:
    """Return the action with this name, given with or without its prefix. Raises `UsageError`."""
    for known in Action:
        if text in {known, known.partition(".")[2]}:
            return known
    raise UsageError("The actions are " + ", ".join(Action) + ".")


def as_json(recorded: RecordedEvent) -> dict[str, object]:
    """Return an event with the names that scripts rely on; times in RFC 3339, UTC, to the microsecond."""
    event = recorded.event
    return {
        "seq": recorded.seq,
        "at": rfc3339(recorded.at),
        "action": str(event.action),
        "actor": {"team_id": event.actor.team_id, "user_id": event.actor.user_id},
        "organization": event.organization,
        "group": event.group,
        "rotation_id": event.rotation_id,
        "detail": dict(event.detail),
        "delivery": event.delivery,
        "prev_hash": recorded.prev_hash,
        "hash": recorded.hash,
    }
