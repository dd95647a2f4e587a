"""The trail as one chain in a real database: appended to by many, read in one snapshot."""

import asyncio
import json
import sys
from datetime import timedelta

import pytest
from sqlalchemy import URL, create_engine
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect

from bot.domain.errors import DatabaseUnavailable, DuplicateDelivery, SchemaMismatch
from bot.domain.events import Action, Event
from bot.store.migrations import exclusive_transaction
from bot.store.trail import _LOCK_HEAD, SqlTrail
from bot.store.trail_reader import open_trail
from bot.trail.chain import UNKEYED, Row, Seal, line
from bot.trail.records import EventFilter, as_json
from bot.trail.report import VerifyOptions, VerifyReport
from bot.trail.verify import verify
from tests.postgres import PostgresServer
from tests.process import environment
from tests.store import shell
from tests.store.attack import attack
from tests.store.conftest import ACME, ALICE, Store
from tests.store.writer import append
from tests.synthetic.events import START, events, insert_events, sealed

KEY = "correct horse battery staple"
KEYED = Seal(KEY.encode())


def verified(url: URL, seal: Seal) -> VerifyReport:
    with open_trail(url) as reading:
        return verify(reading.rows(), VerifyOptions(seal))


def rows_of(url: URL) -> list[Row]:
    with open_trail(url) as reading:
        return list(reading.rows())


class TestAppending:
    async def test_many_tasks_leave_one_chain(self, store: Store) -> None:
        await append(store.database, KEYED, tasks=16, each=10)

        report = await asyncio.to_thread(verified, store.url, KEYED)
        assert (report.diagnosis, report.rows) == (None, 160)

    async def test_replicas_leave_one_chain(self, store: Store) -> None:
        url = store.url.render_as_string(hide_password=False)
        replicas = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.store.writer", url, KEY, "8", "10", env=environment({}),
                stderr=asyncio.subprocess.PIPE,
            )
            for _ in range(2)
        ]  # fmt: skip
        said = [(await replica.communicate())[1] for replica in replicas]

        report = await asyncio.to_thread(verified, store.url, KEYED)
        assert said == [b"", b""]
        assert (report.diagnosis, report.rows) == (None, 160)

    async def test_an_append_that_is_taken_back_leaves_no_trace(self, store: Store) -> None:
        trail = SqlTrail(store.database, KEYED)
        await trail.append(Event(Action.DENIED, ALICE, ACME, delivery="d1"))
        with pytest.raises(DuplicateDelivery):
            await trail.append(Event(Action.DENIED, ALICE, ACME, delivery="d1"))
        await trail.append(Event(Action.DENIED, ALICE, ACME, delivery="d2"))

        report = await asyncio.to_thread(verified, store.url, KEYED)
        assert (report.diagnosis, str(report.head)) == (None, str(await trail.head()))


