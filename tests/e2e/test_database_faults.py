"""The database goes, falls silent, locks up or fills: nothing is called twice, and people are told."""

import asyncio
import json
import resource
import shutil
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from bot.sandbox.changes import within
from bot.sandbox.faults import Fault, FixedResponse
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso, RequestKind
from bot.sandbox.messages import PostedMessage
from tests.e2e.conftest import ALICE, Stories, Trail, announced, asks, connect, end_leases, id_on, over
from tests.e2e.test_health import Health
from tests.postgres import PostgresServer
from tests.process import BotProcess, run
from tests.proxy import Proxy

pytestmark = pytest.mark.modes("socket")

CONFIRM, CANCEL = "rotation:confirm", "rotation:cancel"
GROUPS = [f"group-{number:02}" for number in range(20)]
STORY = ["rotation.requested", "rotation.started", "rotation.succeeded"]


@pytest.fixture
async def turso() -> AsyncIterator[LocalTurso]:
    groups = {"payments": ("ledger",), "default": ()} | dict.fromkeys(GROUPS, ())
    async with LocalTurso(groups=groups) as organization:
        yield organization


@pytest.mark.databases("postgresql")
class TestPostgres:
    @pytest.fixture
    def changes(self, line: Proxy, database_url: str) -> dict[str, str]:
        return {"DATABASE_URL": over(line, database_url)}

    @pytest.mark.usefixtures("bot")
    @pytest.mark.fault("F10")
    async def test_a_silent_database_before_the_claim(
        self, slack: LocalSlack, turso: LocalTurso, line: Proxy, trail: Trail
    ) -> None:
        card = await asks(slack, ALICE, "payments")
        line.stalls()
        pressed = await slack.presses(ALICE, card, CONFIRM)
        typed = await slack.types(ALICE, "/turso-rotate default")
        told = await slack.sees(ALICE, "database does not answer", "Nothing was rotated", timeout=4)
        calls = turso.calls_to_rotate()
        await line.resumes()
        await slack.presses(ALICE, card, CONFIRM)
        await slack.sees(ALICE, "Done: the tokens of payments are rotated")

        assert (pressed.status, typed.status) == (200, 200)
        assert max(pressed.seconds, typed.seconds) < 1
        assert told.ephemeral_to == ALICE.user_id
        assert calls == 0
        assert turso.calls_to_rotate() == 1
        assert [action for action in await trail() if action != "rotation.requested"] == STORY[1:]

    @pytest.mark.usefixtures("bot")
    @pytest.mark.fault("F10")
    async def test_a_database_that_is_gone_before_the_claim(
        self, slack: LocalSlack, turso: LocalTurso, postgres_server: PostgresServer, trail: Trail
    ) -> None:
        card = await asks(slack, ALICE, "payments")
        await asyncio.to_thread(postgres_server.stop)
        await slack.presses(ALICE, card, CONFIRM)
        await slack.sees(ALICE, "database does not answer", "This press rotated nothing", timeout=4)
        calls = turso.calls_to_rotate()
        await asyncio.to_thread(postgres_server.start)
        await slack.presses(ALICE, card, CONFIRM)
        await slack.sees(ALICE, "Done: the tokens of payments are rotated")

        assert calls == 0
        assert turso.calls_to_rotate() == 1
        assert await trail() == STORY

    @pytest.mark.usefixtures("bot")
    @pytest.mark.fault("F10", "F45")
    async def test_a_claim_whose_commit_is_not_answered_ends_as_failed(
        self, slack: LocalSlack, turso: LocalTurso, line: Proxy, trail: Trail
    ) -> None:
        card = await asks(slack, ALICE, "payments")
        line.stalls_after(b"UPDATE rotations", b"COMMIT")
        await slack.presses(ALICE, card, CONFIRM)
        await slack.sees(ALICE, "database does not answer", "This press rotated nothing", timeout=4)
        await line.resumes()
        await slack.sees(ALICE, "Failed: the tokens of payments were not rotated", "Nothing was sent", timeout=10)
        await slack.sees(None, "It failed", channel="C0AUDIT")

        assert turso.calls_to_rotate() == 0
        assert await trail() == ["rotation.requested", "rotation.started", "rotation.failed"]

    @pytest.mark.usefixtures("bot")
    @pytest.mark.fault("F11")
    async def test_an_outcome_is_kept_until_the_database_is_back(
        self, slack: LocalSlack, turso: LocalTurso, line: Proxy, trail: Trail
    ) -> None:
        card = await cut_off_in_the_call(slack, turso, line)
        meanwhile, buttons = announced(slack), card.buttons
        await line.resumes()
        await slack.sees(ALICE, "Done: the tokens of payments are rotated", timeout=10)
        await slack.sees(None, "@alice rotated the tokens of", channel="C0AUDIT", timeout=10)

        assert meanwhile == []
        assert buttons == []
        assert len(announced(slack)) == 1
        assert turso.calls_to_rotate() == 1
        assert await trail() == STORY

    @pytest.mark.usefixtures("bot")
    @pytest.mark.fault("F11")
    async def test_a_press_without_a_database_hears_what_the_bot_knows(
        self, slack: LocalSlack, turso: LocalTurso, line: Proxy
    ) -> None:
        turso.inject(Fault(delay=1.5))
        card = await asks(slack, ALICE, "payments")
        await slack.presses(ALICE, card, CONFIRM)
        await turso.reached()
        await line.cuts()
        told = []
        for button in (CONFIRM, CANCEL):
            since = len(slack.messages)
            await slack.presses(ALICE, card, button)
            told.append(await slack.sees(ALICE, "are being rotated (started by you", "Your press changed", since=since))
        await slack.sees(ALICE, "Unknown: the tokens of payments", "I will keep trying")
        await slack.presses(ALICE, card, CANCEL)
        known = await slack.sees(ALICE, "Done: the tokens of payments are rotated", "This is not saved yet")
        await line.resumes()
        saved = await slack.sees(ALICE, "Done: the tokens of payments are rotated", "Turso confirmed it", timeout=10)
        await slack.sees(None, "@alice rotated the tokens of", channel="C0AUDIT", timeout=10)

        assert [message.position for message in (known, saved)] == [card.position] * 2
        assert not any("Nothing was rotated" in message.plain for message in (*told, *slack.messages))
        assert not any("not saved" in message.plain for message in slack.messages)
        assert not any("Unknown" in message.plain for message in slack.messages)

    @pytest.mark.fault("F11")
    async def test_a_bot_that_is_stopped_meanwhile_waits_for_the_database(
        self, slack: LocalSlack, turso: LocalTurso, bot: BotProcess, line: Proxy, trail: Trail
    ) -> None:
        await cut_off_in_the_call(slack, turso, line)
        await bot.signals(signal.SIGTERM)
        await bot.logs("stopping")
        await line.resumes()
        code = await bot.ended()

        assert code == 0
        assert turso.calls_to_rotate() == 1
        assert await trail() == STORY

    @pytest.mark.fault("F11")
    async def test_a_crash_before_the_database_is_back_leaves_unknown(
        self,
        slack: LocalSlack,
        turso: LocalTurso,
        bot: BotProcess,
        line: Proxy,
        settings: dict[str, str],
        trail: Trail,
    ) -> None:
        await cut_off_in_the_call(slack, turso, line)
        await bot.kills()
        await line.resumes()
        await end_leases(settings)
        await bot.start()
        await connect(slack, bot, settings)
        await slack.sees(None, "Whether that happened is unknown", channel="C0AUDIT", timeout=15)

        assert turso.calls_to_rotate() == 1
        assert await trail() == ["rotation.requested", "rotation.started", "rotation.unknown"]

    @pytest.mark.usefixtures("bot")
    @pytest.mark.fault("F13")
    async def test_a_restart_under_load_loses_and_doubles_nothing(
        self,
        slack: LocalSlack,
        turso: LocalTurso,
        postgres_server: PostgresServer,
        stories: Stories,
    ) -> None:
        cards = {group: await asks(slack, ALICE, group) for group in GROUPS}

        def settled(group: str) -> bool:
            ends = (f"Done: the tokens of {group} ", f"Failed: the tokens of {group} ")
            return any(message.plain.startswith(ends) for message in slack.visible_to(ALICE))

        early = asyncio.gather(*(slack.presses(ALICE, cards[group], CONFIRM) for group in GROUPS[:10]))
        await turso.reached()
        restarting = asyncio.to_thread(postgres_server.restart)
        late = asyncio.gather(*(slack.presses(ALICE, cards[group], CONFIRM) for group in GROUPS[10:]))
        await asyncio.gather(early, restarting, late)
        waiting = [group for group in GROUPS if cards[group].buttons]
        await asyncio.gather(*(slack.presses(ALICE, cards[group], CONFIRM) for group in waiting))
        await within(
            20,
            slack.changes.until(lambda: all(map(settled, GROUPS))),
            lambda: str([group for group in GROUPS if not settled(group)]),
        )
        told = await stories()

        for group in GROUPS:
            story = told[id_on(cards[group])]
            called = turso.calls_to_rotate(group)
            assert story == (STORY if called else ["rotation.requested", "rotation.started", "rotation.failed"])
            assert called <= 1

    @pytest.mark.usefixtures("bot")
    @pytest.mark.fault("F38")
    async def test_a_lock_that_somebody_holds_is_waited_for_a_second(
        self, slack: LocalSlack, turso: LocalTurso, database_url: str, trail: Trail
    ) -> None:
        card = await asks(slack, ALICE, "payments")
        async with await psycopg.AsyncConnection.connect(database_url) as holder:
            await holder.execute("LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE")
            clicks = await asyncio.gather(*(slack.presses(ALICE, card, CONFIRM) for _ in range(12)))
            typed = await slack.types(ALICE, "/turso-rotate default")
            await slack.sees(ALICE, "The database is locked by another session", "Nothing was rotated", timeout=4)
            calls = turso.calls_to_rotate()
        await slack.called("response_url", 1 + 12 + 1)
        await slack.presses(ALICE, card, CONFIRM)
        await slack.sees(ALICE, "Done: the tokens of payments are rotated")

        assert max(delivery.seconds for delivery in (*clicks, typed)) < 1
        assert calls == 0
        assert turso.calls_to_rotate() == 1
        assert [action for action in await trail() if action != "rotation.requested"] == STORY[1:]

    @pytest.mark.fault("F52")
    async def test_a_grant_that_somebody_locks_is_not_revoked_and_the_owner_hears_whom_to_look_for(
        self, settings: dict[str, str], tmp_path: Path, database_url: str
    ) -> None:
        remove = ("allow", "remove", ALICE.user_id, "--team", ALICE.team_id)
        async with await psycopg.AsyncConnection.connect(database_url) as thief:
            await thief.execute("SELECT FROM allowlist FOR SHARE")
            refused = await run(settings, tmp_path, *remove)
        code, _, _ = await run(settings, tmp_path, *remove)

        assert (refused[0], code) == (1, 0)
        assert "locked by another session; pg_stat_activity shows which" in refused[2]
        assert refused[2].endswith("Nothing was changed.\n")

    @pytest.mark.usefixtures("bot")
    @pytest.mark.fault("F35")
    async def test_a_group_that_holds_the_bots_own_database_is_refused(
        self, slack: LocalSlack, turso: LocalTurso, trail: Trail
    ) -> None:
        own = {"databases": [{"Name": "audit", "Hostname": "127.0.0.1", "group": "payments"}]}
        turso.inject(FixedResponse(200, json.dumps(own).encode()), on=RequestKind.READS)
        await slack.types(ALICE, "/turso-rotate payments")
        told = await slack.sees(ALICE, "My own database is in payments", "the attempt is recorded")

        assert "An operator of this bot can move its database out of the group." in told.plain
        assert turso.calls_to_rotate() == 0
        assert await trail() == ["rotation.denied"]


