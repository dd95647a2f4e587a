"""Migrations go up, match the tables, come down and go up again; and a schema that does not fit is refused."""

import asyncio
import re
from hashlib import sha256
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import URL, text

from bot.domain.errors import DatabaseError, SchemaMismatch
from bot.store import schema
from bot.store.database import open_database
from bot.store.migrations import alembic_config, exclusive_transaction, migrate
from tests.databases import downgrade, load_url, tables

MIGRATIONS = Path(__file__).parents[2] / "migrations/versions"


@pytest.fixture
def url(empty_database_url: str) -> URL:
    return load_url(empty_database_url)


def execute(url: URL, sql: str) -> None:
    with exclusive_transaction(url) as connection:
        connection.execute(text(sql))


async def complaint(url: URL) -> str:
    database = open_database(url)
    try:
        with pytest.raises(DatabaseError) as refused:
            await schema.check_schema(database)
        return str(refused.value)
    finally:
        await database.close()


def test_up_check_down_up(url: URL) -> None:
    assert migrate(url) == (None, schema.HEAD)
    with exclusive_transaction(url) as connection:
        command.check(alembic_config(connection))
    downgrade(url)
    assert tables(url) == {"alembic_version"}
    assert migrate(url) == (None, schema.HEAD)
    assert {"allowlist", "rotations", "audit_events", "outbox"} <= tables(url)


def test_the_head_the_bot_serves_is_the_newest_migration(url: URL) -> None:
    with exclusive_transaction(url) as connection:
        assert ScriptDirectory.from_config(alembic_config(connection)).get_current_head() == schema.HEAD


@pytest.mark.parametrize("file", sorted(MIGRATIONS.glob("*.py")), ids=lambda file: file.name)
def test_a_migration_is_frozen(file: Path) -> None:
    imported = re.findall(r"^(?:from|import) (\w+)", file.read_text(), re.MULTILINE)

    assert "bot" not in imported


def test_an_edit_of_the_unreleased_migration_changes_its_revision() -> None:
    (file,) = MIGRATIONS.glob("*_0001_*.py")
    text = "".join(line for line in file.read_text().splitlines(keepends=True) if not line.startswith("revision = "))

    assert f"0001_{sha256(text.encode()).hexdigest()[:8]}" == schema.HEAD


@pytest.mark.fault("F31")
async def test_a_database_made_by_an_earlier_edit_is_refused(url: URL) -> None:
    await asyncio.to_thread(migrate, url)
    execute(url, "UPDATE alembic_version SET version_num = '0001_00000000'")

    assert "from which there is no upgrade: move it away" in await complaint(url)
    with pytest.raises(SchemaMismatch, match="from which there is no upgrade"):
        await asyncio.to_thread(migrate, url)


@pytest.mark.fault("F31")
async def test_a_database_without_tables_names_the_command(url: URL) -> None:
    assert "turso-rotate migrate" in await complaint(url)


@pytest.mark.fault("F31")
async def test_an_older_and_a_newer_schema_are_refused(url: URL) -> None:
    await asyncio.to_thread(migrate, url)
    execute(url, "UPDATE alembic_version SET version_num = '0000'")
    older = await complaint(url)
    execute(url, "UPDATE alembic_version SET version_num = '9999'")
    newer = await complaint(url)

    assert "turso-rotate migrate" in older
    assert "upgrade the bot" in newer


@pytest.mark.law(6)
async def test_a_database_without_its_triggers_is_refused(url: URL) -> None:
    await asyncio.to_thread(migrate, url)
    on = " ON audit_events" if url.get_backend_name() == "postgresql" else ""
    execute(url, f"DROP TRIGGER audit_events_no_delete{on}")

    assert "missing, disabled, changed or added: audit_events_no_delete." in await complaint(url)


@pytest.mark.fault("F31")
def test_a_half_applied_migration_leaves_nothing(url: URL) -> None:
    execute(url, "CREATE TABLE outbox (id INTEGER)")  # the last table of the first migration is in the way
    with pytest.raises(Exception, match=r"outbox|database"):
        migrate(url)

    assert tables(url) == {"outbox"}


async def test_replicas_that_migrate_at_once_do_not_collide(url: URL) -> None:
    ran = await asyncio.gather(*(asyncio.to_thread(migrate, url) for _ in range(3)))

    assert sorted(ran, key=str) == [(schema.HEAD, schema.HEAD), (schema.HEAD, schema.HEAD), (None, schema.HEAD)]
