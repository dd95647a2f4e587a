"""Synthetic rotations with their audit events, inserted without the bot."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection

from bot.domain.periods import rfc3339
from bot.trail.chain import Row
from tests.synthetic.events import START, insert_events, insert_rows, sealed

_COLUMNS = (
    "id", "organization", "group", "team_id", "user_id", "channel_id", "reason", "state", "requested_at", "expires_at",
    "ended_at", "detail",
)  # fmt: skip
_SECONDS = 2
"""How long a rotation lasts, and how long its request may wait."""
OLD = 5
"""The number of first requests whose group, user, state and action never occur again."""


@dataclass(frozen=True)
class Dataset:
    """A number of rotations and as many events, one of each a second; every other event is a refusal.

    Nine requests in ten are about `payments`, every other one is `U0`'s, and nearly all have the same state.
    """

    size: int
    uniform: bool = False
    """Every request is `U0`'s, about `payments`, and succeeded or was denied."""
    analyzed: bool = False
    """Run `ANALYZE` on SQLite too, where nothing runs it by itself."""

    def group(self, number: int) -> str:
        """Return the group of a request."""
        if self.uniform or number % 10:
            return "retired" if number <= OLD and not self.uniform else "payments"
        return f"group{number // 10 % 20}"

    def user(self, number: int) -> str:
        """Return the requester; those with an odd number request no group other than `payments`."""
        if self.uniform or number % 2 == 0:
            return "U0"
        return "URETIRED" if number <= OLD else f"U{number % 50}"

    def state(self, number: int) -> str:
        """Return the state of a request; none was cancelled, and none expired."""
        if self.uniform or number % 100:
            return "unknown" if number <= OLD and not self.uniform else "succeeded"
        return "failed"

    def action(self, number: int) -> str:
        """Return the action of an event; those with an odd number belong to rotations."""
        if number % 2:
            return "rotation.started"
        return "rotation.rejected" if number <= OLD and not self.uniform else "rotation.denied"


def insert_requests(connection: Connection, dataset: Dataset) -> None:
    """Insert the rotations and events of a dataset."""
    numbers = range(1, dataset.size + 1)
    rotations = (_rotation(dataset, number, dataset.state(number)) for number in numbers)
    insert_rows(connection, "rotations", _COLUMNS, rotations)
    insert_events(connection, sealed(_event(dataset, number) for number in numbers))
    if dataset.analyzed or connection.dialect.name == "postgresql":
        connection.exec_driver_sql("ANALYZE")


def insert_cancelled(connection: Connection, events: int) -> None:
    """Insert an even number of events with the rotations they belong to: each was requested and cancelled."""
    dataset = Dataset(events // 2)
    numbers = range(1, dataset.size + 1)
    rotations = (_rotation(dataset, number, "cancelled") for number in numbers)
    insert_rows(connection, "rotations", _COLUMNS, rotations)
    pairs = (_change(dataset, number, action) for number in numbers for action in ("requested", "cancelled"))
    insert_events(connection, sealed(pairs))
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("ANALYZE")


def _rotation(dataset: Dataset, number: int, state: str) -> tuple[str, ...]:
    group, user = dataset.group(number), dataset.user(number)
    at, ended = (rfc3339(START + timedelta(seconds=number + later)) for later in (0, _SECONDS))
    return (f"r{number:08}", "acme", group, "T0", user, "C0", "a reason", state, at, ended, ended, "{}")


def _event(dataset: Dataset, number: int) -> Row:
    return Row(
        seq=number,
        at=rfc3339(START + timedelta(seconds=number)),
        action=dataset.action(number),
        team_id="T0",
        user_id=dataset.user(number),
        organization="acme",
        group=None if number % 50 == 0 else dataset.group(number),
        rotation_id=f"r{number:08}" if number % 2 else None,
        detail='{"why":"You are not on the allowlist."}',
        delivery=None,
        prev_hash="",
    )


def _change(dataset: Dataset, number: int, action: str) -> Row:
    requested = action == "requested"
    return _event(dataset, number)._replace(
        seq=2 * number - requested,
        at=rfc3339(START + timedelta(seconds=number if requested else number + _SECONDS)),
        action=f"rotation.{action}",
        group=dataset.group(number),
        rotation_id=f"r{number:08}",
        detail=f'{{"channel":"C0","expires_in":{_SECONDS},"reason":"a reason"}}' if requested else "{}",
    )