@pytest.mark.databases("sqlite")
class TestSqlite:
    @pytest.fixture
    def path(self, database_url: str) -> Path:
        return Path(str(make_url(database_url).database))

    @pytest.mark.usefixtures("bot")
    @pytest.mark.fault("F12")
    async def test_a_database_locked_by_another_process(
        self, slack: LocalSlack, turso: LocalTurso, path: Path, trail: Trail
    ) -> None:
        card = await asks(slack, ALICE, "payments")
        with locked(path):
            pressed = await slack.presses(ALICE, card, CONFIRM)
            await slack.sees(
                ALICE, "The database is locked by another process", "This press rotated nothing", timeout=4
            )
            calls = turso.calls_to_rotate()
        await slack.presses(ALICE, card, CONFIRM)
        await slack.sees(ALICE, "Done: the tokens of payments are rotated")

        assert pressed.seconds < 1
        assert calls == 0
        assert turso.calls_to_rotate() == 1
        assert await trail() == STORY

    @pytest.mark.fault("F12")
    async def test_a_full_disk(
        self, slack: LocalSlack, turso: LocalTurso, bot: BotProcess, path: Path, trail: Trail
    ) -> None:
        card = await asks(slack, ALICE, "payments")
        with full(bot, path.with_name(f"{path.name}-wal")):
            await slack.presses(ALICE, card, CONFIRM)
            await slack.sees(ALICE, "The database", "This press rotated nothing", timeout=4)
            calls, rows = turso.calls_to_rotate(), await trail()
        await slack.presses(ALICE, card, CONFIRM)
        await slack.sees(ALICE, "Done: the tokens of payments are rotated", timeout=10)

        assert calls == 0
        assert rows == ["rotation.requested"]
        assert turso.calls_to_rotate() == 1
        assert [action for action in await trail() if action == "rotation.succeeded"] == ["rotation.succeeded"]

    @pytest.mark.fault("F55")
    async def test_a_file_that_was_replaced_is_left_alone_until_it_is_back(
        self, slack: LocalSlack, turso: LocalTurso, bot: BotProcess, path: Path, tmp_path: Path, trail: Trail
    ) -> None:
        health, other, away = Health(bot), shutil.copyfile(path, tmp_path / "other.db"), tmp_path / "away.db"
        card = await asks(slack, ALICE, "payments")
        shutil.move(path, away)
        shutil.move(other, path)
        ready = await health.ready()
        await slack.presses(ALICE, card, CONFIRM)
        await slack.sees(ALICE, "The database file was removed or replaced", "This press rotated nothing", timeout=4)
        await bot.logs("database unavailable")
        calls = turso.calls_to_rotate()
        shutil.move(away, path)
        await bot.logs("database available again")
        back = await health.ready()
        await slack.presses(ALICE, card, CONFIRM)
        await slack.sees(ALICE, "Done: the tokens of payments are rotated")

        told = (
            "The database file was removed or replaced while the bot was running. Put it back, or restart the bot to "
            "use the one that is there now."
        )
        assert ready == (503, {"status": "not ready", "problems": [told], "warnings": []})
        assert [line.count(told) for line in bot.lines if "database unavailable" in line] == [1]
        assert calls == 0
        assert back[0] == 200
        assert turso.calls_to_rotate() == 1
        assert await trail() == STORY

    @pytest.mark.usefixtures("bot")
    @pytest.mark.fault("F33")
    async def test_an_allowlist_that_cannot_be_read_allows_nobody(
        self, slack: LocalSlack, turso: LocalTurso, path: Path
    ) -> None:
        card = await asks(slack, ALICE, "payments")
        with sqlite3.connect(path) as connection:
            connection.execute("ALTER TABLE allowlist RENAME TO elsewhere")
        connection.close()
        since = len(slack.messages)
        await slack.presses(ALICE, card, CONFIRM)
        await slack.sees(ALICE, "This press rotated nothing", since=since)
        since = len(slack.messages)
        await slack.types(ALICE, "/turso-rotate payments")
        await slack.sees(ALICE, "Nothing was rotated", since=since)

        assert card.buttons == [CONFIRM, CANCEL]
        assert turso.calls_to_rotate() == 0

    @pytest.mark.parametrize(
        ("damage", "advice"),
        [
            ("UPDATE alembic_version SET version_num = '0000'", "run `turso-rotate migrate`"),
            ("UPDATE alembic_version SET version_num = '9999'", "upgrade the bot"),
            ("DROP TABLE alembic_version", "run `turso-rotate migrate`"),
            ("DROP TRIGGER audit_events_no_delete", "until they are restored"),
        ],
    )
    @pytest.mark.fault("F31")
    async def test_another_schema_is_refused_at_the_start(
        self, damage: str, advice: str, settings: dict[str, str], path: Path, tmp_path: Path
    ) -> None:
        with sqlite3.connect(path) as connection:
            connection.execute(damage)
        connection.close()
        code, _, err = await run(settings, tmp_path, "serve")

        assert code == 1
        assert advice in " ".join(err.split())
        assert "Traceback" not in err


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold SQLite's write lock, as another process would."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.close()


@contextmanager
def full(bot: BotProcess, log: Path) -> Iterator[None]:
    """Let no file of the process grow beyond the write-ahead log, as a full disk would."""
    before = resource.prlimit(bot.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(bot.pid, resource.RLIMIT_FSIZE, (log.stat().st_size, before[1]))
    try:
        yield
    finally:
        resource.prlimit(bot.pid, resource.RLIMIT_FSIZE, before)


async def cut_off_in_the_call(slack: LocalSlack, turso: LocalTurso, line: Proxy) -> PostedMessage:
    """Cut the line to the database while Turso is asked; returns the card, which says so."""
    turso.inject(Fault(delay=1))
    card = await asks(slack, ALICE, "payments")
    await slack.presses(ALICE, card, CONFIRM)
    await turso.reached()
    await line.cuts()
    await slack.sees(ALICE, "Unknown: the tokens of payments", "I will keep trying")
    return card
