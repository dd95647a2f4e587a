"""Read values from rows, and tell which rows hold what the bot never writes."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from sqlalchemy import Column, Integer, Row, Table, Text

from bot.domain.errors import UnreadableRow
from bot.domain.models import Actor, ChannelId, Databases, GroupName, Organization, Rotation, RotationId, TeamId, UserId
from bot.domain.readable import Readable
from bot.domain.states import State
from bot.store.sqltypes import UnreadableValue
from bot.store.tables import allowlist, audit_events, outbox, rotations

T = TypeVar("T")

_KINDS = {rotations: "Rotation", allowlist: "Grant", audit_events: "Row", outbox: "Notification"}
_NOT_READ = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What a conversion raises if a value is not of its type."""


def read(row: Row[Any], table: Table, of: Callable[[Row[Any]], T]) -> T:
    """Read a value from a row of a table. Raises `UnreadableRow`."""
    (key,) = table.primary_key
    found = row._mapping  # noqa: SLF001 - public, in spite of its name
    return read_values(
        table, found[key.name], ((column, found[column.name]) for column in table.columns), lambda: of(row)
    )


def read_values(table: Table, number: object, values: Iterable[tuple[Column[Any], object]], of: Callable[[], T]) -> T:
    """Read a value from some columns of a row of a table. Raises `UnreadableRow`."""
    for column, value in values:
        if why := fault(column, value):
            raise UnreadableRow(_KINDS[table], number, f"its {column.name} {why}")
    return attempt(_KINDS[table], number, of)


def attempt(kind: str, number: object, convert: Callable[[], T]) -> T:
    """Convert what a row holds. Raises `UnreadableRow`."""
    try:
        return convert()
    except _NOT_READ as error:
        raise UnreadableRow(kind, number, "it holds what the bot never writes") from error


def readable(rows: Iterable[Row[Any]], convert: Callable[[Row[Any]], T]) -> Readable[T]:
    """Convert rows with a function that raises `UnreadableRow` for some of them."""
    values: list[T] = []
    unreadable: list[UnreadableRow] = []
    for row in rows:
        try:
            values.append(convert(row))
        except UnreadableRow as error:
            unreadable.append(error)
    return Readable(values, unreadable)


def fault(column: Column[Any], value: object) -> str | None:
    """Return why a column's value cannot be read, as the end of a sentence."""
    if isinstance(value, UnreadableValue):
        return value.why
    if value is None:
        return None if column.nullable else "is missing"
    if isinstance(column.type, Text):
        return fault_of_text(value)
    return "is not a number" if isinstance(column.type, Integer) and not isinstance(value, int) else None


def fault_of_text(value: object) -> str | None:
    """Return why a value is no text, as the end of a sentence."""
    if not isinstance(value, str):
        return "is not text"
    return None if value.isascii() or _is_utf8(value) else "is not UTF-8"


def rotation_of(row: Row[Any]) -> Rotation:
    """Read a rotation from its row. Raises `UnreadableRow`."""
    return read(row, rotations, _rotation)


def _rotation(row: Row[Any]) -> Rotation:
    return Rotation(
        id=RotationId(row.id),
        organization=Organization(row.organization),
        group=GroupName(row.group),
        requester=Actor(TeamId(row.team_id), UserId(row.user_id)),
        channel_id=ChannelId(row.channel_id),
        reason=row.reason,
        state=State(row.state),
        requested_at=row.requested_at,
        expires_at=row.expires_at,
        started_at=row.started_at,
        lease_until=row.lease_until,
        ended_at=row.ended_at,
        detail=row.detail,
        resolved_as=None if row.resolved_as is None else State(row.resolved_as),
        databases=None if row.databases is None else _databases(**row.databases),
    )


def _databases(count: object, names: list[object]) -> Databases:
    if not isinstance(count, int) or any(fault_of_text(name) for name in names):
        raise TypeError("a list of databases that the bot never writes")
    return Databases(count, tuple(map(str, names)))


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
