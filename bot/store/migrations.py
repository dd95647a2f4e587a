"""Upgrade the schema in one transaction, by one process at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import URL, Connection, func, select

from bot.domain.errors import SchemaMismatch
from bot.store.driver_errors import translated_errors
from bot.store.engines import unlimited
from bot.store.schema import mismatch

if TYPE_CHECKING:
    from alembic.config import Config

_LOCK = 0x7475_7273_6F6D_6967  # "tursomig": the advisory lock for migrations on PostgreSQL


def migrate(url: URL) -> tuple[str | None, str]:
    """Upgrade the schema, all or nothing; return the revisions before and after. Raises `DatabaseError`."""
    from alembic import command  # noqa: PLC0415 - a tenth of a second and 9 MB that serving never needs

    with exclusive_transaction(url) as connection:
        before = current_revision(connection)
        config = alembic_config(connection)
        _refuse_unknown(config, before)
        command.upgrade(config, "head")
        return before, current_revision(connection) or ""


@contextmanager
def exclusive_transaction(url: URL) -> Iterator[Connection]:
    """Open a transaction, of any length, that waits for a migration by another process. Raises `DatabaseError`."""
    engine = unlimited(url, read_only=False)
    try:
        with translated_errors(), engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
            yield connection
    finally:
        engine.dispose()


def current_revision(connection: Connection) -> str | None:
    """Read the revision of the database, if it was ever migrated."""
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415 - as above

    return MigrationContext.configure(connection).get_current_revision()


def alembic_config(connection: Connection) -> "Config":
    """Return a configuration for Alembic that uses the connection and finds the scripts."""
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
    """Return the folder of the scripts: inside the package if installed, next to it in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "_migrations"
    return installed if installed.is_dir() else package.parent / "migrations"
