"""What the doctor finds in the database, on both kinds."""

import contextlib
import re
import sqlite3
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import URL

from bot.domain.events import Action, Event
from bot.domain.models import Actor, Organization
from bot.sandbox.local_turso import LocalTurso
from bot.store.migrations import migrate
from bot.store.trail import SqlTrail
from bot.trail.chain import UNKEYED, Seal
from tests.databases import downgrade, load_url
from tests.doctor.conftest import ALICE, DOCS, WHOLE, Book, Doctor
from tests.pooler import pooler
from tests.store import shell

OF_THE_ROWS = ["database.guards", "audit.seal", "allowlist.anybody", "allowlist.expired", "allowlist.people"]


@pytest.fixture
def database_url(request: pytest.FixtureRequest, database_kind: str) -> str:
    """Use a database of each kind, as all tests do but the doctor's others."""
    return str(request.getfixturevalue("sqlite_url" if database_kind == "sqlite" else "postgres_url"))


@pytest.fixture
def url(database_url: str) -> URL:
    return load_url(database_url)


async def test_a_healthy_deployment(doctor: Doctor, book: Book) -> None:
    await book.asks(ALICE)
    before = await book.rows()
    report = await doctor()

    assert (report.code, report.complaints) == (0, [])
    assert report.states("skipped") == ["turso.rights"]
    assert report.error == ""
    assert (before, await book.rows()) == (2, 2)


async def test_the_tables_of_an_older_version(doctor: Doctor, url: URL) -> None:
    shell.run(url, "UPDATE alembic_version SET version_num = '0000'")
    report = await doctor()

    assert (report.code, report.complaints) == (1, ["database.schema"])
    assert report["database.schema"]["fix"] == "turso-rotate migrate"
    assert {report[check]["state"] for check in OF_THE_ROWS} == {"skipped"}
    assert report["database.reachable"]["state"] == "ok"


async def test_a_database_without_tables(doctor: Doctor, url: URL) -> None:
    downgrade(url)
    report = await doctor()

    assert (report.code, report.complaints) == (1, ["database.schema"])
    assert report["database.schema"]["fix"] == "turso-rotate migrate"


async def test_the_tables_of_a_newer_version(doctor: Doctor, url: URL) -> None:
    shell.run(url, "UPDATE alembic_version SET version_num = '9999'")
    report = await doctor()

    assert (report.code, report.complaints) == (1, ["database.schema"])
    assert "Install the version that migrated it" in report["database.schema"]["fix"]


async def test_a_missing_guard(doctor: Doctor, url: URL) -> None:
    on = " ON allowlist" if url.get_backend_name() == "postgresql" else ""
    shell.run(url, f"DROP TRIGGER allowlist_no_delete{on}")
    report = await doctor()

    assert (report.code, report.complaints) == (1, ["database.guards"])
    assert "allowlist_no_delete" in report["database.guards"]["found"]
    assert "docs/doctor.md" in report["database.guards"]["fix"]


async def test_no_audit_key(doctor: Doctor, book: Book) -> None:
    for _ in range(5):  # the newest rows are all that is looked at
        await Book(book.database, UNKEYED).asks(ALICE)
    report = await doctor(AUDIT_KEY="")

    assert (report.code, report.complaints) == (0, ["audit.key"])
    assert "openssl rand" in report["audit.key"]["fix"]


async def test_another_audit_key(doctor: Doctor) -> None:
    report = await doctor(AUDIT_KEY="the-key-of-another-trail")

    assert (report.code, report.complaints) == (1, ["audit.seal"])
    assert report["audit.seal"]["found"].startswith(
        "AUDIT_KEY is not the key of the audit trail: row 1 was written with"
    )
    assert "audit verify" in report["audit.seal"]["fix"]


@pytest.mark.fault("F57")
async def test_an_audit_key_in_quotes(doctor: Doctor) -> None:
    report = await doctor(AUDIT_KEY='"the-key-of-this-trail-in-quotes"')

    assert (report.code, report.complaints) == (1, ["audit.key", "audit.seal"])
    assert "begins and ends with a quote" in report["audit.key"]["found"]
    assert "docker" in report["audit.key"]["fix"]


@pytest.mark.fault("F57")
async def test_an_audit_key_that_was_changed(doctor: Doctor, book: Book) -> None:
    new, old = Seal(b"the-next-key-of-this-trail"), book.seal
    event = Event(
        Action.REKEYED, Actor.on_terminal("root"), Organization("acme"), detail={"fingerprint": new.fingerprint}
    )
    await SqlTrail(book.database, old).append(event)
    await Book(book.database, new).asks(ALICE)
    behind = await doctor()
    right = await doctor(AUDIT_KEY="the-next-key-of-this-trail")

    assert (behind.code, behind.complaints) == (1, ["audit.seal"])
    assert f"the fingerprint {new.fingerprint}" in behind["audit.seal"]["found"]
    assert (right.code, right.complaints) == (0, [])


