"""Find out whether a database takes writes, without a lock that others would wait for."""

import os
from pathlib import Path

from sqlalchemy import Connection, text

from bot.domain.errors import DatabaseReadOnly

_REFUSES = "The database refuses writes:"
_STATE = text(
    "SELECT pg_is_in_recovery() AS standby, current_setting('transaction_read_only') = 'on' AS read_only, "
    "(SELECT string_agg(name, ', ') FROM unnest(ARRAY['audit_events', 'rotations', 'outbox']) AS name "
    "WHERE NOT has_table_privilege(to_regclass(name), 'INSERT')) AS forbidden"
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
        raise DatabaseReadOnly(f"{_REFUSES} the bot's role lacks the right to insert into {found.forbidden}.")


def _refuse_read_only_file(path: Path) -> None:
    """Look at the rights only: SQLite says whether the disk is full when it writes."""
    for place, what in ((path, "file"), (path.parent, "folder of its file")):
        if not os.access(place, os.W_OK):
            raise DatabaseReadOnly(f"{_REFUSES} the {what} is read-only, or missing.")
