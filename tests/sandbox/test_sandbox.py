"""The sandbox as a whole: the real bot between a local Slack and a local Turso."""

from pathlib import Path

import pytest

from bot.sandbox.bot_process import BotFailedError
from bot.sandbox.sandbox import Sandbox
from bot.sandbox.scenario import ALICE, GUS, MALLORY
from bot.sandbox.snapshot import PageSession, snapshot


async def test_the_real_bot_serves_and_is_killed_and_comes_back(tmp_path: Path) -> None:
    async with Sandbox(tmp_path / "kept") as sandbox:
        await sandbox.ready()
        first = sandbox.bot.pid
        await sandbox.slack.types(ALICE, "/turso-rotate payments")
        card = await sandbox.slack.sees(ALICE, "Rotate the tokens of payments?")
        await sandbox.restart()
        await sandbox.slack.presses(ALICE, card, "rotation:confirm")
        await sandbox.slack.sees(ALICE, "Done: the tokens of payments are rotated")
        second = sandbox.bot.pid

    assert first != second
    assert not sandbox.bot.is_running
    assert sandbox.turso.calls_to_rotate("payments") == 1
    assert [service.name for service in sandbox.turso.services if not service.works] == [
        "checkout-api",
        "billing-worker",
    ]


async def test_a_kept_folder_goes_on_where_it_ended(tmp_path: Path) -> None:
    async with Sandbox(tmp_path) as first:
        await first.ready()
    async with Sandbox(tmp_path) as second:
        await second.ready()
        second.trail.refresh()

    assert second.trail.actions == ["allowlist.granted"] * 3


async def test_a_temporary_folder_is_gone_afterwards() -> None:
    async with Sandbox() as sandbox:
        await sandbox.ready()
        folder = sandbox.trail.path.parent
        assert folder.is_dir()

    assert not folder.exists()


async def test_a_bot_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "turso-rotate.db").write_text("this is no database, and long enough to be seen as none" * 20)
    async with Sandbox(tmp_path) as sandbox:
        with pytest.raises(BotFailedError) as failed:
            await sandbox.ready()
        assert sandbox.bot_state == "down"

    assert str(failed.value)


async def test_no_token_of_the_person_reaches_the_bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURSO_GROUP_TOKENS", '{"payments": "a-real-token"}')
    (tmp_path / ".env").write_text("SLACK_API_URL=https://slack.com/api/\n")
    async with Sandbox(tmp_path) as sandbox:
        await sandbox.ready()
        await sandbox.slack.types(ALICE, "/turso-rotate payments")
        await sandbox.slack.sees(ALICE, "Rotate the tokens of payments?")

    assert {request.headers["Authorization"] for request in sandbox.turso.requests} == {"Bearer local-turso-token"}


async def test_a_screen_shows_what_its_person_may_see() -> None:
    async with Sandbox() as sandbox:
        await sandbox.ready()
        screens = {person.name: PageSession.resume(sandbox, person, "") for person in (ALICE, MALLORY, GUS)}
        await sandbox.slack.types(ALICE, "/turso-rotate payments")
        await sandbox.slack.sees(ALICE, "Rotate the tokens of payments?")
        reloaded = PageSession.resume(sandbox, ALICE, "")
        returned = PageSession.resume(sandbox, ALICE, screens["alice"].since)
        shown = {name: len(snapshot(sandbox, screen)["messages"]) for name, screen in screens.items()}

        assert shown == {"alice": 1, "mallory": 0, "gus": 0}
        assert snapshot(sandbox, reloaded)["messages"] == []
        assert len(snapshot(sandbox, returned)["messages"]) == 1
        assert PageSession.resume(sandbox, ALICE, "999-999") == reloaded


async def test_a_failure_begins_and_ends() -> None:
    async with Sandbox(call_seconds=1) as sandbox:
        await sandbox.ready()
        sandbox.set_failure_mode("500")
        await sandbox.slack.types(ALICE, "/turso-rotate payments")
        await sandbox.slack.presses(ALICE, await sandbox.slack.sees(ALICE, "Rotate the tokens"), "rotation:confirm")
        await sandbox.slack.sees(ALICE, "Unknown: the tokens of payments may have been rotated")
        sandbox.set_failure_mode("none")
        sandbox.redeploy("checkout-api")
        await sandbox.slack.types(ALICE, "/turso-rotate analytics")
        card = await sandbox.slack.sees(ALICE, "Rotate the tokens of analytics")
        await sandbox.slack.presses(ALICE, card, "rotation:confirm")
        await sandbox.slack.sees(ALICE, "Done: the tokens of analytics are rotated")

    with pytest.raises(KeyError):
        sandbox.set_failure_mode("war")
    assert {service.name for service in sandbox.turso.services if service.works} >= {"checkout-api", "ledger-export"}
