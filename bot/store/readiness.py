"""Find out whether a database takes writes, without a lock that others would wait for."""

import os
from pathlib import Path

from sqlalchemy import Connection, text

from bot.domain.errors import DatabaseReadOnly

_REFUSES = "The database refuses writes:"
_RIGHTS = (
    ("audit_events", "SELECT", "INSERT"),
    ("rotations", "SELECT", "INSERT"),
    ("outbox", "SELECT", "INSERT", "DELETE"),
    ("allowlist", "SELECT"),
    ("alembic_version", "SELECT"),
)
"""What `docs/postgresql-role.sql` grants on tables."""
_COLUMNS = (
    ("rotations", "state", "started_at", "lease_until", "ended_at", "claim", "detail", "resolved_as"),
    ("outbox", "due_at", "attempts"),
    ("allowlist", "id"),
)
"""The columns that it lets the bot update."""
_CHECKS = (
    *(
        (f"{right} on {table}", f"has_table_privilege(to_regclass('{table}'), '{right}')")
        for table, *rights in _RIGHTS
        for right in rights
    ),
    *(
        (f"UPDATE on {table}", f"has_column_privilege(to_regclass('{table}'), '{column}', 'UPDATE')")
        for table, *columns in _COLUMNS
        for column in columns
    ),
    ("USAGE on outbox_id_seq", "has_sequence_privilege(to_regclass('outbox_id_seq'), 'USAGE')"),
    (
        "EXECUTE on turso_rotate_take_turn()",
        "has_function_privilege(to_regprocedure('turso_rotate_take_turn()'), 'EXECUTE')",
    ),
)
_VALUES = ", ".join(f"('{name}', {holds})" for name, holds in _CHECKS)
_STATE = text(
    "SELECT pg_is_in_recovery() AS standby, current_setting('transaction_read_only') = 'on' AS read_only, "  # noqa: S608 - ours
    f"(SELECT string_agg(DISTINCT name, ', ') FROM (VALUES {_VALUES}) AS rights (name, holds) "
    "WHERE NOT holds) AS forbidden"
)
_FILE = text("SELECT file FROM pragma_database_list WHERE name = 'main'")


def refuse_read_only(connection: Connection) -> None:
    """Check that this session may write. Raises `DatabaseReadOnly` with the cause."""
    if connection.dialect.name == "sqlite":
        if connection.engine.url.query.get("mode") == "ro":
            raise DatabaseReadOnly(f"{_REFUSES} DATABASE_URL says mode=ro.")
        _refuse_read_only_file(Path(connection.execute(_FILE).scalar_one()))
        return
    found = connection.execute(_STATE).one()
    if found.standby:
        raise DatabaseReadOnly(f"{_REFUSES} it is a standby in recovery.")
    if found.read_only:
        raise DatabaseReadOnly(f"{_REFUSES} default_transaction_read_only is on.")
    if found.forbidden:
        raise DatabaseReadOnly(f"The bot's role lacks {found.forbidden}: run docs/postgresql-role.sql.")


def _refuse_read_only_file(path: Path) -> None:
    """Look at the rights only: SQLite says whether the disk is full when it writes."""
    for place, what in ((path, "file"), (path.parent, "folder of its file")):
        if not os.access(place, os.W_OK):
            raise DatabaseReadOnly(f"{_REFUSES} the {what} is read-only, or missing.")
