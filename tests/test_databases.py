"""The migrated databases that the other tests copy."""

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from bot.store.migrations import migrate
from tests.databases import load_url
from tests.postgres import binaries

PRAGMAS = ("journal_mode", "auto_vacuum", "page_size", "user_version", "encoding")


@pytest.fixture
def pg_dump(request: pytest.FixtureRequest) -> Path:
    return binaries(request.config.getoption("--postgres")) / "pg_dump"


def dump(url: str, pg_dump: Path) -> list[str]:
    """Write a database as SQL, its settings included."""
    if not url.startswith("sqlite"):
        dumped = subprocess.run([pg_dump, url], capture_output=True, text=True, check=True).stdout
        return [line for line in dumped.splitlines() if not line.startswith(("\\restrict ", "\\unrestrict "))]
    with closing(sqlite3.connect(str(load_url(url).database))) as connection:
        settings = [f"{name} = {connection.execute(f'PRAGMA {name}').fetchone()}" for name in PRAGMAS]
        return [*settings, *connection.iterdump()]


def test_a_copy_is_what_the_migrations_make(database_url: str, empty_database_url: str, pg_dump: Path) -> None:
    migrate(load_url(empty_database_url))
    copied = dump(database_url, pg_dump)

    assert copied == dump(empty_database_url, pg_dump)
    assert any("audit_events" in line for line in copied)
