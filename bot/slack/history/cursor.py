"""A place in history as the text that Slack keeps for the bot: compact JSON, believed in nothing when it comes back."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from bot.domain.errors import UsageError
from bot.domain.history import Key, RequestStatus
from bot.domain.models import GroupName, UserId
from bot.domain.names import GROUP_NAME
from bot.slack.blocks import VALUE_LIMIT
from bot.slack.history.command import PERSON, Wanted, is_period

T = TypeVar("T")

_KEY_ID = re.compile(r"#[0-9]{1,18}|[0-9A-Za-z_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Cursor:
    """What is wanted, and the key before or after which the page begins; with neither it is the newest page."""

    wanted: Wanted = field(default_factory=Wanted)
    before: Key | None = None
    after: Key | None = None


def write(bookmark: Cursor) -> str:
    """Write a bookmark."""
    return json.dumps(_parts(bookmark), separators=(",", ":"))


def read(text: str) -> Cursor:
    """Read a bookmark back; it proves nothing, so whoever presses is authorised as for a command.

    Raises `UsageError` for anything that this version would not have written.
    """
    try:
        return _bookmark(json.loads(text[:VALUE_LIMIT]))
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        raise UsageError("This version of the bot does not know that place in the history.") from None


def change(wanted: Wanted, field: str, value: str | None) -> Wanted:
    """Replace one part of what is wanted by what somebody chose. Raises `UsageError` as `read` does."""
    return read(json.dumps({**_parts(Cursor(wanted)), field: value})).wanted


def _parts(bookmark: Cursor) -> dict[str, object]:
    wanted = bookmark.wanted
    parts: dict[str, object] = {
        "group": wanted.group,
        "person": wanted.person,
        "outcome": wanted.outcome,
        "period": wanted.period,
        "before": _written(bookmark.before),
        "after": _written(bookmark.after),
    }
    return {name: part for name, part in parts.items() if part is not None}


def _written(key: Key | None) -> list[str] | None:
    return None if key is None else [key.at.isoformat(), key.id]


def _bookmark(parts: dict[str, Any]) -> Cursor:
    outcome = parts.get("outcome")
    wanted = Wanted(
        group=_as(GroupName, GROUP_NAME.fullmatch, parts.get("group")),
        person=_as(UserId, PERSON.fullmatch, parts.get("person")),
        outcome=None if outcome is None else RequestStatus(outcome),
        period=_as(str, is_period, parts.get("period")),
    )
    return Cursor(wanted, _key(parts.get("before")), _key(parts.get("after")))


def _as(make: Callable[[str], T], fits: Callable[[str], object], part: str | None) -> T | None:
    if part is None:
        return None
    if not fits(part):
        raise ValueError
    return make(part)


def _key(part: list[str] | None) -> Key | None:
    if part is None:
        return None
    at, key_id = part
    if not _KEY_ID.fullmatch(key_id):
        raise ValueError
    return Key(datetime.fromisoformat(at).astimezone(UTC), key_id)
