"""Refuse a database whose schema is not the one that this version was written for."""

from collections.abc import Mapping
from hashlib import sha256

from sqlalchemy import Connection, inspect, text

from bot.domain.errors import SchemaMismatch
from bot.store.database import Database

HEAD = "0002"
"""The newest migration: a constant, so that serving need not import Alembic; a test holds it to the migrations.

Revisions are numbered with four digits, so that their names sort as they follow each other.
"""

GUARDS: Mapping[str, Mapping[str, str]] = {
    "postgresql": {
        "allowlist_no_delete": "7b778e9a0a8aaaf8",
        "allowlist_no_truncate": "58fe466404f2a384",
        "allowlist_revoked_once": "ebcecb9a3dd2d9b5",
        "audit_events_no_delete": "88a0632e7e6be7d5",
        "audit_events_no_truncate": "ada382ffd21d56b7",
        "audit_events_no_update": "e893396236e2c141",
        "rotations_no_delete": "a5c0b66598cef414",
        "rotations_no_truncate": "9a0e22556ab85265",
        "rotations_same_request": "5cb360dacdf653e8",
    },
    "sqlite": {
        "allowlist_new_id": "2dd71196f02d308a",
        "allowlist_no_delete": "8c9718e5d286d9f2",
        "allowlist_revoked_once": "4af38f9d36332a28",
        "audit_events_in_turn": "3a0d1c77a67df0a1",
        "audit_events_new_delivery": "88a68bd37a4a419f",
        "audit_events_no_delete": "3b7588920ebbb9ec",
        "audit_events_no_update": "1b6ab0f5a89c74e5",
        "rotations_new_id": "696236dd3e0c06a6",
        "rotations_no_delete": "b4b34ce1fc5b17ad",
        "rotations_not_moved_busy": "f0896e759dc17fa3",
        "rotations_not_opened_busy": "a4129554f0656d76",
        "rotations_same_request": "534917b293fce21b",
    },
}
"""The triggers without which history could be changed, for each kind of database, and what they must be.

A trigger of the right name may do nothing; so each has the beginning of a SHA-256 over its definition. A test holds
them to the migrations, and says what they should be.
"""

_TRIGGERS = {
    # The conditions are left out, as each version of PostgreSQL may put them into words of its own.
    "postgresql": text(
        "SELECT tgname, relname, tgtype, tgenabled, tgqual IS NULL, tgargs, proname, prosrc FROM pg_trigger "
        "JOIN pg_class ON pg_class.oid = tgrelid JOIN pg_proc ON pg_proc.oid = tgfoid WHERE NOT tgisinternal AND "
        "tgrelid IN (to_regclass('audit_events'), to_regclass('allowlist'), to_regclass('rotations'))"
    ),
    "sqlite": text("SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'"),
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
    """Name the guards of history that are missing, switched off, or not what they were made as."""
    wanted, found = GUARDS[connection.dialect.name], guards(connection)
    return {name for name, definition in wanted.items() if found.get(name) != definition}


def guards(connection: Connection) -> dict[str, str]:
    """Find the triggers on history, each with the beginning of a SHA-256 over its definition."""
    rows = connection.execute(_TRIGGERS[connection.dialect.name])
    return {name: sha256(repr(definition).encode()).hexdigest()[:16] for name, *definition in rows}


def _check(connection: Connection) -> None:
    refuse_other_versions(connection)
    gone = unguarded(connection)
    if gone:
        raise SchemaMismatch(
            f"The database no longer protects its history: {', '.join(sorted(gone))} is missing, disabled or changed. "
            "Find out who removed it, and put it back from the migrations."
        )


def _found(connection: Connection) -> set[str]:
    if not inspect(connection).has_table("alembic_version"):
        return set()
    return set(connection.execute(_VERSIONS).scalars())
