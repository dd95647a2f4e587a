"""A position in history as text that Slack keeps for the bot: compact JSON, untrusted when it comes back."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from bot.domain.errors import OutdatedButton, UsageError
from bot.domain.history import Cursor, EntryKey, HistoryQuery, RequestStatus
from bot.domain.models import GroupName, UserId
from bot.domain.names import GROUP_NAME, USER_ID
from bot.domain.periods import Period
from bot.slack.blocks import VALUE_LIMIT

T = TypeVar("T")

_KEY_ID = re.compile(r"#[0-9]{1,18}|[0-9A-Za-z_-]{1,64}")


def write(cursor: Cursor) -> str:
    """Write a cursor."""
    return json.dumps(_parts(cursor), separators=(",", ":"))


def read(text: str) -> Cursor:
    """Read a cursor back. It grants nothing: the sender is authorized as for a command.

    Raises `OutdatedButton` for anything that this version would not have written.
    """
    try:
        return _cursor(json.loads(text[:VALUE_LIMIT]))
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError, UsageError):
        raise OutdatedButton from None


def change(query: HistoryQuery, field: str, value: str | None) -> HistoryQuery:
    """Replace one part of a query with a choice. Raises `OutdatedButton` as `read` does."""
    return read(json.dumps({**_parts(Cursor(query)), field: value})).query


def _parts(cursor: Cursor) -> dict[str, object]:
    query = cursor.query
    parts: dict[str, object] = {
        "group": query.group,
        "person": query.person,
        "outcome": query.outcome,
        "period": query.period and query.period.text,
        "before": _written(cursor.before),
        "after": _written(cursor.after),
    }
    return {name: part for name, part in parts.items() if part is not None}


def _written(key: EntryKey | None) -> list[str] | None:
    return None if key is None else [key.at.isoformat(), key.id]


def _cursor(parts: dict[str, Any]) -> Cursor:
    outcome, period = parts.get("outcome"), parts.get("period")
    query = HistoryQuery(
        group=_as(GroupName, GROUP_NAME.fullmatch, parts.get("group")),
        person=_as(UserId, USER_ID.fullmatch, parts.get("person")),
        outcome=None if outcome is None else RequestStatus(outcome),
        period=None if period is None else Period.parse(period),
    )
    return Cursor(query, _key(parts.get("before")), _key(parts.get("after")))


def _as(make: Callable[[str], T], fits: Callable[[str], object], part: str | None) -> T | None:
    if part is None:
        return None
    if not fits(part):
        raise ValueError
    return make(part)


def _key(part: list[str] | None) -> EntryKey | None:
    if part is None:
        return None
    at, key_id = part
    if not _KEY_ID.fullmatch(key_id):
        raise ValueError
    return EntryKey(datetime.fromisoformat(at).astimezone(UTC), key_id)
