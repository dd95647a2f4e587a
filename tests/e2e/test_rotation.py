"""The main job, through the real process: command, card, click, outcome, audit row."""

import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.sandbox.faults import Hang
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso, RequestKind
from bot.sandbox.workspace import Person
from tests.e2e.conftest import ALICE, BOB, GUEST, MALLORY, Stories, Trail, asks, connect, end_leases, id_on
from tests.process import BotProcess, run

CONFIRM, CANCEL = "rotation:confirm", "rotation:cancel"
GROUPS = {"payments": ("ledger", "invoices"), "default": (), "search": ()}
STORY = ["rotation.requested", "rotation.started", "rotation.succeeded"]
VISITOR = Person("U0V1S1T06", "visitor", is_guest=True)
"""A guest whom the bot's own workspace has invited."""


@pytest.fixture
async def turso() -> AsyncIterator[LocalTurso]:
    async with LocalTurso(groups=GROUPS) as organization:
        yield organization


@pytest.mark.matrix("the main job")
async def test_an_allowed_person_rotates(slack: LocalSlack, turso: LocalTurso, bot: BotProcess, trail: Trail) -> None:
    typed = await slack.types(ALICE, "/turso-rotate payments key leaked in CI log")
    card = await slack.sees(ALICE, "Rotate the tokens of payments?", "key leaked in CI log", "2 databases", "ledger")
    rotation = id_on(card)
    await slack.presses(ALICE, card, CONFIRM)
    done = await slack.sees(ALICE, "Done: the tokens of payments are rotated", "turso group tokens create payments")
    told = await slack.sees(None, "@alice rotated the tokens of", channel="C0AUDIT")

    assert typed.status == 200
    assert card.ephemeral_to == ALICE.user_id
    assert done is card
    assert done.buttons == []
    for words in ("@alice rotated the tokens of `payments` in `acme`", "Reason: key leaked in CI log", rotation):
        assert words in told.plain
    assert turso.calls_to_rotate("payments") == 1
    assert await trail() == ["rotation.requested", "rotation.started", "rotation.succeeded"]


async def test_a_stranger_is_refused_and_remembered(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, trail: Trail
) -> None:
    await slack.types(MALLORY, "/turso-rotate payments")
    reply = await slack.sees(MALLORY, "not on the allowlist")

    assert "allow add U0MALL003 --team T012AB3CD --group payments" in reply.plain
    assert [request.path for request in turso.requests] == ["/v1/organizations/acme/groups"]
    assert await trail() == ["rotation.denied"]


@pytest.mark.parametrize(
    "changes", [{"TURSO_API_TOKEN": "", "TURSO_GROUP_TOKENS": '{"default": "local-turso-token"}'}], ids=["default"]
)
async def test_a_group_without_a_token_is_refused_and_somebody_named_who_can_mend_it(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, trail: Trail
) -> None:
    await slack.types(ALICE, "/turso-rotate payments")
    reply = await slack.sees(ALICE, "The bot has no Turso API token for payments.", "the attempt is recorded")

    assert "An operator of this bot can set one for this group in TURSO_GROUP_TOKENS." in reply.plain.replace("`", "")
    assert {request.method for request in turso.requests} == {"GET"}
    assert await trail() == ["rotation.denied"]


async def test_cancel_settles_the_card(slack: LocalSlack, turso: LocalTurso, bot: BotProcess, trail: Trail) -> None:
    await slack.types(ALICE, "/turso-rotate payments")
    card = await slack.sees(ALICE, "Rotate the tokens of payments?")
    await slack.presses(ALICE, card, CANCEL)
    await slack.sees(ALICE, "Cancelled")
    await slack.presses(ALICE, card, CONFIRM)
    await slack.called("response_url", 3)

    assert card.buttons == []
    assert "Cancelled" in card.plain
    assert turso.calls_to_rotate() == 0
    assert await trail() == ["rotation.requested", "rotation.cancelled"]


@pytest.mark.parametrize("action", [CONFIRM, CANCEL])
@pytest.mark.fault("F19")
async def test_nobody_else_can_press(
    action: str, slack: LocalSlack, turso: LocalTurso, bot: BotProcess, trail: Trail
) -> None:
    await slack.types(ALICE, "/turso-rotate payments")
    card = await slack.sees(ALICE, "Rotate the tokens of payments?")
    for person in (BOB, MALLORY, GUEST):
        await slack.presses(person, card, action)
        await slack.sees(person, "This press rotated nothing; the attempt is recorded")
    await slack.presses(ALICE, card, action, without=("team", "message"))
    await slack.sees(ALICE, "another workspace")

    assert card.buttons == [CONFIRM, CANCEL]
    assert turso.calls_to_rotate() == 0
    assert await trail() == ["rotation.requested", *["rotation.denied"] * 4]


@pytest.mark.fault("F19")
async def test_a_command_from_another_workspace_is_refused_and_remembered(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, trail: Trail
) -> None:
    typed = await slack.types(GUEST, "/turso-rotate payments let me in")
    reply = await slack.sees(GUEST, "This bot serves another workspace.", "the attempt is recorded")

    assert typed.status == 200
    assert reply.ephemeral_to == GUEST.user_id
    assert turso.requests == []
    assert await trail() == ["rotation.denied"]