class TestReading:
    @pytest.fixture
    def url(self, store: Store) -> URL:
        with exclusive_transaction(store.url) as connection:
            insert_events(connection, sealed(events(1, 2500), KEYED))
        return store.url

    def test_all_rows_come_as_they_were_sealed_in_their_order(self, url: URL) -> None:
        assert rows_of(url) == list(sealed(events(1, 2500), KEYED))

    async def test_an_appended_event_reads_as_it_was_written(self, store: Store) -> None:
        detail = {"reason": '\x1f\u2028 "🔑"', "seconds": 0.12, "status": None}
        await store.trail.append(Event(Action.DENIED, ALICE, ACME, None, None, detail, "d1"))
        (row,) = await asyncio.to_thread(rows_of, store.url)
        (recorded,) = await store.trail.page(EventFilter(), limit=1)

        assert json.loads(line(row)) == as_json(recorded)
        assert row.hash == UNKEYED.hash(row)

    def test_a_period_has_no_gap(self, url: URL) -> None:
        attack(url, "UPDATE audit_events SET at = (SELECT at FROM audit_events WHERE seq = 1) WHERE seq = 12")
        with open_trail(url) as reading:
            span = reading.span(START + timedelta(seconds=10), START + timedelta(seconds=15))
            assert span == (10, 14)
            assert [row.seq for row in reading.rows(*span)] == [10, 11, 12, 13, 14]
            assert reading.span(START + timedelta(days=9), None) is None
            assert reading.span(None, START + timedelta(seconds=4)) == (1, 12)
            assert reading.last() == 2500

    async def test_what_is_appended_meanwhile_is_not_read(self, url: URL, store: Store) -> None:
        with open_trail(url) as reading:
            rows = reading.rows()
            first = next(rows)
            await append(store.database, KEYED, tasks=1, each=3)
            assert [first.seq, *(row.seq for row in rows)] == list(range(1, 2501))

    @pytest.mark.databases("postgresql")
    def test_no_limit_of_time_ends_it(self, url: URL) -> None:
        limits = ("statement_timeout", "idle_in_transaction_session_timeout")
        shell.run(url, *(f"ALTER DATABASE {url.database} SET {limit} = '1ms'" for limit in limits))

        assert len(rows_of(url)) == 2500

    @pytest.mark.databases("sqlite")
    def test_bytes_that_are_no_text_are_read_as_they_are(self, url: URL) -> None:
        change = "UPDATE audit_events SET user_id = CAST(x'55ff41' AS TEXT) WHERE seq IN (2100, 2102)"
        attack(url, change)
        rows = rows_of(url)

        assert [row.seq for row in rows] == list(range(1, 2501))
        assert [row.user_id for row in rows[2098:2102]] == ["U49", "U\udcffA", "U1", "U\udcffA"]

    def test_a_schema_of_another_version_is_refused(self, url: URL) -> None:
        shell.run(url, "UPDATE alembic_version SET version_num = '0000'")
        with pytest.raises(SchemaMismatch, match="turso-rotate migrate"):
            rows_of(url)

    def test_a_trail_without_its_guards_is_read_and_told(self, url: URL) -> None:
        on = "" if url.get_backend_name() == "sqlite" else " ON audit_events"
        shell.run(url, f"DROP TRIGGER audit_events_no_delete{on}")
        with open_trail(url) as reading:
            assert len(list(reading.rows())) == 2500
            assert reading.broken_guards() == {"audit_events_no_delete"}

    def test_a_table_that_is_gone_is_told_and_others_errors_stay_theirs(self, url: URL) -> None:
        with pytest.raises(BrokenPipeError), open_trail(url):
            raise BrokenPipeError
        shell.run(url, "ALTER TABLE audit_events RENAME TO elsewhere")
        with pytest.raises(SchemaMismatch, match="do not match its schema version"):
            rows_of(url)

    @pytest.mark.databases("postgresql")
    def test_a_server_that_goes_away_is_told(self, url: URL, postgres_server: PostgresServer) -> None:
        with pytest.raises(DatabaseUnavailable), open_trail(url) as reading:  # noqa: PT012 - from the middle on
            rows = reading.rows()
            next(rows)
            postgres_server.stop()
            list(rows)


class TestTheKeyInForce:
    """Each event asks for it, so it must be found without reading the events."""

    READ = (
        "SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables "
        "WHERE relname = 'audit_events'"
    )

    @pytest.mark.databases("postgresql")
    def test_postgresql_finds_it_by_an_index_whatever_it_has_counted(self, store: Store) -> None:
        read = []
        engine = create_engine(store.url)
        with engine.connect() as connection:
            connection.exec_driver_sql("SELECT * FROM turso_rotate_take_turn()")  # plans for an empty table
            connection.rollback()
            insert_events(connection, sealed(events(1, 5000), KEYED))
            connection.commit()
            for prepare in ("SELECT 1", "ANALYZE audit_events"):
                connection.exec_driver_sql(prepare)
                connection.commit()
                before = connection.exec_driver_sql(self.READ).scalar_one()
                connection.exec_driver_sql("SELECT * FROM turso_rotate_take_turn()")
                read.append(connection.exec_driver_sql(self.READ).scalar_one() - before)
                connection.rollback()
        engine.dispose()

        assert max(read) <= 3

    @pytest.mark.databases("sqlite")
    def test_sqlite_finds_it_by_an_index(self, store: Store) -> None:
        statement = str(_LOCK_HEAD["sqlite"].compile(dialect=sqlite_dialect(), compile_kwargs={"literal_binds": True}))
        engine = create_engine(store.url)
        with engine.connect() as connection:
            plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")]
        engine.dispose()

        assert [step for step in plan if step.startswith("SCAN audit_events")] == ["SCAN audit_events"]  # the head
        assert any("ix_audit_events_" in step for step in plan), plan
