"""What went wrong in real bots of this kind, and must not go wrong in this one."""

import pytest

from bot.sandbox.faults import CloseConnection, Fault, FixedResponse, Hang
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from bot.sandbox.messages import PostedMessage
from bot.sandbox.render import render
from bot.store.database import Database
from tests.e2e.conftest import ALICE, Stories, Trail, asks, connect, id_on
from tests.process import BotProcess
from tests.store import shell

pytestmark = [pytest.mark.modes("socket"), pytest.mark.databases("sqlite")]

CONFIRM = "rotation:confirm"
STORY = ["rotation.requested", "rotation.started", "rotation.succeeded"]


def everything_on(card: PostedMessage) -> str:
    """Read every version that the card ever had."""
    return "\n".join(render(each.text, each.blocks, card.names) for each in (*card.versions, card.content))


@pytest.mark.parametrize(
    ("fault", "end"),
    [
        (FixedResponse(403), "Failed"),
        (FixedResponse(500), "Unknown"),
        (CloseConnection(), "Unknown"),
        (Hang(), "Unknown"),
    ],
    ids=["refused", "broken", "closed", "silent"],
)
@pytest.mark.usefixtures("bot")
@pytest.mark.mistake
async def test_success_is_never_shown_before_turso_confirmed_it(
    fault: Fault, end: str, slack: LocalSlack, turso: LocalTurso
) -> None:
    turso.inject(fault)
    card = await asks(slack, ALICE, "payments")
    await slack.presses(ALICE, card, CONFIRM)
    await slack.sees(ALICE, f"{end}: the tokens of payments")
    await slack.sees(None, "`payments`", channel="C0AUDIT")
    said = [everything_on(message) for message in slack.messages]

    assert len(card.versions) == 2  # the question, and that it is under way
    for claim in ("Done", "are rotated", ":white_check_mark:", "@alice rotated"):
        assert not any(claim in text for text in said), claim


@pytest.mark.parametrize("fault", [FixedResponse(500), CloseConnection(), Hang()], ids=["broken", "closed", "silent"])
@pytest.mark.usefixtures("bot")
@pytest.mark.mistake
async def test_a_group_is_free_again_after_an_unknown(
    fault: Fault, slack: LocalSlack, turso: LocalTurso, stories: Stories
) -> None:
    turso.inject(fault, times=1)
    first = await asks(slack, ALICE, "payments")
    rotation = id_on(first)
    await slack.presses(ALICE, first, CONFIRM)
    await slack.sees(ALICE, "Unknown: the tokens of payments")
    second = await asks(slack, ALICE, "payments on purpose")
    asked, again = second.plain, id_on(second)
    await slack.presses(ALICE, second, CONFIRM)
    await slack.sees(ALICE, "Done: the tokens of payments are rotated")

    assert "(outcome unknown)" in asked
    assert turso.calls_to_rotate() == 2
    assert await stories() == {rotation: [*STORY[:2], "rotation.unknown"], again: STORY}


@pytest.mark.mistake
async def test_the_first_click_after_a_restart_counts(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, settings: dict[str, str], trail: Trail
) -> None:
    card = await asks(slack, ALICE, "payments")
    await bot.kills()
    await slack.connected(0)
    await bot.start()
    await connect(slack, bot, settings)
    pressed = await slack.presses(ALICE, card, CONFIRM)
    await slack.sees(ALICE, "Done: the tokens of payments are rotated")

    assert pressed.status == 200
    assert turso.calls_to_rotate() == 1
    assert await trail() == STORY


@pytest.mark.usefixtures("bot")
@pytest.mark.mistake
async def test_a_reason_is_kept_beyond_its_colons(slack: LocalSlack, database: Database) -> None:
    reason = "key leaked: in CI log: see https://ci.example/1:2"
    card = await asks(slack, ALICE, f"payments {reason}")
    asked = card.plain
    await slack.presses(ALICE, card, CONFIRM)
    told = await slack.sees(None, "rotated the tokens of", channel="C0AUDIT")
    kept = await shell.rows(database, "SELECT reason FROM rotations")

    assert f"Reason: {reason}\n" in asked
    assert f"Reason: {reason}\n" in told.plain
    assert kept == [(reason,)]