async def test_a_replica_without_the_audit_key(doctor: Doctor, book: Book) -> None:
    await Book(book.database, UNKEYED).asks(ALICE)
    report = await doctor()

    assert (report.code, report.complaints) == (0, ["audit.seal"])
    assert "Row 2 of the audit trail is sealed without a key" in report["audit.seal"]["found"]


async def test_a_row_that_was_taken_out(doctor: Doctor, book: Book, url: URL) -> None:
    await book.asks(ALICE)
    await book.asks(ALICE)
    on = " ON audit_events" if url.get_backend_name() == "postgresql" else ""
    shell.run(url, f"DROP TRIGGER audit_events_no_delete{on}", "DELETE FROM audit_events WHERE seq = 2")
    report = await doctor()

    assert (report.code, report.complaints) == (1, ["database.guards", "audit.seal"])
    assert "Row 3" in report["audit.seal"]["found"]


@pytest.mark.databases("sqlite")
class TestSqlite:
    async def test_a_file_that_is_not_there_is_not_made(self, doctor: Doctor) -> None:
        report = await doctor(DATABASE_URL="sqlite:///elsewhere.db")

        assert (report.code, report.complaints) == (1, ["database.reachable"])
        assert f"There is no file {doctor.folder / 'elsewhere.db'}: to create" in report["database.reachable"]["found"]
        assert not (doctor.folder / "elsewhere.db").exists()

    async def test_a_file_that_is_no_database(self, doctor: Doctor) -> None:
        (doctor.folder / "letter.db").write_text("Dear database, " * 100)
        report = await doctor(DATABASE_URL="sqlite:///letter.db")

        assert (report.code, report.complaints) == (1, ["database.reachable"])

    @pytest.mark.fault("F12")
    async def test_a_damaged_page_that_nobody_has_read_yet(self, doctor: Doctor, url: URL) -> None:
        query = "SELECT rootpage, page_size FROM sqlite_master, pragma_page_size WHERE name = 'outbox'"
        with contextlib.closing(sqlite3.connect(str(url.database))) as file:
            root, size = file.execute(query).fetchone()
        with open(str(url.database), "r+b") as pages:  # noqa: ASYNC230, PTH123 - for a moment
            pages.seek((root - 1) * size)
            pages.write(b"\xff" * size)
        report = await doctor()

        assert report.code == 1
        assert "The database file is damaged: restore a backup" in report["database.reachable"]["found"]
        assert "Stop the bot, and restore a backup" in report["database.reachable"]["fix"]

    async def test_a_guard_is_put_back_as_the_docs_say(self, doctor: Doctor, url: URL, tmp_path: Path) -> None:
        (query,) = re.findall(r'sqlite3 fresh.db "(.+)" ', DOCS)
        migrate(load_url(f"sqlite:///{tmp_path / 'fresh.db'}"))
        with contextlib.closing(sqlite3.connect(tmp_path / "fresh.db")) as fresh:
            made = [sql for (sql,) in fresh.execute(query)]
        shell.run(url, "DROP TRIGGER audit_events_no_update")
        broken = await doctor()
        shell.run(url, *made)
        fixed = await doctor()

        assert len(made) == 1
        assert broken.complaints == ["database.guards"]
        assert fixed.complaints == []


