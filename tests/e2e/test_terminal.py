"""`rotate`: the same rotation from a terminal, when Slack or the bot is down."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from bot.sandbox.faults import FixedResponse, Hang
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso, RequestKind
from tests.e2e.conftest import ALICE, BOB, Stories, Trail, asks, end_leases, over
from tests.e2e.test_database_faults import locked
from tests.forks import Fork
from tests.process import BotProcess, environment, run, start
from tests.proxy import Proxy
from tests.tokens import TOKENS

REASON = ("--reason", "key leaked")
TOKEN, _ = TOKENS["github"]
pytestmark = pytest.mark.modes("socket")
ONCE = pytest.mark.databases("sqlite")
STARTING = (b"UPDATE rotations", b"COMMIT")
SAVING = (*STARTING, b"UPDATE rotations")
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
    assert err.splitlines()[-1] == "Announced in C0AUDIT."
    assert await trail() == STORY
    started = next(each for each in json.loads(listed[1]) if each["action"] == "rotation.started")
    assert started["detail"]["terminal"] is True
    assert "grant" not in started["detail"]
    assert started["actor"]["team_id"] == "cli"
    assert announced.channel == "C0AUDIT"


@pytest.mark.parametrize("typed", ["", "payments", "\n", "Payments\n", "yes\n"])
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


async def test_without_a_channel_it_says_that_nobody_was_told(
    slack: LocalSlack, turso: LocalTurso, settings: dict[str, str], tmp_path: Path
) -> None:
    del settings["AUDIT_CHANNEL"]
    code, _, err = await run(settings, tmp_path, "rotate", "payments", *REASON, "--yes")

    assert (code, slack.messages) == (0, [])
    assert "Nobody was told in Slack, as AUDIT_CHANNEL is not set" in err


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


@pytest.mark.databases("postgresql")
@pytest.mark.fault("F45")
async def test_a_start_that_the_database_does_not_confirm_sends_nothing_and_is_recorded_as_failed(
    slack: LocalSlack, turso: LocalTurso, settings: dict[str, str], tmp_path: Path, line: Proxy, trail: Trail
) -> None:
    process = await rotates_over(line, settings, tmp_path, *STARTING)
    await says(process, "The database did not confirm the start.")
    await line.resumes()
    await says(process, "Nothing was rotated.")

    assert await process.wait() == 1
    assert turso.calls_to_rotate() == 0
    assert await trail() == ["rotation.requested", "rotation.started", "rotation.failed"]


@pytest.mark.databases("postgresql")
@pytest.mark.fault("F11")
async def test_an_outcome_that_cannot_be_saved_at_once_is_told_and_recorded_all_the_same(
    slack: LocalSlack, turso: LocalTurso, settings: dict[str, str], tmp_path: Path, line: Proxy, trail: Trail
) -> None:
    process = await rotates_over(line, settings, tmp_path, *SAVING)
    await says(process, "The outcome could not be saved yet.")
    await line.resumes()
    out, _ = await process.communicate()

    assert (process.returncode, turso.calls_to_rotate()) == (0, 1)
    assert b"Done: Turso confirmed" in out
    assert await trail() == STORY


@pytest.mark.databases("postgresql")
async def test_ctrl_c_while_the_outcome_is_saved_does_not_make_it_unknown(
    slack: LocalSlack, turso: LocalTurso, settings: dict[str, str], tmp_path: Path, line: Proxy, trail: Trail
) -> None:
    process = await rotates_over(line, settings, tmp_path, *SAVING)
    await line.is_silent()
    process.send_signal(signal.SIGINT)
    await says(process, "Interrupted.")
    await line.resumes()
    out, _ = await process.communicate()

    assert (process.returncode, turso.calls_to_rotate()) == (0, 1)
    assert b"Done: Turso confirmed" in out
    assert await trail() == STORY


async def test_ctrl_c_at_the_question_cancels(
    slack: LocalSlack, turso: LocalTurso, settings: dict[str, str], tmp_path: Path, trail: Trail
) -> None:
    process = await start(settings, tmp_path, "rotate", "payments", *REASON, fork=False)
    await says(process, "Type payments to rotate it")
    process.send_signal(signal.SIGINT)
    await says(process, "Cancelled. The tokens of payments were not touched.")

    assert await process.wait() == 1
    assert turso.calls_to_rotate() == 0
    assert await trail() == ["rotation.requested", "rotation.cancelled"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_rotation_that_is_interrupted_in_the_call_is_recorded_as_unknown(
    slack: LocalSlack, turso: LocalTurso, settings: dict[str, str], tmp_path: Path, trail: Trail, number: signal.Signals
) -> None:
    turso.inject(Hang())
    process = await start(settings, tmp_path, "rotate", "payments", *REASON, "--yes")
    await turso.reached()
    process.send_signal(number)
    out, err = await process.communicate()

    assert (process.returncode, turso.calls_to_rotate()) == (1, 1)
    assert b"Unknown: the tokens of payments may have been rotated" in out
    assert b"Interrupted." in err
    assert await trail() == ["rotation.requested", "rotation.started", "rotation.unknown"]


@ONCE
@pytest.mark.fault("F1")
async def test_a_rotation_whose_terminal_was_killed_is_not_in_the_way_of_the_next(
    slack: LocalSlack, turso: LocalTurso, settings: dict[str, str], tmp_path: Path, stories: Stories
) -> None:
    turso.inject(Hang(), times=1)
    process = await start(settings, tmp_path, "rotate", "payments", *REASON, "--yes")
    await turso.reached()
    process.send_signal(signal.SIGKILL)
    await process.wait()
    await end_leases(settings)
    code, _, err = await run(settings, tmp_path, "rotate", "payments", *REASON, given="payments\n")

    assert code == 0
    assert "Outcome unknown: last attempt" in err
    assert "If it happened, rotating again also ends the tokens minted since." in err
    assert list((await stories()).values()) == [["rotation.requested", "rotation.started", "rotation.unknown"], STORY]


@ONCE
async def test_a_terminal_that_closes_after_the_answer_keeps_nothing_from_being_recorded(
    slack: LocalSlack, turso: LocalTurso, settings: dict[str, str], tmp_path: Path, trail: Trail
) -> None:
    ours, theirs = os.pipe()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "rotate", "payments", *REASON),
        cwd=tmp_path, env=environment(settings), stdin=asyncio.subprocess.PIPE, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    asked = b""
    while b"Type payments" not in asked:
        asked += await asyncio.to_thread(os.read, ours, 4096)
    os.close(ours)
    await process.communicate(b"payments\n")

    assert turso.calls_to_rotate() == 1
    assert await trail() == STORY


@ONCE
@pytest.mark.fault("F12")
async def test_a_start_that_was_surely_not_recorded_is_told_at_once(
    slack: LocalSlack, turso: LocalTurso, settings: dict[str, str], tmp_path: Path, trail: Trail
) -> None:
    process = await start(settings, tmp_path, "rotate", "payments", *REASON, fork=False)
    await says(process, "Type payments to rotate it")
    assert isinstance(process, asyncio.subprocess.Process)
    with locked(Path(settings["DATABASE_URL"].removeprefix("sqlite:///"))):
        _, err = await process.communicate(b"payments\n")

    assert (process.returncode, turso.calls_to_rotate()) == (1, 0)
    assert "Nothing was rotated.\n" in err.decode()
    assert (
        "turso-rotate: The database is locked by another process; `fuser FILE` or `lsof FILE` shows which.\n"
        in err.decode()
    )
    assert "did not confirm the start" not in err.decode()
    assert await trail() == ["rotation.requested"]


@pytest.mark.databases("postgresql")
@pytest.mark.fault("F10")
async def test_without_the_database_it_calls_nothing_and_says_how_to_do_it_by_hand(
    slack: LocalSlack, turso: LocalTurso, settings: dict[str, str], tmp_path: Path, line: Proxy
) -> None:
    await line.cuts()
    gone = settings | {"DATABASE_URL": over(line, settings["DATABASE_URL"])}
    code, _, err = await run(gone, tmp_path, "rotate", "payments", *REASON, "--yes")

    assert (code, turso.calls_to_rotate()) == (1, 0)
    assert "To rotate it without the bot, run one of these:\nturso group tokens invalidate payments\ncurl" in err
    assert "Traceback" not in err


@pytest.mark.databases("postgresql")
async def test_ctrl_c_twice_while_the_outcome_is_saved_still_says_what_turso_said(
    slack: LocalSlack, turso: LocalTurso, settings: dict[str, str], tmp_path: Path, line: Proxy
) -> None:
    process = await rotates_over(line, settings, tmp_path, *SAVING)
    await line.is_silent()
    process.send_signal(signal.SIGINT)
    await says(process, "Interrupted.")
    process.send_signal(signal.SIGINT)
    out, err = await process.communicate()

    assert b"Done: Turso confirmed" in out
    assert b"--as succeeded" in err


async def test_another_key_than_the_trails_is_refused(
    slack: LocalSlack, turso: LocalTurso, settings: dict[str, str], tmp_path: Path
) -> None:
    await run(settings | {"AUDIT_KEY": "k" * 32}, tmp_path, "rotate", "payments", *REASON, "--yes")
    called = turso.calls_to_rotate()
    code, _, err = await run(settings | {"AUDIT_KEY": "x" * 32}, tmp_path, "rotate", "payments", *REASON, "--yes")

    assert (code, "AUDIT_KEY is not the key of the audit trail" in err) == (2, True)
    assert turso.calls_to_rotate() == called == 1


@ONCE
async def test_what_was_written_beforehand_confirms_no_second_question(
    slack: LocalSlack, turso: LocalTurso, settings: dict[str, str], tmp_path: Path, trail: Trail
) -> None:
    process = await start(settings, tmp_path, "rotate", "payments", *REASON, fork=False)
    await says(process, "Type payments to rotate it")
    await run(settings, tmp_path, "audit", "note", "payments", "--note", "by hand")
    assert isinstance(process, asyncio.subprocess.Process)
    await process.communicate(b"payments\npayments\n")

    assert turso.calls_to_rotate() == 0
    assert (await trail())[-1] == "rotation.cancelled"


@ONCE
async def test_ctrl_c_before_the_question_leaves_no_request_behind(
    slack: LocalSlack, turso: LocalTurso, settings: dict[str, str], tmp_path: Path, trail: Trail
) -> None:
    turso.inject(Hang(), on=RequestKind.READS)
    process = await start(settings, tmp_path, "rotate", "payments", *REASON, "--yes")
    await turso.changes.until(lambda: bool(turso.requests))
    process.send_signal(signal.SIGINT)
    await process.communicate()

    assert (process.returncode, turso.calls_to_rotate()) == (1, 0)
    assert await trail() == ["rotation.requested", "rotation.cancelled"]


@pytest.mark.parametrize(
    "arguments", [("rotate", *REASON), ("audit", "note", "--note", "by hand"), ("allow", "add", "U024BE7LH", "--group")]
)
@pytest.mark.fault("F64")
async def test_a_token_typed_as_a_group_is_neither_recorded_nor_repeated(
    slack: LocalSlack, turso: LocalTurso, settings: dict[str, str], tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    code, out, err = await run(settings, tmp_path, *arguments, TOKEN)
    _, listed, _ = await run(settings, tmp_path, "audit", "list", "--format", "json")

    assert code == 2
    assert "That looks like a token, not a group name." in err
    assert TOKEN not in out + err + listed


@ONCE
@pytest.mark.parametrize(
    ("typed", "code", "words"),
    [
        ("Payments", 0, "Noted that payments was rotated by hand"),
        ("paymets", 1, "Turso has no group called paymets. Did you mean payments?"),
        ("pay*", 2, "Give a group name, not a pattern."),
    ],
)
@pytest.mark.fault("F39", "F62")
async def test_a_note_is_about_a_group_that_turso_has(
    slack: LocalSlack, turso: LocalTurso, settings: dict[str, str], tmp_path: Path, typed: str, code: int, words: str
) -> None:
    noted = await run(settings, tmp_path, "audit", "note", typed, "--note", "by hand")
    _, listed, _ = await run(settings, tmp_path, "audit", "list", "--format", "json", "--action", "noted")

    assert noted[0] == code
    assert words in noted[2]
    assert [each["group"] for each in json.loads(listed)] == (["payments"] if code == 0 else [])


async def test_without_turso_a_note_takes_the_spelling_of_the_history_or_says_that_it_does_not_know(
    slack: LocalSlack, turso: LocalTurso, settings: dict[str, str], tmp_path: Path
) -> None:
    await run(settings, tmp_path, "rotate", "payments", *REASON, "--yes")
    database = {name: settings[name] for name in ("DATABASE_URL", "TURSO_ORGANIZATION")}
    known = await run(database, tmp_path, "audit", "note", "PAYMENTS", "--note", "by hand")
    unknown = await run(database, tmp_path, "audit", "note", "default", "--note", "by hand")

    assert known[2].startswith("Noted that payments was")
    assert "Check the name" not in known[2]
    assert "Check the name: could not ask Turso, and no event is about a group called default." in unknown[2]


@ONCE
@pytest.mark.parametrize("at", ["0026-10-01", "99999w", "2019-12-31", "2999-01-01", "0001-01-01T00:00:00+14:00"])
@pytest.mark.fault("F39")
async def test_a_note_of_an_impossible_time_is_refused_and_blocks_no_card(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, settings: dict[str, str], tmp_path: Path, at: str
) -> None:
    code, _, err = await run(settings, tmp_path, "audit", "note", "payments", "--at", at, "--note", "by hand")
    await asks(slack, ALICE, "payments")

    assert code == 2
    assert "Traceback" not in err


@ONCE
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


async def rotates_over(
    line: Proxy, settings: dict[str, str], tmp_path: Path, *until: bytes
) -> Fork | asyncio.subprocess.Process:
    """Begin a rotation over a line to the database that falls silent once this was sent."""
    line.stalls_after(*until)
    reaches = settings | {"DATABASE_URL": over(line, settings["DATABASE_URL"])}
    return await start(reaches, tmp_path, "rotate", "payments", *REASON, "--yes")


async def says(process: Fork | asyncio.subprocess.Process, words: str) -> None:
    """Read standard error until it says this."""
    assert process.stderr is not None
    said = b""
    async with asyncio.timeout(15):
        while words.encode() not in said:
            more = await process.stderr.read(4096)
            assert more, said.decode()
            said += more


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
