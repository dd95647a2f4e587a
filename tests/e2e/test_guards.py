"""Somebody takes a guard of history away: the bot notices, says so once, and starts nothing until it is back."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import ClientSession
from sqlalchemy import URL

from bot.sandbox.faults import Fault
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from bot.store.database import Database
from tests.databases import load_url
from tests.e2e.conftest import ALICE, Stories, announced, asks, id_on
from tests.e2e.scraping import scrape
from tests.process import BotProcess, run
from tests.store import shell

pytestmark = pytest.mark.modes("socket")

CONFIRM = "rotation:confirm"
GONE = "The database no longer protects its history."
NAMED = "missing, disabled, changed or added: audit_events_no_update."
_MADE = "CREATE TRIGGER audit_events_no_update BEFORE UPDATE"
_DROPPED = "DROP TRIGGER audit_events_no_update"
WITH_A_HOLE: dict[str, list[tuple[str, ...]]] = {
    "postgresql": [
        (
            f"{_DROPPED} ON audit_events",
            f"{_MADE} {hole.format('FOR EACH ROW')} EXECUTE FUNCTION turso_rotate_refuse('append-only')",
            "ALTER TABLE audit_events ENABLE ALWAYS TRIGGER audit_events_no_update",
        )
        for hole in ("OF delivery ON audit_events {}", "ON audit_events {} WHEN (false)")
    ],
    "sqlite": [
        (_DROPPED, f"{_MADE} {hole} BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END")
        for hole in ("OF delivery ON audit_events", "ON audit_events WHEN 0")
    ],
}


@pytest.mark.fault("F51")
async def test_a_guard_with_a_hole_is_named_by_serve_and_by_verification(
    settings: dict[str, str], tmp_path: Path
) -> None:
    url = load_url(settings["DATABASE_URL"])
    seen = []
    for deed in WITH_A_HOLE[url.get_backend_name()]:
        await asyncio.to_thread(shell.run, url, *deed)
        seen += [await run(settings, tmp_path, *command) for command in (("serve",), ("audit", "verify"))]

    assert [code for code, _, _ in seen] == [1] * 4
    assert all(NAMED in out + err for _, out, err in seen)


@pytest.mark.fault("F59")
@pytest.mark.law(6)
async def test_a_guard_that_goes_while_the_bot_runs_stops_new_rotations_and_is_told_once(
    slack: LocalSlack,
    turso: LocalTurso,
    bot: BotProcess,
    settings: dict[str, str],
    database: Database,
    stories: Stories,
    tmp_path: Path,
) -> None:
    url = load_url(settings["DATABASE_URL"])
    running, asked = await asks(slack, ALICE, "payments"), await asks(slack, ALICE, "default")
    async with BotProcess(tmp_path, settings) as other:
        await slack.connected(2)
        turso.inject(Fault(delay=1.5))
        await slack.presses(ALICE, running, CONFIRM)
        await turso.reached()
        guard = await _taken_away(url)
        await asyncio.gather(*(each.logs("the database no longer protects its history") for each in (bot, other)))
        alarm = await slack.sees(None, "no longer protects its history", channel="C0AUDIT")
        unready, scraped = await _readiness(bot), await scrape(bot)
        await slack.types(ALICE, "/turso-rotate default")
        await slack.sees(ALICE, GONE, "Nothing was rotated")
        since = len(slack.messages)
        await slack.presses(ALICE, asked, CONFIRM)
        await slack.sees(ALICE, GONE, "This press rotated nothing", since=since)
        await slack.sees(ALICE, "Done: the tokens of payments are rotated")
        called = turso.calls_to_rotate()
        await asyncio.to_thread(shell.run, url, *guard)
        await asyncio.gather(*(each.logs("the database protects its history again") for each in (bot, other)))
        await slack.presses(ALICE, asked, CONFIRM)
        await slack.sees(ALICE, "Done: the tokens of default are rotated")

    assert "audit_events_no_update" in alarm.plain
    assert unready[0] == 503
    assert NAMED in unready[1]
    assert scraped["ready"] == 0
    assert called == 1
    assert len([each for each in announced(slack) if "no longer protects" in each]) == 1
    assert (await stories())[id_on(asked)] == [
        "rotation.requested", "rotation.denied", "rotation.started", "rotation.succeeded",
    ]  # fmt: skip
    actions = await shell.trail_of(database)
    assert (actions.count("guards.broken"), actions.count("guards.restored")) == (1, 1)
    assert actions.count("rotation.denied") == 2


async def _taken_away(url: URL) -> tuple[str, ...]:
    """Drop a guard; return what puts it back."""
    if url.get_backend_name() == "postgresql":
        await asyncio.to_thread(shell.run, url, "ALTER TABLE audit_events DISABLE TRIGGER audit_events_no_update")
        return ("ALTER TABLE audit_events ENABLE ALWAYS TRIGGER audit_events_no_update",)
    made = f"{_MADE} ON audit_events BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END"
    await asyncio.to_thread(shell.run, url, _DROPPED)
    return (made,)


async def _readiness(bot: BotProcess) -> tuple[int, str]:
    async with ClientSession() as session, session.get(f"http://127.0.0.1:{bot.port}/readyz") as answer:
        return answer.status, await answer.text()
