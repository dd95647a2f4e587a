"""SQL that differs between SQLite and PostgreSQL: times, JSON, the database's clock and hidden parameters."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Dialect, Float, ScalarSelect, Text, TypeDecorator, bindparam, select
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

from bot.trail.chain import detail_text

_TEXT = Text()
EARLIEST, LATEST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
"""No row is older than the first or newer than the second."""


@dataclass(frozen=True, slots=True)
class UnreadableValue:
    """What a column holds that is no value of its type; `bot.store.rows` says which row cannot be read for it."""

    why: str
    """The end of a sentence that begins with the column's name."""
    raw: object = None


class UtcTime(TypeDecorator[datetime]):
    """A UTC time to the microsecond: `timestamptz` in PostgreSQL, RFC 3339 text in SQLite.

    The text has a fixed width, so that it sorts by time.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the column's type."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(TIMESTAMP(timezone=True))
        return dialect.type_descriptor(Text())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Convert a time to what the driver stores."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        value = value.astimezone(UTC)
        if dialect.name == "postgresql":
            return value
        return f"{value.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002
        """Convert what the driver read to UTC, in any session time zone; what is no time becomes `UnreadableValue`."""
        if value is None or isinstance(value, UnreadableValue):
            return value
        try:
            moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
            return moment if moment.tzinfo is UTC else _aware(moment).astimezone(UTC)
        except (OverflowError, TypeError, ValueError):
            return UnreadableValue("is not a time", value)


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment


class CanonicalJson(TypeDecorator[dict[str, Any]]):
    """A JSON object, stored as text with sorted keys, so that equal objects are equal bytes."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Serialise the object."""
        return None if value is None else detail_text(dict(value))

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002
        """Parse the object; what is none becomes `UnreadableValue`."""
        if value is None:
            return None
        try:
            found = json.loads(value)
        except (RecursionError, TypeError, ValueError):
            return UnreadableValue("is not JSON", value)
        return found if isinstance(found, dict) else UnreadableValue("is not a JSON object", value)


class database_now(FunctionElement[datetime]):  # noqa: N801 - reads as the SQL function it is
    """The time by the database's clock at which the statement started."""

    type = UtcTime()
    inherit_cache = True
    name = "database_now"


class database_later(FunctionElement[datetime]):  # noqa: N801 - as above
    """The same, plus the seconds in the parameter with the given name."""

    type = UtcTime()
    inherit_cache = True
    name = "database_later"

    def __init__(self, parameter: str) -> None:
        super().__init__(bindparam(parameter, type_=Float()))


def hidden(name: str, kind: TypeEngine[Any] = _TEXT) -> ScalarSelect[Any]:
    """Return a parameter whose value PostgreSQL's planner does not see.

    For a value that it knows to be common, the planner takes an index without that column and filters. If the value
    is rare together with the other conditions, that reads far too many rows.
    """
    return select(bindparam(name, type_=kind)).scalar_subquery()


@compiles(database_now, "postgresql")
def _now_postgresql(_: database_now, __: SQLCompiler, **___: Any) -> str:
    # Not clock_timestamp(), which changes within a statement and so can use no index.
    return "statement_timestamp()"


@compiles(database_now, "sqlite")
def _now_sqlite(_: database_now, __: SQLCompiler, **___: Any) -> str:
    # SQLite's clock has milliseconds; three zeros keep the text's width.
    return "(strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z')"


@compiles(database_later, "postgresql")
def _later_postgresql(element: database_later, compiler: SQLCompiler, **options: Any) -> str:
    return f"(statement_timestamp() + make_interval(secs => {compiler.process(element.clauses, **options)}))"


@compiles(database_later, "sqlite")
def _later_sqlite(element: database_later, compiler: SQLCompiler, **options: Any) -> str:
    seconds = f"printf('%+.3f seconds', {compiler.process(element.clauses, **options)})"
    return f"(strftime('%Y-%m-%dT%H:%M:%f', 'now', {seconds}) || '000Z')"
