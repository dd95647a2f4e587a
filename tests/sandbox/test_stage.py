"""The sandbox as a whole: the real bot between a local Slack and a local Turso."""

from pathlib import Path

import pytest

from bot.sandbox.bot_process import BotFailedError
from bot.sandbox.sandbox import Stage
from bot.sandbox.scenario import ALICE, GUS, MALLORY
from bot.sandbox.snapshot import Viewer, snapshot


async def test_the_real_bot_serves_and_is_killed_and_comes_back(tmp_path: Path) -> None:
    async with Stage(tmp_path / "kept") as stage:
        await stage.ready()
        first = stage.bot.pid
        await stage.slack.types(ALICE, "/turso-rotate payments")
        card = await stage.slack.sees(ALICE, "Rotate the tokens of payments?")
        await stage.restart()
        await stage.slack.presses(ALICE, card, "rotation:confirm")
        await stage.slack.sees(ALICE, "Done: the tokens of payments are rotated")
        second = stage.bot.pid

    assert first != second
    assert not stage.bot.runs
    assert stage.turso.calls_to_rotate("payments") == 1
    assert [service.name for service in stage.turso.services if not service.works] == ["checkout-api", "billing-worker"]


async def test_a_kept_folder_goes_on_where_it_ended(tmp_path: Path) -> None:
    async with Stage(tmp_path) as first:
        await first.ready()
    async with Stage(tmp_path) as second:
        await second.ready()
        second.trail.grows()

    assert second.trail.actions == ["allowlist.granted"] * 3


async def test_a_temporary_folder_is_gone_afterwards() -> None:
    async with Stage() as stage:
        await stage.ready()
        folder = stage.trail.path.parent
        assert folder.is_dir()

    assert not folder.exists()


async def test_a_bot_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "turso-rotate.db").write_text("this is no database, and long enough to be seen as none" * 20)
    async with Stage(tmp_path) as stage:
        with pytest.raises(BotFailedError) as failed:
            await stage.ready()
        assert stage.bot_state == "down"

    assert str(failed.value)


async def test_no_token_of_the_person_reaches_the_bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURSO_GROUP_TOKENS", '{"payments": "a-real-token"}')
    (tmp_path / ".env").write_text("SLACK_API_URL=https://slack.com/api/\n")
    async with Stage(tmp_path) as stage:
        await stage.ready()
        await stage.slack.types(ALICE, "/turso-rotate payments")
        await stage.slack.sees(ALICE, "Rotate the tokens of payments?")

    assert {request.headers["Authorization"] for request in stage.turso.requests} == {"Bearer local-turso-token"}


async def test_a_screen_shows_what_its_person_may_see() -> None:
    async with Stage() as stage:
        await stage.ready()
        screens = {person.name: Viewer.of(stage, person, "") for person in (ALICE, MALLORY, GUS)}
        await stage.slack.types(ALICE, "/turso-rotate payments")
        await stage.slack.sees(ALICE, "Rotate the tokens of payments?")
        reloaded = Viewer.of(stage, ALICE, "")
        returned = Viewer.of(stage, ALICE, screens["alice"].since)
        shown = {name: len(snapshot(stage, screen)["messages"]) for name, screen in screens.items()}

        assert shown == {"alice": 1, "mallory": 0, "gus": 0}
        assert snapshot(stage, reloaded)["messages"] == []
        assert len(snapshot(stage, returned)["messages"]) == 1
        assert Viewer.of(stage, ALICE, "999-999") == reloaded


async def test_trouble_begins_and_ends() -> None:
    async with Stage(call_seconds=1) as stage:
        await stage.ready()
        stage.sets_trouble("500")
        await stage.slack.types(ALICE, "/turso-rotate payments")
        await stage.slack.presses(ALICE, await stage.slack.sees(ALICE, "Rotate the tokens"), "rotation:confirm")
        await stage.slack.sees(ALICE, "Unknown: the tokens of payments may be rotated")
        stage.sets_trouble("none")
        stage.redeploys("checkout-api")
        await stage.slack.types(ALICE, "/turso-rotate analytics")
        card = await stage.slack.sees(ALICE, "Rotate the tokens of analytics")
        await stage.slack.presses(ALICE, card, "rotation:confirm")
        await stage.slack.sees(ALICE, "Done: the tokens of analytics are rotated")

    with pytest.raises(KeyError):
        stage.sets_trouble("war")
    assert {service.name for service in stage.turso.services if service.works} >= {"checkout-api", "ledger-export"}
