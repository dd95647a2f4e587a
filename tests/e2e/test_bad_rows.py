"""Rows that cannot be read in the database of the real process: nothing else is held up, and they are named."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from tests.databases import load_url
from tests.e2e.conftest import ALICE, Stories, asks, id_on
from tests.e2e.scraping import scrape
from tests.e2e.test_health import Health
from tests.process import BotProcess, run
from tests.store.attack import attack

pytestmark = pytest.mark.modes("http")

CONFIRM = "rotation:confirm"
BAD = ["one", "two", "three", "four"]


@pytest.fixture
async def turso() -> AsyncIterator[LocalTurso]:
    async with LocalTurso(groups=dict.fromkeys([*BAD, "last"], ())) as organization:
        yield organization


@pytest.mark.fault("F53")
async def test_rows_that_cannot_be_read_are_named_and_hold_up_nothing(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, settings: dict[str, str], tmp_path: Path, stories: Stories
) -> None:
    url, health = load_url(settings["DATABASE_URL"]), Health(bot)
    cards = {group: await asks(slack, ALICE, group) for group in [*BAD, "last"]}
    ids = {group: id_on(card) for group, card in cards.items()}
    over = "UPDATE rotations SET expires_at = requested_at"
    await asyncio.to_thread(attack, url, f"{over}, detail = 'no JSON' WHERE \"group\" <> 'last'", over)
    await slack.sees(ALICE, "The request to rotate `last` expired", timeout=10)
    ready, seen = await health.ready(), await scrape(bot)
    await slack.presses(ALICE, cards["one"], CONFIRM)
    told = await slack.sees(ALICE, "cannot be read", timeout=10)
    shown = await slack.types(ALICE, "/turso-audit")
    page = await slack.sees(ALICE, "History", f"Rotation {ids['two']} cannot be read", timeout=10)
    listed = await run(settings, tmp_path, "audit", "show", "--format", "json")
    before = [line for line in bot.lines if '"sweep failed"' in line]
    await asyncio.to_thread(attack, url, "UPDATE rotations SET detail = '{}' WHERE detail = 'no JSON'")
    await slack.sees(ALICE, "The request to rotate `four` expired", timeout=10)
    await bot.logs("sweep works again")
    mended = await health.ready()

    why = [f"Rotation {ids[group]} cannot be read: its detail is not JSON." for group in BAD]
    assert ready == (200, {"status": "ready", "problems": [], "warnings": why})
    assert seen["sweep_failures"] == len(BAD)
    assert [json.loads(line)["why"] for line in before] == why
    assert "This press rotated nothing." in told.plain
    assert (
        f"Rotation {ids['one']} cannot be read: its detail is not JSON. The bot's log has details under" in told.plain
    )
    assert shown.status == 200
    assert "`last`" in page.plain
    assert listed[0] == 1
    assert {event["group"] for event in json.loads(listed[1])} == {"last"}
    assert listed[2] == "".join(f"turso-rotate: {each}\n" for each in reversed(why))
    assert mended == (200, {"status": "ready", "problems": [], "warnings": []})
    assert turso.calls_to_rotate() == 0
    assert list((await stories()).values()) == [["rotation.requested", "rotation.expired"]] * 5
