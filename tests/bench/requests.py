"""Fill the history with requests, past the bot and fast: rotations, and commands that were refused."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection

from bot.domain.periods import rfc3339
from bot.trail.chain import Row
from tests.bench.fill import START, fill, insert, sealed

_COLUMNS = (
    "id", "organization", "group", "team_id", "user_id", "channel_id", "reason", "state", "requested_at", "expires_at",
    "ended_at", "detail",
)  # fmt: skip
OLD = 5
"""So many of the first requests are of a kind that there never was again."""


@dataclass(frozen=True)
class Past:
    """A history of so many rotations and so many events, one of each a second; every other event is a refusal.

    Nine requests in ten are about `payments`, every other one is `U0`'s, and nearly all came to the same end.
    """

    many: int
    alike: bool = False
    """All are about `payments`, of `U0` and successful, or denied."""
    analyzed: bool = False
    """The planner knows it on SQLite too, which looks at it only when told to."""

    def group(self, number: int) -> str:
        """Name the group of a request."""
        if self.alike or number % 10:
            return "retired" if number <= OLD and not self.alike else "payments"
        return f"group{number // 10 % 20}"

    def user(self, number: int) -> str:
        """Name who asked; those with an odd number never ask about any other group than `payments`."""
        if self.alike or number % 2 == 0:
            return "U0"
        return "URETIRED" if number <= OLD else f"U{number % 50}"

    def state(self, number: int) -> str:
        """Say what came of a request; none was cancelled, and none expired."""
        if self.alike or number % 100:
            return "unknown" if number <= OLD and not self.alike else "succeeded"
        return "failed"

    def action(self, number: int) -> str:
        """Say what an event is; those with an odd number are about rotations."""
        if number % 2:
            return "rotation.started"
        return "rotation.rejected" if number <= OLD and not self.alike else "rotation.denied"


def requests(connection: Connection, past: Past) -> None:
    """Insert a history."""
    numbers = range(1, past.many + 1)
    insert(connection, "rotations", _COLUMNS, (_rotation(past, number, past.state(number)) for number in numbers))
    fill(connection, sealed(_event(past, number) for number in numbers))
    if past.analyzed or connection.dialect.name == "postgresql":
        connection.exec_driver_sql("ANALYZE")


def stories(connection: Connection, events: int) -> None:
    """Insert a trail of so many events, an even number, and what stands beside it: rotations that were cancelled."""
    past = Past(events // 2)
    numbers = range(1, past.many + 1)
    insert(connection, "rotations", _COLUMNS, (_rotation(past, number, "cancelled") for number in numbers))
    told = (_told(past, number, action) for number in numbers for action in ("requested", "cancelled"))
    fill(connection, sealed(told))
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("ANALYZE")


def _rotation(past: Past, number: int, state: str) -> tuple[str, ...]:
    group, user = past.group(number), past.user(number)
    at, ended = (rfc3339(START + timedelta(seconds=number + later)) for later in (0, 2))
    return (f"r{number:08}", "acme", group, "T0", user, "C0", "a reason", state, at, ended, ended, "{}")


def _event(past: Past, number: int) -> Row:
    return Row(
        seq=number,
        at=rfc3339(START + timedelta(seconds=number)),
        action=past.action(number),
        team_id="T0",
        user_id=past.user(number),
        organization="acme",
        group=None if number % 50 == 0 else past.group(number),
        rotation_id=f"r{number:08}" if number % 2 else None,
        detail='{"why":"You are not on the allowlist."}',
        delivery=None,
        prev_hash="",
    )


def _told(past: Past, number: int, action: str) -> Row:
    seq = 2 * number - (action == "requested")
    of_it = {"action": f"rotation.{action}", "group": past.group(number), "rotation_id": f"r{number:08}"}
    return _event(past, number)._replace(seq=seq, detail="{}", **of_it)
