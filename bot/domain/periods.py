"""Moments and periods as people write them. Days are days in UTC."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from bot.domain.errors import UsageError

_AGO = re.compile(r"([0-9]{1,5})([mhdw])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_DAYS = re.compile(rf"(?:{_DAY})?\.\.(?:{_DAY})?|{_DAY}")
_NAMED_DAYS = frozenset({"today", "yesterday"})
_IMPOSSIBLE = "There is no such period: a day does not exist, or the last day is before the first."


@dataclass(frozen=True, slots=True)
class Period:
    """A period as it was written: `7d`, `yesterday`, `2026-10-01`, or `2026-10-01..2026-10-31` or one end of it."""

    text: str

    @staticmethod
    def looks_like(text: str) -> bool:
        """Return whether the text is written like a period, whether or not it makes sense."""
        return text != ".." and bool(_AGO.fullmatch(text) or _DAYS.fullmatch(text) or text in _NAMED_DAYS)

    @classmethod
    def parse(cls, text: str) -> "Period":
        """Read a period. Raises `UsageError`, also for days that make no sense."""
        if not cls.looks_like(text):
            raise UsageError("A period is written like 7d, 2026-10-01 or 2026-10-01..2026-10-31.")
        period = cls(text)
        period.between(datetime.max.replace(tzinfo=UTC))
        return period

    def between(self, now: datetime) -> tuple[datetime | None, datetime | None]:
        """Return the first instant of the period and the first one after it. Raises `UsageError`."""
        if ago := _AGO.fullmatch(self.text):
            return _ago(ago, now), None
        if self.text in _NAMED_DAYS:
            midnight = datetime.combine(now.date(), time(), UTC)
            return (midnight, None) if self.text == "today" else (midnight - timedelta(days=1), midnight)
        first, dots, last = self.text.partition("..")
        try:
            since = _midnight(first)
            until = _midnight(last if dots else first, days=1)
        except (ValueError, OverflowError):
            raise UsageError(_IMPOSSIBLE) from None
        if since is not None and until is not None and until <= since:
            raise UsageError(_IMPOSSIBLE)
        return since, until


def moment(text: str, now: datetime) -> datetime:
    """Read `7d` (ago), `2026-10-01` (midnight UTC) or an RFC 3339 time. Raises `UsageError`."""
    if ago := _AGO.fullmatch(text):
        return _ago(ago, now)
    try:
        read = datetime.fromisoformat(text)
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError("A time is written like 7d, 2026-10-01 or 2026-10-01T08:00:00Z.") from None


def rfc3339(at: datetime) -> str:
    """Format a moment in UTC, to the microsecond."""
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def _ago(ago: re.Match[str], now: datetime) -> datetime:
    try:
        return now - int(ago[1]) * _UNITS[ago[2]]
    except OverflowError:
        raise UsageError(_IMPOSSIBLE) from None


def _midnight(day: str, *, days: int = 0) -> datetime | None:
    return datetime.combine(date.fromisoformat(day) + timedelta(days=days), time(), UTC) if day else None
