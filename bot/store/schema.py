"""Refuse a database whose schema is not the one that this version needs."""

from sqlalchemy import Connection, inspect, text

from bot.domain.errors import SchemaMismatch
from bot.store.database import Database
from bot.store.guards import require_guards

HEAD = "0001_b22d800a"
"""The newest migration. A constant, so that `serve` need not import Alembic; a test compares it with the migrations.

Revisions begin with a number of four digits, which says their order.
"""

_NUMBER_DIGITS = 4
_SELECT_REVISIONS = text("SELECT version_num FROM alembic_version")

_MISSING = "The database {} has no tables yet: run `turso-rotate migrate`."
_WHERE = text("SELECT current_database() AS name, current_setting('search_path') AS path")
_OLDER = "The database was made by an older version of turso-rotate: run `turso-rotate migrate`."
_NEWER = "The database was made by a newer version of turso-rotate: upgrade the bot."
_UNRELEASED = (
    "The database was made by an unreleased version of turso-rotate, from which there is no upgrade: "
    "move it away, or set another DATABASE_URL, and run `turso-rotate migrate`."
)
_UNRELEASED_REVISIONS = frozenset({"0001", "0002"})
"""Revisions before the first release, when they had no digits of a hash."""


async def check_schema(database: Database) -> None:
    """Check that the schema is current and that its guards protect history.

    Raises `SchemaMismatch`, which says what to do, or another `DatabaseError`.
    """
    await database.read(_check)


def refuse_other_versions(connection: Connection) -> None:
    """Check that the schema is current. Raises `SchemaMismatch`."""
    found = _revisions(connection)
    if not found:
        raise SchemaMismatch(_MISSING.format(_named(connection)))
    if found != {HEAD}:
        raise SchemaMismatch(mismatch(max(found)))


def mismatch(revision: str) -> str:
    """Explain in words how another revision differs from this version's."""
    found, needed = revision[:_NUMBER_DIGITS], HEAD[:_NUMBER_DIGITS]
    if found == needed or revision in _UNRELEASED_REVISIONS:
        return _UNRELEASED
    return _NEWER if found > needed else _OLDER


def _check(connection: Connection) -> None:
    refuse_other_versions(connection)
    require_guards(connection)


def _named(connection: Connection) -> str:
    """Name the database, and where its tables are looked for: it may be another than was meant."""
    if connection.dialect.name == "sqlite":
        return str(connection.engine.url.database)
    found = connection.execute(_WHERE).one()
    return f"{found.name} (search_path {found.path})"


def _revisions(connection: Connection) -> set[str]:
    if not inspect(connection).has_table("alembic_version"):
        return set()
    return set(connection.execute(_SELECT_REVISIONS).scalars())
