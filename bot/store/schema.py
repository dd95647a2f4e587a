"""Refuse a database whose schema is not the one that this version needs."""

from collections.abc import Mapping
from hashlib import sha256

from sqlalchemy import Connection, inspect, text

from bot.domain.errors import SchemaMismatch
from bot.store.database import Database

HEAD = "0001_9ce4ad72"
"""The newest migration. A constant, so that `serve` need not import Alembic; a test compares it with the migrations.

Revisions begin with a number of four digits, which says their order.
"""

TRIGGER_DIGESTS: Mapping[str, Mapping[str, str]] = {
    "postgresql": {
        "allowlist_no_delete": "d6cd981d0db56a58",
        "allowlist_no_truncate": "bdfeb64f2c69c5f6",
        "allowlist_revoked_once": "cd8f76b478b54ecd",
        "audit_events_no_delete": "88a0632e7e6be7d5",
        "audit_events_no_truncate": "ada382ffd21d56b7",
        "audit_events_no_update": "e893396236e2c141",
        "rotations_no_delete": "627d2471fdde89a7",
        "rotations_no_truncate": "a7f2901100d27f46",
        "rotations_same_request": "c7db2e1b87544ad6",
    },
    "sqlite": {
        "allowlist_new_id": "9c77cf7eb3af3571",
        "allowlist_no_delete": "29924c5fe8155338",
        "allowlist_revoked_once": "c78aba10d3d0cb0d",
        "audit_events_in_turn": "3a0d1c77a67df0a1",
        "audit_events_new_delivery": "88a68bd37a4a419f",
        "audit_events_no_delete": "3b7588920ebbb9ec",
        "audit_events_no_update": "1b6ab0f5a89c74e5",
        "rotations_new_id": "5d0d3bf04dacdd19",
        "rotations_no_delete": "ebec2531681e819c",
        "rotations_not_moved_busy": "f94df56067b02e9f",
        "rotations_not_opened_busy": "f481fc9fbe1f0d70",
        "rotations_same_request": "4e75878f19ee9a29",
    },
}
"""The triggers that keep history from being changed, for each kind of database.

A trigger with the right name may do nothing, so each has the start of a SHA-256 of its definition. A test compares
them with the migrations and prints the right ones.
"""

_SELECT_TRIGGERS = {
    # Without the conditions: each version of PostgreSQL may write them differently.
    "postgresql": text(
        "SELECT tgname, relname, tgtype, tgenabled, tgqual IS NULL, tgargs, proname, prosrc FROM pg_trigger "
        "JOIN pg_class ON pg_class.oid = tgrelid JOIN pg_proc ON pg_proc.oid = tgfoid WHERE NOT tgisinternal AND "
        "tgrelid IN (to_regclass('audit_events'), to_regclass('allowlist'), to_regclass('rotations'))"
    ),
    "sqlite": text("SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'"),
}
_NUMBER_DIGITS = 4
_SELECT_REVISIONS = text("SELECT version_num FROM alembic_version")

_MISSING = "The database has no tables yet: run `turso-rotate migrate`."
_OLDER = "The database was made by an older version of turso-rotate: run `turso-rotate migrate`."
_NEWER = "The database was made by a newer version of turso-rotate: upgrade the bot."
_UNRELEASED = (
    "The database was made by an unreleased version of turso-rotate, from which there is no upgrade: "
    "move it away, or set another DATABASE_URL, and run `turso-rotate migrate`."
)
_UNRELEASED_REVISIONS = frozenset({"0001", "0002"})
"""Revisions before the first release, when they had no digits of a hash."""


async def check_schema(database: Database) -> None:
    """Check that the schema is current and that its triggers protect history.

    Raises `SchemaMismatch`, which says what to do, or another `DatabaseError`.
    """
    await database.read(_check)


def refuse_other_versions(connection: Connection) -> None:
    """Check that the schema is current. Raises `SchemaMismatch`."""
    found = _revisions(connection)
    if not found:
        raise SchemaMismatch(_MISSING)
    if found != {HEAD}:
        raise SchemaMismatch(mismatch(max(found)))


def mismatch(revision: str) -> str:
    """Explain in words how another revision differs from this version's."""
    found, needed = revision[:_NUMBER_DIGITS], HEAD[:_NUMBER_DIGITS]
    if found == needed or revision in _UNRELEASED_REVISIONS:
        return _UNRELEASED
    return _NEWER if found > needed else _OLDER


def broken_triggers(connection: Connection) -> set[str]:
    """Return the names of the triggers that are missing, disabled or changed."""
    needed, found = TRIGGER_DIGESTS[connection.dialect.name], trigger_digests(connection)
    return {name for name, digest in needed.items() if found.get(name) != digest}


def trigger_digests(connection: Connection) -> dict[str, str]:
    """Return the triggers on history, each with the start of a SHA-256 of its definition."""
    rows = connection.execute(_SELECT_TRIGGERS[connection.dialect.name])
    return {name: sha256(repr(definition).encode()).hexdigest()[:16] for name, *definition in rows}


def _check(connection: Connection) -> None:
    refuse_other_versions(connection)
    if broken := broken_triggers(connection):
        raise SchemaMismatch(
            "The database no longer protects its history. These triggers are missing, disabled or changed: "
            f"{', '.join(sorted(broken))}. Find out who did that, and restore the triggers from the migrations."
        )


def _revisions(connection: Connection) -> set[str]:
    if not inspect(connection).has_table("alembic_version"):
        return set()
    return set(connection.execute(_SELECT_REVISIONS).scalars())
