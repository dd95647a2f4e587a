"""`rotate`: the same rotation from a terminal, when Slack or the bot is down."""

import json
from pathlib import Path

import pytest

from bot.sandbox.faults import FixedResponse
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from tests.e2e.conftest import ALICE, BOB, Trail, asks
from tests.process import BotProcess, run

REASON = ("--reason", "key leaked")
STORY = ["rotation.requested", "rotation.started", "rotation.succeeded"]


async def test_it_rotates_when_the_name_is_typed_and_announces(
    slack: LocalSlack, turso: LocalTurso, settings: dict[str, str], tmp_path: Path, trail: Trail
) -> None:
    code, out, err = await run(settings, tmp_path, "rotate", "payments", *REASON, given="payments\n")
    listed = await run(settings, tmp_path, "audit", "list", "--format", "json")
    announced = await slack.sees(None, "rotated the tokens of", "key leaked", channel="C0AUDIT")

    assert (code, turso.calls_to_rotate()) == (0, 1)
    assert "Done: Turso confirmed that the tokens of payments" in out
    assert "databases/$db/auth/rotate" in out
    assert "Type payments to rotate it" in err
    assert await trail() == STORY
    started = next(each for each in json.loads(listed[1]) if each["action"] == "rotation.started")
    assert started["detail"]["terminal"] is True
    assert "grant" not in started["detail"]
    assert started["actor"]["team_id"] == "cli"
    assert announced.channel == "C0AUDIT"


@pytest.mark.parametrize("typed", ["", "\n", "Payments\n", "yes\n"])
async def test_anything_but_the_name_cancels(
    turso: LocalTurso, slack: LocalSlack, settings: dict[str, str], tmp_path: Path, trail: Trail, typed: str
) -> None:
    code, _, err = await run(settings, tmp_path, "rotate", "payments", *REASON, given=typed)

    assert (code, turso.calls_to_rotate()) == (1, 0)
    assert "Cancelled. The tokens of payments were not touched." in err
    assert await trail() == ["rotation.requested", "rotation.cancelled"]


async def test_slack_being_down_stops_nothing_and_the_bot_announces_later(
    slack: LocalSlack, turso: LocalTurso, settings: dict[str, str], tmp_path: Path, trail: Trail
) -> None:
    down = settings | {"SLACK_API_URL": "http://127.0.0.1:9/api/"}
    code, _, err = await run(down, tmp_path, "rotate", "payments", *REASON, "--yes")
    async with BotProcess(tmp_path, settings):
        await slack.sees(None, "rotated the tokens of", channel="C0AUDIT", timeout=20)

    assert (code, turso.calls_to_rotate()) == (0, 1)
    assert "It could not be announced yet; the running bot will keep trying." in err
    assert await trail() == STORY


async def test_an_old_card_in_slack_knows_of_it(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, settings: dict[str, str], tmp_path: Path
) -> None:
    card = await asks(slack, ALICE, "payments")
    await run(settings, tmp_path, "rotate", "payments", *REASON, "--yes")
    await slack.presses(ALICE, card, "rotation:confirm")
    await slack.sees(ALICE, "Your press changed nothing")

    assert turso.calls_to_rotate() == 1


async def test_a_failure_says_how_to_close_the_leak_without_the_bot(
    slack: LocalSlack, turso: LocalTurso, settings: dict[str, str], tmp_path: Path
) -> None:
    turso.inject(FixedResponse(403, b'{"error": "no"}'))
    code, out, _ = await run(settings, tmp_path, "rotate", "payments", *REASON, "--yes")

    assert code == 1
    assert "Failed: the tokens of payments were not rotated." in out
    assert "turso group tokens invalidate payments" in out
    assert "curl -fX POST" in out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("pay*", *REASON), 2, "Give a group name, not a pattern."),
        (("payments", "--reason", " "), 2, "Say in --reason why"),
        (("nowhere", *REASON), 1, "Turso has no group called nowhere."),
    ],
)
async def test_what_cannot_be_rotated_is_refused(
    turso: LocalTurso,
    slack: LocalSlack,
    settings: dict[str, str],
    tmp_path: Path,
    arguments: tuple[str, ...],
    code: int,
    words: str,
) -> None:
    refused = await run(settings, tmp_path, "rotate", *arguments, "--yes")

    assert (refused[0], turso.calls_to_rotate()) == (code, 0)
    assert words in refused[2]


async def test_nobody_in_slack_can_confirm_what_a_terminal_asks(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, settings: dict[str, str], tmp_path: Path
) -> None:
    card = await asks(slack, BOB, "default")
    await run(settings, tmp_path, "rotate", "payments", *REASON, given="no\n")
    listed = await run(settings, tmp_path, "audit", "list", "--group", "payments", "--format", "json")
    rotation = json.loads(listed[1])[0]["rotation_id"]
    await slack.presses(BOB, card, "rotation:confirm", value=rotation)
    await slack.sees(BOB, "Only the person who requested this rotation")

    assert turso.calls_to_rotate() == 0
