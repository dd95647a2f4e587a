"""Without an audit channel people hear of a rotation where it was asked for."""

import pytest

from bot.sandbox.faults import FixedResponse
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from tests.e2e.conftest import ALICE, announced, asks, id_on
from tests.process import BotProcess

pytestmark = pytest.mark.databases("sqlite")

CONFIRM = "rotation:confirm"


@pytest.fixture
def changes() -> dict[str, str]:
    return {"AUDIT_CHANNEL": ""}


@pytest.mark.usefixtures("bot")
async def test_an_announcement_goes_where_the_command_was_typed(slack: LocalSlack) -> None:
    card = await asks(slack, ALICE, "payments key leaked")
    rotation = id_on(card)
    await slack.presses(ALICE, card, CONFIRM)
    told = await slack.sees(None, "@alice rotated the tokens of `payments` in `acme`", "Reason: key leaked", rotation)

    assert (told.channel, told.via, told.ephemeral_to) == ("C0INCIDENT", "chat.postMessage", None)
    assert announced(slack) == []


@pytest.mark.usefixtures("bot")
async def test_where_the_bot_is_no_member_the_press_opens_the_way(slack: LocalSlack) -> None:
    slack.workspace.joined.discard("C0INCIDENT")
    card = await asks(slack, ALICE, "payments key leaked")
    rotation = id_on(card)
    await slack.presses(ALICE, card, CONFIRM)
    told = await slack.sees(None, "@alice rotated the tokens of `payments` in `acme`", "Reason: key leaked", rotation)

    assert (told.channel, told.via, told.ephemeral_to) == ("C0INCIDENT", "response_url", None)
    assert announced(slack) == []


async def test_what_ended_badly_is_announced_there_too(slack: LocalSlack, turso: LocalTurso, bot: BotProcess) -> None:
    turso.inject(FixedResponse(500))
    card = await asks(slack, ALICE, "payments")
    rotation = id_on(card)
    await slack.presses(ALICE, card, CONFIRM)
    told = await slack.sees(None, "Whether that happened is unknown", "@alice", "`payments`", rotation)

    assert (told.channel, told.ephemeral_to) == ("C0INCIDENT", None)
