"""The use cases around history: what to read, and how one event reads for scripts."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bot.domain.errors import UsageError
from bot.domain.models import Action, GroupName, RecordedEvent, UserId

_AGO = re.compile(r"(\d{1,5})([mhdw])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events to read; `None` leaves a field free."""

    group: GroupName | None = None
    user_id: UserId | None = None
    action: Action | None = None
    since: datetime | None = None
    until: datetime | None = None
    """The first instant that is no longer read."""


def moment(text: str, now: datetime) -> datetime:
    """Read `7d`, `2026-10-01` (midnight UTC) or an RFC 3339 time. Raises `UsageError`."""
    if ago := _AGO.fullmatch(text):
        return now - int(ago[1]) * _UNITS[ago[2]]
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError("A time is written like 7d, 2026-10-01 or 2026-10-01T08:00:00Z.") from None
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


def action(text: str) -> Action:
    """Read the name of an action, with or without its prefix. Raises `UsageError`."""
    for known in Action:
        if text in {known, known.partition(".")[2]}:
            return known
    raise UsageError("The actions are " + ", ".join(Action) + ".")


def as_json(recorded: RecordedEvent) -> dict[str, object]:
    """Show an event with the field names of the contract; times as RFC 3339 in UTC, to the microsecond."""
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


def rfc3339(at: datetime) -> str:
    """Write a moment in UTC, to the microsecond."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
