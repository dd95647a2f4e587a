"""Refuse a database whose schema is not the one that this version was written for."""

from sqlalchemy import Connection, inspect, text

from bot.errors import SchemaMismatch
from bot.store.database import Database

HEAD = "0002"
"""The newest migration: a constant, so that serving need not import Alembic; a test holds it to the migrations.

Revisions are numbered with four digits, so that their names sort as they follow each other.
"""

_GUARDS = {
    "audit_events_no_update",
    "audit_events_no_delete",
    "allowlist_revoked_once",
    "allowlist_no_delete",
    "rotations_same_request",
    "rotations_no_delete",
}
GUARDS = {
    "postgresql": _GUARDS | {"audit_events_no_truncate", "allowlist_no_truncate", "rotations_no_truncate"},
    "sqlite": _GUARDS
    | {
        "audit_events_in_turn",
        "audit_events_new_delivery",
        "allowlist_new_id",
        "rotations_new_id",
        "rotations_not_opened_busy",
        "rotations_not_moved_busy",
    },
}
"""The triggers without which history could be changed, for each kind of database."""

_TRIGGERS = {
    "postgresql": text(
        # Those that are switched off do not count.
        "SELECT tgname FROM pg_trigger WHERE tgenabled IN ('O', 'A') AND tgrelid IN "
        "(to_regclass('audit_events'), to_regclass('allowlist'), to_regclass('rotations'))"
    ),
    "sqlite": text("SELECT name FROM sqlite_master WHERE type = 'trigger'"),
}
_VERSIONS = text("SELECT version_num FROM alembic_version")

_MISSING = "The database has no tables yet: run `turso-rotate migrate`."
_OLDER = "The database was made by an older version of turso-rotate: run `turso-rotate migrate`."
NEWER = "This database was migrated by a newer version of turso-rotate; upgrade the bot."


async def check(database: Database) -> None:
    """Refuse to go on unless the schema is current and its history guarded.

    Raises `SchemaMismatch`, which names what to do, or another `DatabaseError`.
    """
    await database.read(_check)


def refuse_other_versions(connection: Connection) -> None:
    """Refuse to go on unless the schema is current. Raises `SchemaMismatch`."""
    found = _found(connection)
    if not found:
        raise SchemaMismatch(_MISSING)
    if found != {HEAD}:
        raise SchemaMismatch(NEWER if max(found) > HEAD else _OLDER)


def unguarded(connection: Connection) -> set[str]:
    """Name the guards of history that are missing or switched off."""
    dialect = connection.dialect.name
    return GUARDS[dialect] - set(connection.execute(_TRIGGERS[dialect]).scalars())


def _check(connection: Connection) -> None:
    refuse_other_versions(connection)
    gone = unguarded(connection)
    if gone:
        raise SchemaMismatch(
            f"The database no longer protects its history: {', '.join(sorted(gone))} is missing or disabled. "
            "Find out who removed it, and put it back from the migrations."
        )


def _found(connection: Connection) -> set[str]:
    if not inspect(connection).has_table("alembic_version"):
        return set()
    return set(connection.execute(_VERSIONS).scalars())
