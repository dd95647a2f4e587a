"""Upgrade the schema: in one transaction, on one replica at a time."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, func, select

from bot.domain.errors import SchemaMismatch
from bot.store.database import explain
from bot.store.schema import mismatch

if TYPE_CHECKING:
    from alembic.config import Config

WAIT_SECONDS = 30
"""How long to wait for the migration of another replica."""
_LOCK = 0x7475_7273_6F6D_6967  # "tursomig": the advisory lock for migrations on PostgreSQL


def migrate(url: URL) -> tuple[str | None, str]:
    """Upgrade the schema, all or nothing; return the revisions before and after. Raises `DatabaseError`."""
    from alembic import command  # noqa: PLC0415 - a tenth of a second and 9 MB that serving never needs

    with transaction(url) as connection:
        before = current(connection)
        config = configured(connection)
        _refuse_unknown(config, before)
        command.upgrade(config, "head")
        return before, current(connection) or ""


def downgrade(url: URL, revision: str) -> None:
    """Undo migrations, and drop their tables with all data; for tests. Raises `DatabaseError`."""
    from alembic import command  # noqa: PLC0415 - as above

    with transaction(url) as connection:
        command.downgrade(configured(connection), revision)


@contextmanager
def transaction(url: URL) -> Iterator[Connection]:
    """Open a transaction in which no other migration runs. Raises `DatabaseError`."""
    engine = _engine(url)
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
            yield connection
    except Exception as error:
        raise explain(error) or error from error
    finally:
        engine.dispose()


def current(connection: Connection) -> str | None:
    """Read the revision of the database."""
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415 - as above

    return MigrationContext.configure(connection).get_current_revision()


def configured(connection: Connection) -> "Config":
    """Point Alembic at the connection and at the scripts."""
    from alembic.config import Config  # noqa: PLC0415 - as above

    config = Config()
    config.set_main_option("script_location", str(_scripts()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _refuse_unknown(config: "Config", revision: str | None) -> None:
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - as above

    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        raise SchemaMismatch(mismatch(revision))


def _scripts() -> Path:
    """Return the folder of the scripts: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "_migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "postgresql":
        options = f"-c lock_timeout={WAIT_SECONDS}s -c statement_timeout=0 -c timezone=UTC"
        arguments: dict[str, Any] = {"connect_timeout": 5, "options": options}
        return create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args=arguments)
    arguments = {"timeout": WAIT_SECONDS, "isolation_level": None}
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args=arguments)
    event.listen(engine, "connect", _prefer_wal)
    # Python's driver begins too late, and leaves table definitions out of the transaction.
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def _prefer_wal(connection: Any, _: Any) -> None:
    """Switch to the bot's journal mode now: while transactions are open, SQLite refuses without waiting."""
    with suppress(sqlite3.OperationalError):  # somebody else is doing it, or the file refuses more than this
        connection.execute("PRAGMA journal_mode = WAL")
