"""Databases for the tests: migrated once by each worker, then copied for each test."""

import shutil
from pathlib import Path

from alembic import command
from sqlalchemy import URL, create_engine, inspect, make_url

from bot.store.migrations import alembic_config, exclusive_transaction, migrate
from tests.postgres import PostgresServer


def load_url(database_url: str) -> URL:
    """Parse a database URL as the settings do."""
    url = make_url(database_url)
    return url.set(drivername="postgresql+psycopg") if url.get_backend_name() == "postgresql" else url


def tables(url: URL) -> set[str]:
    """Name the tables of a database."""
    engine = create_engine(url)
    try:
        return set(inspect(engine).get_table_names())
    finally:
        engine.dispose()


def sqlite_template(folder: Path) -> Path:
    """Migrate a file, and return where it is."""
    path = folder / "template.db"
    migrate(load_url(f"sqlite:///{path}"))
    return path


def sqlite_copy(template: Path, path: Path) -> str:
    """Copy a file, and return the copy's URL."""
    return f"sqlite:///{shutil.copyfile(template, path)}"


def postgres_template(server: PostgresServer) -> str:
    """Migrate a database of the server, and return its name."""
    server.start()
    url = server.create_database()
    migrate(load_url(url))
    return url.rpartition("/")[2]


def downgrade(url: URL) -> None:
    """Undo every migration, and drop the tables with all data."""
    with exclusive_transaction(url) as connection:
        command.downgrade(alembic_config(connection), "base")