@pytest.mark.fault("F19")
async def test_a_guest_of_the_workspace_needs_a_grant_like_everybody(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, trail: Trail
) -> None:
    await slack.types(VISITOR, "/turso-rotate payments")
    await slack.sees(VISITOR, "You are not on the allowlist for payments.", "the attempt is recorded")
    card = await asks(slack, ALICE, "payments")
    for action in (CONFIRM, CANCEL):
        since = len(slack.messages)
        await slack.presses(VISITOR, card, action)
        await slack.sees(VISITOR, "Only the person who requested", "the attempt is recorded", since=since)

    assert card.buttons == [CONFIRM, CANCEL]
    assert turso.calls_to_rotate() == 0
    assert await trail() == ["rotation.denied", "rotation.requested", "rotation.denied", "rotation.denied"]


async def test_an_unknown_group_is_rejected_with_a_suggestion(slack: LocalSlack, bot: BotProcess, trail: Trail) -> None:
    await slack.types(ALICE, "/turso-rotate paymnets")
    await slack.sees(ALICE, "no group called", "Did you mean", "payments")

    assert await trail() == ["rotation.rejected"]


@pytest.mark.law(8)
async def test_slack_is_answered_at_once_while_turso_hangs(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess
) -> None:
    turso.inject(Hang(), on=RequestKind.READS)
    typed = await slack.types(ALICE, "/turso-rotate payments")
    card = await slack.sees(
        ALICE, "Could not list the group's databases.", "Could not ask Turso whether this group exists"
    )
    turso.clear_faults()

    assert (typed.status, typed.seconds < 1) == (200, True)
    assert card.buttons == [CONFIRM, CANCEL]


@pytest.mark.matrix("each mode delivers again in its way, and each database refuses in its")
@pytest.mark.fault("F16")
async def test_a_command_delivered_twice_is_one_request(slack: LocalSlack, bot: BotProcess, trail: Trail) -> None:
    typed = await slack.types(ALICE, "/turso-rotate payments")
    await slack.sees(ALICE, "Rotate the tokens of payments?")
    again = await slack.redelivers(typed)
    await bot.logs("delivered twice")

    assert again.status == 200
    assert len(slack.visible_to(ALICE)) == 1
    assert await trail() == ["rotation.requested"]


@pytest.mark.matrix("each mode connects again, to what each database kept")
@pytest.mark.fault("F1")
async def test_a_bot_killed_in_the_call_says_unknown_after_its_restart(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, settings: dict[str, str], tmp_path: Path, trail: Trail
) -> None:
    turso.inject(Hang())
    await slack.types(ALICE, "/turso-rotate payments")
    card = await slack.sees(ALICE, "Rotate the tokens of payments?")
    await slack.presses(ALICE, card, CONFIRM)
    await turso.reached()
    await bot.kills()
    turso.clear_faults()
    await end_leases(settings)
    await bot.start()
    await connect(slack, bot, settings)

    await slack.sees(ALICE, "Unknown: the tokens of payments may have been rotated", timeout=15)
    await slack.sees(None, "Whether that happened is unknown", channel="C0AUDIT", timeout=15)
    assert turso.calls_to_rotate() == 1
    assert await trail() == ["rotation.requested", "rotation.started", "rotation.unknown"]


@pytest.mark.matrix("each mode stops while each database still writes")
@pytest.mark.parametrize("changes", [{"TURSO_TIMEOUT": "20"}], ids=["patient"])
@pytest.mark.fault("F25")
async def test_a_stopped_bot_finishes_what_is_in_flight(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, stories: Stories
) -> None:
    turso.inject(Hang())
    waiting = await asks(slack, BOB, "payments")
    cards = {group: await asks(slack, ALICE, group) for group in GROUPS}
    rotations = [id_on(card) for card in cards.values()]
    for card in cards.values():
        await slack.presses(ALICE, card, CONFIRM)
    await turso.reached(3)
    await bot.signals(signal.SIGTERM)
    await bot.logs("stopping")
    await slack.types(BOB, "/turso-rotate default")
    told = await slack.sees(BOB, "I am shutting down")
    await slack.presses(BOB, waiting, CONFIRM)
    await slack.sees(BOB, "I am shutting down", "try again in a minute", since=told.position + 1)
    turso.clear_faults()
    code = await bot.ended()
    for group in GROUPS:
        await slack.sees(ALICE, f"Done: the tokens of {group} are rotated")
    story = await stories()

    assert code == 0
    assert [story.pop(rotation) for rotation in rotations] == [STORY] * 3
    assert list(story.items()) == [(id_on(waiting), ["rotation.requested"])]
    assert waiting.buttons == [CONFIRM, CANCEL]
    assert turso.calls_to_rotate() == 3


async def test_the_story_of_a_rotation_can_be_shown(
    slack: LocalSlack, bot: BotProcess, settings: dict[str, str], tmp_path: Path
) -> None:
    await slack.types(ALICE, "/turso-rotate payments")
    card = await slack.sees(ALICE, "Rotate the tokens of payments?")
    await slack.presses(ALICE, card, CONFIRM)
    await slack.sees(ALICE, "Done")
    rotation = id_on(card)
    code, out, _ = await run(settings, tmp_path, "audit", "show", rotation, "--format", "json")

    story = json.loads(out)
    assert code == 0
    assert [event["action"] for event in story] == ["rotation.requested", "rotation.started", "rotation.succeeded"]
    assert {event["actor"]["user_id"] for event in story} == {ALICE.user_id}
    assert story[2]["detail"]["status"] == 200
