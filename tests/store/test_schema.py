"""The migrated schema is the one in the tables' module, or the bot does not start."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import URL, Connection, Inspector, inspect

from bot.domain.errors import DatabaseError, DatabaseUnavailable, SchemaMismatch
from bot.store import schema
from bot.store.database import open_database
from bot.store.migrations import exclusive_transaction, migrate
from bot.store.tables import metadata
from tests.databases import load_url
from tests.store import shell
from tests.store.conftest import Store


@pytest.fixture
def url(database_url: str) -> URL:
    return load_url(database_url)


async def test_the_migrated_tables_are_the_modelled_ones_to_the_last_condition(store: Store, url: URL) -> None:
    migrated = await store.database.read(_described)

    def modelled(connection: Connection) -> dict[str, Any]:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        _drop_tables(connection)
        metadata.create_all(connection)
        return _described(connection)

    with exclusive_transaction(url) as connection:
        assert modelled(connection) == migrated


@pytest.mark.fault("F31")
async def test_migrate_refuses_a_newer_schema(url: URL) -> None:
    shell.run(url, "UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(SchemaMismatch, match="upgrade the bot"):
        await asyncio.to_thread(migrate, url)


@pytest.mark.databases("postgresql")
def test_a_server_that_is_not_there_is_told(url: URL) -> None:
    with pytest.raises(DatabaseUnavailable, match="does not answer"):
        migrate(url.set(port=1))


@pytest.mark.databases("sqlite")
def test_a_folder_that_is_not_there_is_told(url: URL) -> None:
    with pytest.raises(DatabaseUnavailable, match="cannot be opened"):
        migrate(url.set(database="/nowhere/bot.db"))


async def test_looking_at_the_schema_creates_nothing(empty_database_url: str) -> None:
    url = load_url(empty_database_url)
    database = open_database(url)
    with pytest.raises(DatabaseError, match=r"run .?turso-rotate migrate"):
        await schema.check_schema(database)
    await database.close()

    with exclusive_transaction(url) as connection:
        assert inspect(connection).get_table_names() == []


def _drop_tables(connection: Connection) -> None:
    for table in reversed(metadata.sorted_tables):
        connection.exec_driver_sql(f"DROP TABLE {table.name}")


def _described(connection: Connection) -> dict[str, Any]:
    inspector = inspect(connection)
    return {table.name: _of(inspector, table.name) for table in metadata.sorted_tables}


def _of(inspector: Inspector, table: str) -> dict[str, Any]:
    return {
        "columns": [{**column, "type": str(column["type"])} for column in inspector.get_columns(table)],
        "indexes": [{**index, "dialect_options": _texts(index)} for index in inspector.get_indexes(table)],
        "key": inspector.get_pk_constraint(table),
        "foreign": inspector.get_foreign_keys(table),
        "unique": inspector.get_unique_constraints(table),
        "checks": sorted(inspector.get_check_constraints(table), key=lambda check: str(check["name"])),
    }


def _texts(index: Any) -> dict[str, str]:
    return {name: str(value) for name, value in index.get("dialect_options", {}).items()}
