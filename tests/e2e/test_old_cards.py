"""A card answers for the world it described: an old one kills no tokens minted since."""

import asyncio
import re
from pathlib import Path

import pytest

from bot.sandbox.faults import FixedResponse, Hang
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from bot.sandbox.messages import PostedMessage
from bot.sandbox.workspace import Person
from tests.databases import load_url
from tests.e2e.conftest import ALICE, BOB, Stories, Trail, asks, id_on
from tests.process import BotProcess, run
from tests.store.attack import attack

CONFIRM, AGAIN, CANCEL = "rotation:confirm", "rotation:confirm_again", "rotation:cancel"
DONE = "Done: the tokens of payments are rotated"
ASKS_ANEW = "Your press changed nothing"
LONG_AGO = "UPDATE rotations SET ended_at = '2026-01-01T00:00:00.000000Z' WHERE state = 'superseded'"


async def rotated(slack: LocalSlack, person: Person, card: PostedMessage) -> None:
    """Confirm, and wait for the outcome."""
    await slack.presses(person, card, CONFIRM)
    await slack.sees(person, DONE)


async def asked_anew(slack: LocalSlack) -> tuple[PostedMessage, str]:
    """Let Bob press a card that a rotation of Alice's has outdated; return it, and what its old button carried."""
    first, old = await asks(slack, ALICE, "payments"), await asks(slack, BOB, "payments")
    value = id_on(old)
    await rotated(slack, ALICE, first)
    await slack.presses(BOB, old, CONFIRM)
    await slack.sees(BOB, ASKS_ANEW)
    return old, value


@pytest.mark.law(2)
@pytest.mark.fault("F39")
async def test_an_old_card_asks_anew_instead_of_ending_new_tokens(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, stories: Stories
) -> None:
    first, old = await asks(slack, ALICE, "payments"), await asks(slack, BOB, "payments leaked too")
    before = id_on(old)
    await rotated(slack, ALICE, first)
    await slack.presses(BOB, old, CONFIRM)
    await slack.sees(BOB, "Rotate the tokens of payments again?", ASKS_ANEW, "by @alice", "Reason: leaked too")
    calls, after = turso.calls_to_rotate(), id_on(old)
    await slack.presses(BOB, old, AGAIN)
    await slack.sees(BOB, DONE)

    assert calls == 1
    assert turso.calls_to_rotate() == 2
    assert before != after
    told = await stories()
    assert told[before] == ["rotation.requested", "rotation.superseded"]
    assert told[after] == ["rotation.requested", "rotation.started", "rotation.succeeded"]


@pytest.mark.fault("F39")
async def test_a_second_press_on_the_old_button_starts_nothing(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, trail: Trail
) -> None:
    old, value = await asked_anew(slack)
    await asyncio.gather(*(slack.presses(BOB, old, CONFIRM, value=value) for _ in range(3)))
    await slack.sees(BOB, "took the place of this one")

    assert turso.calls_to_rotate() == 1
    assert (await trail()).count("rotation.superseded") == 1


@pytest.mark.fault("F39", "F15")
async def test_a_double_click_on_an_old_button_leaves_the_card_that_asks_anew(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess
) -> None:
    old, value = await asked_anew(slack)
    await slack.presses(BOB, old, CONFIRM, value=value)
    await slack.sees(BOB, "took the place of this one")
    await slack.presses(BOB, old, AGAIN)
    await slack.sees(BOB, DONE)

    assert turso.calls_to_rotate() == 2


@pytest.mark.law(9)
@pytest.mark.fault("F39", "F22")
async def test_an_old_card_that_could_not_be_replaced_is_settled_by_a_later_press(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, settings: dict[str, str]
) -> None:
    first, old = await asks(slack, ALICE, "payments"), await asks(slack, BOB, "payments")
    await rotated(slack, ALICE, first)
    slack.fail("response_url", status=404)
    await slack.presses(BOB, old, CONFIRM)
    new = await slack.sees(BOB, ASKS_ANEW)
    slack.clear_faults()
    before = list(old.buttons)
    await asyncio.to_thread(attack, load_url(settings["DATABASE_URL"]), LONG_AGO)
    await slack.presses(BOB, old, CONFIRM)
    await slack.sees(BOB, "took the place of this one")

    assert before == [CONFIRM, CANCEL]
    assert old.buttons == []
    assert new.buttons == [AGAIN, CANCEL]
    assert turso.calls_to_rotate() == 1


@pytest.mark.fault("F39")
async def test_a_press_during_a_call_is_asked_anew_and_can_be_cancelled(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess
) -> None:
    turso.inject(Hang())
    first, second = await asks(slack, ALICE, "payments"), await asks(slack, BOB, "payments")
    await slack.presses(ALICE, first, CONFIRM)
    await turso.reached()
    await slack.presses(BOB, second, CONFIRM)
    await slack.sees(BOB, ASKS_ANEW, "Being rotated right now", "by @alice")
    await slack.presses(BOB, second, CANCEL)
    await slack.sees(BOB, "Cancelled")

    assert turso.calls_to_rotate() == 1


@pytest.mark.fault("F39")
async def test_a_rotation_that_failed_takes_nothing_from_a_card(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess
) -> None:
    first, second = await asks(slack, ALICE, "payments"), await asks(slack, BOB, "payments")
    turso.inject(FixedResponse(403, b'{"error": "no"}'), times=1)
    await slack.presses(ALICE, first, CONFIRM)
    await slack.sees(ALICE, "Failed: the tokens of payments were not rotated")
    await rotated(slack, BOB, second)

    assert turso.calls_to_rotate() == 2


@pytest.mark.fault("F39")
async def test_a_rotation_made_by_hand_counts_as_newer(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, settings: dict[str, str], tmp_path: Path
) -> None:
    card = await asks(slack, ALICE, "payments")
    noted = await run(settings, tmp_path, "audit", "note", "payments", "--at", "5m", "--note", "Bob, in the web app")
    await slack.presses(ALICE, card, CONFIRM)
    await slack.sees(ALICE, ASKS_ANEW, "Rotated by hand", "Bob, in the web app", "ends the tokens minted since")
    await slack.types(BOB, "/turso-audit payments")
    await slack.sees(BOB, "noted", "Bob, in the web app")

    assert noted[0] == 0
    assert turso.calls_to_rotate() == 0


@pytest.mark.fault("F39")
async def test_a_new_card_warns_of_a_rotation_of_the_last_day_and_of_another_card(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess
) -> None:
    other = await asks(slack, BOB, "payments")
    await rotated(slack, ALICE, await asks(slack, ALICE, "payments"))
    card = await asks(slack, ALICE, "payments")

    assert re.search(r"\*Last rotated .* by @alice\.\* Rotating again also ends the tokens minted since\.", card.plain)
    assert "*@bob also asked for this*" in card.plain
    assert CONFIRM in other.buttons


@pytest.mark.fault("F39")
async def test_who_asks_again_has_one_card_that_counts(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, stories: Stories
) -> None:
    old, new = await asks(slack, ALICE, "payments"), await asks(slack, ALICE, "payments")
    old_id, new_id = id_on(old), id_on(new)
    await slack.presses(ALICE, old, CONFIRM)
    await slack.sees(ALICE, "took the place of this one")
    await rotated(slack, ALICE, new)

    assert turso.calls_to_rotate() == 1
    told = await stories()
    assert told[old_id] == ["rotation.requested", "rotation.superseded"]
    assert told[new_id] == ["rotation.requested", "rotation.started", "rotation.succeeded"]