@pytest.mark.databases("postgresql")
class TestPostgresql:
    async def test_a_server_that_is_away(self, doctor: Doctor, url: URL) -> None:
        away = url.set(port=1, password="a-password-of-the-database").render_as_string(hide_password=False)
        report = await doctor(DATABASE_URL=away)

        assert (report.code, report.complaints) == (1, ["database.reachable"])
        assert report["database.clock"]["state"] == "skipped"
        assert "DATABASE_URL" in report["database.reachable"]["fix"]

    async def test_a_guard_that_is_switched_off_is_switched_on_as_the_docs_say(self, doctor: Doctor, url: URL) -> None:
        (again,) = re.findall(r"`(ALTER TABLE .+ ENABLE ALWAYS TRIGGER \w+)`", DOCS)
        shell.run(url, "ALTER TABLE audit_events DISABLE TRIGGER audit_events_no_update")
        broken = await doctor()
        shell.run(url, again)
        fixed = await doctor()

        assert (broken.complaints, fixed.complaints) == (["database.guards"], [])

    @pytest.mark.fault("F48")
    async def test_a_database_that_refuses_writes(self, doctor: Doctor, url: URL) -> None:
        shell.run(url, f"ALTER DATABASE {url.database} SET default_transaction_read_only = on")
        report = await doctor()

        assert (report.code, report.complaints) == (1, ["database.writable"])
        assert "default_transaction_read_only is on" in report["database.writable"]["found"]
        assert "RESET default_transaction_read_only" in report["database.writable"]["fix"]

    @pytest.mark.parametrize(
        ("query", "found", "fix"),
        [
            ("?sslmode=require", "server does not support SSL", "Start the database, or correct DATABASE_URL."),
            ("-gone", "There is no such database.", "Correct DATABASE_URL, or create the database"),
        ],
    )
    async def test_why_it_cannot_connect(self, doctor: Doctor, url: URL, query: str, found: str, fix: str) -> None:
        report = await doctor(DATABASE_URL=url.render_as_string().replace("+psycopg", "") + query)

        assert report.complaints == ["database.reachable"]
        assert found in report["database.reachable"]["found"]
        assert report["database.reachable"]["fix"].startswith(fix)

    async def test_a_lock_that_keeps_it_from_reading(self, doctor: Doctor, url: URL) -> None:
        with psycopg.connect(url.render_as_string().replace("+psycopg", "")) as holder:
            holder.execute("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE")
            report = await doctor()

        assert "locked by another session" in report["database.reachable"]["found"]
        assert "pg_stat_activity" in report["database.reachable"]["fix"]

    async def test_another_schema_than_was_meant(self, doctor: Doctor, url: URL) -> None:
        shell.run(url, f"ALTER DATABASE {url.database} SET search_path = elsewhere")
        report = await doctor()

        assert f"{url.database} (search_path elsewhere) has no tables yet" in report["database.schema"]["found"]

    async def test_settings_with_which_a_crash_loses_what_was_confirmed(self, doctor: Doctor, url: URL) -> None:
        shell.run(url, f"ALTER DATABASE {url.database} SET synchronous_commit = local")
        report = await doctor()

        assert report.code == 0
        assert report.of("database.durability") == [("synchronous_commit", "warning"), ("fsync", "warning")]

    @pytest.mark.fault("F50")
    async def test_a_pooler_is_noticed(self, doctor: Doctor, url: URL) -> None:
        async with pooler("stand-in", url.port or 0, "transaction") as port:
            report = await doctor(DATABASE_URL=url.set(port=port).render_as_string().replace("+psycopg", ""))

        assert (report.code, report.complaints) == (0, [])
        assert "A pooler stands between" in report["database.reachable"]["found"]

    @pytest.mark.parametrize(("seconds", "state"), [(100, "warning"), (-200, "failure")])
    async def test_the_databases_clock(self, doctor: Doctor, url: URL, seconds: int, state: str) -> None:
        shell.run(
            url,
            "CREATE FUNCTION public.statement_timestamp() RETURNS timestamptz LANGUAGE sql AS "
            f"$$ SELECT pg_catalog.clock_timestamp() + interval '{seconds} seconds' $$",
            f"ALTER DATABASE {url.database} SET search_path = public, pg_catalog",
        )
        report = await doctor()

        assert (report.code, report["database.clock"]["state"]) == (int(state == "failure"), state)
        assert report["slack.clock"]["state"] == report["turso.clock"]["state"] == "ok"

    async def test_its_own_database_in_a_group_it_may_rotate(self, doctor: Doctor, turso: LocalTurso, url: URL) -> None:
        turso.organization.hosts["ledger"] = str(url.host)
        of_the_group = await doctor()
        of_the_organization = await doctor(TURSO_GROUP_TOKENS="", TURSO_API_TOKEN=WHOLE)
        turso.organization.hosts["ledger"] = "ledger.example"
        elsewhere = await doctor()

        assert (of_the_group.code, of_the_group.complaints) == (1, ["turso.lockout"])
        assert "own database is in payments" in of_the_group["turso.lockout"]["found"]
        assert of_the_organization["turso.lockout"]["state"] == "failure"
        assert elsewhere["turso.lockout"]["state"] == "ok"


@pytest.mark.fault("F57")
async def test_a_row_that_somebody_forged_at_the_end(doctor: Doctor, book: Book) -> None:
    await book.asks(ALICE)
    await Book(book.database, Seal(b"the-key-of-somebody-else")).asks(ALICE)
    report = await doctor()

    assert (report.code, report.complaints) == (1, ["audit.seal"])
    assert report["audit.seal"]["found"].endswith(" verify under AUDIT_KEY: it was changed or forged.")
