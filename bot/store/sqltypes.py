"""Times and JSON in the same form on SQLite and PostgreSQL, and the database's own clock."""

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Dialect, Text, TypeDecorator
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

_TEXT_FORM = "%Y-%m-%dT%H:%M:%S.%fZ"


class UtcTime(TypeDecorator[datetime]):
    """A moment in UTC to the microsecond: `timestamptz` in PostgreSQL, RFC 3339 text of fixed width in SQLite.

    The fixed width makes the text sort as the moments do.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(TIMESTAMP(timezone=True))
        return dialect.type_descriptor(Text())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a zone cannot be stored")
        value = value.astimezone(UTC)
        return value if dialect.name == "postgresql" else value.strftime(_TEXT_FORM)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if isinstance(value, datetime):
            return value.astimezone(UTC)
        return datetime.strptime(value, _TEXT_FORM).replace(tzinfo=UTC)


class Json(TypeDecorator[dict[str, Any]]):
    """A JSON object, stored as text with sorted keys, so that the same facts are the same bytes."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:
        return json.dumps(dict(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    def process_result_value(self, value: Any, dialect: Dialect) -> dict[str, Any]:
        return dict(json.loads(value))


class database_now(FunctionElement[datetime]):  # noqa: N801 - reads as the SQL function it is
    """The moment by the database's clock at which the statement runs."""

    type = UtcTime()
    inherit_cache = True
    name = "database_now"


@compiles(database_now, "postgresql")
def _postgresql(element: database_now, compiler: SQLCompiler, **_: Any) -> str:
    return "clock_timestamp()"


@compiles(database_now, "sqlite")
def _sqlite(element: database_now, compiler: SQLCompiler, **_: Any) -> str:
    # SQLite's clock has milliseconds; three zeros keep the text's width.
    return "(strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z')"
