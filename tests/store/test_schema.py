"""The migrated schema is the one in the tables' module, with every guard of history, or the bot does not start."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import URL, Connection, Inspector, inspect

from bot.domain.errors import DatabaseUnavailable, SchemaMismatch
from bot.store import schema
from bot.store.database import open_database
from bot.store.migrations import exclusive_transaction, migrate
from bot.store.tables import metadata
from tests.databases import load_url
from tests.store import shell
from tests.store.conftest import Store

_DROPPED, _NOTHING = "DROP TRIGGER audit_events_no_", "BEGIN SELECT 1; END"
_PASSES = (
    "CREATE FUNCTION passes() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$",
    "CREATE TRIGGER audit_events_no_update BEFORE UPDATE ON audit_events FOR EACH ROW EXECUTE FUNCTION passes()",
    "ALTER TABLE audit_events ENABLE ALWAYS TRIGGER audit_events_no_update",
)
EMPTIED = {
    "sqlite": (
        f"{_DROPPED}update",
        f"CREATE TRIGGER audit_events_no_update BEFORE UPDATE ON audit_events {_NOTHING}",
    ),
    "postgresql": (f"{_DROPPED}update ON audit_events", *_PASSES),
}
_ELSEWHERE = "CREATE TRIGGER audit_events_no_delete BEFORE DELETE ON outbox"
MOVED = {
    "sqlite": (f"{_DROPPED}delete", f"{_ELSEWHERE} {_NOTHING}"),
    "postgresql": (
        f"{_DROPPED}delete ON audit_events",
        f"{_ELSEWHERE} FOR EACH ROW EXECUTE FUNCTION turso_rotate_refuse('no')",
    ),
}


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


async def test_every_guard_is_there_and_no_other(store: Store) -> None:
    found = await store.database.read(schema.trigger_digests)

    assert found == schema.TRIGGER_DIGESTS[store.url.get_backend_name()]
    await schema.check_schema(store.database)


@pytest.mark.law(6)
async def test_a_guard_that_does_nothing_counts_as_missing(store: Store) -> None:
    shell.run(store.url, *EMPTIED[store.url.get_backend_name()])

    with pytest.raises(SchemaMismatch, match="audit_events_no_update"):
        await schema.check_schema(store.database)


@pytest.mark.law(6)
async def test_a_guard_of_another_table_counts_as_missing(store: Store) -> None:
    shell.run(store.url, *MOVED[store.url.get_backend_name()])

    with pytest.raises(SchemaMismatch, match="audit_events_no_delete"):
        await schema.check_schema(store.database)


@pytest.mark.databases("postgresql")
@pytest.mark.law(6)
async def test_guards_that_refuse_no_more_count_as_missing(store: Store) -> None:
    empty = "CREATE OR REPLACE FUNCTION turso_rotate_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    shell.run(store.url, f"{empty} $$BEGIN RETURN NEW; END$$")

    with pytest.raises(SchemaMismatch, match=r"allowlist_no_delete, .*audit_events_no_update"):
        await schema.check_schema(store.database)


@pytest.mark.law(6)
async def test_any_missing_guard_is_named(store: Store) -> None:
    tables = ("audit_events", "allowlist", "rotations")
    for name in sorted(schema.TRIGGER_DIGESTS[store.url.get_backend_name()]):
        table = next(table for table in tables if name.startswith(table))
        on = f" ON {table}" if store.url.get_backend_name() == "postgresql" else ""
        shell.run(store.url, f"DROP TRIGGER {name}{on}")

        with pytest.raises(SchemaMismatch, match=name):
            await schema.check_schema(store.database)


@pytest.mark.databases("postgresql")
@pytest.mark.law(6)
async def test_a_guard_that_is_switched_off_counts_as_missing(store: Store) -> None:
    shell.run(store.url, "ALTER TABLE audit_events DISABLE TRIGGER ALL")

    with pytest.raises(SchemaMismatch, match="audit_events_no_delete, audit_events_no_truncate"):
        await schema.check_schema(store.database)


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
    with pytest.raises(SchemaMismatch):
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
