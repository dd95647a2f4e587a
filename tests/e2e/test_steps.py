"""The log of the real process: one event for each step, which names the rotation, and no noise."""

import json
from pathlib import Path

import pytest

from bot.sandbox.faults import FixedResponse
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from tests.e2e.conftest import ALICE, BOB, asks, id_on
from tests.process import BotProcess

pytestmark = [pytest.mark.modes("http"), pytest.mark.databases("sqlite")]

CONFIRM, CANCEL = "rotation:confirm", "rotation:cancel"
CALLED = ["request opened", "rotation started", "calling Turso", "call ended", "rotation ended"]


async def test_each_step_is_one_event_that_names_the_rotation(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess
) -> None:
    done, withdrawn = [await asks(slack, ALICE, f"{group} key leaked") for group in ("payments", "default")]
    await slack.presses(BOB, done, CONFIRM)
    await slack.sees(BOB, "Only the person who requested")
    turso.inject(FixedResponse(500, b"{}"))
    await slack.presses(ALICE, done, CONFIRM)
    await slack.sees(None, "Whether that happened is unknown", channel="C0AUDIT")
    rotation = id_on(withdrawn)
    await slack.presses(ALICE, withdrawn, CANCEL)
    await slack.sees(ALICE, "Cancelled")
    await bot.kills()
    records = [json.loads(line) for line in bot.lines]
    told = {record["event"]: record for record in records if record.get("rotation") not in {None, rotation}}

    assert [*told] == ["request opened", "refused", *CALLED[1:], "card settled", "announced"]
    assert told["refused"]["reason"] == "not_yours"
    assert (told["call ended"]["status"], told["call ended"]["state"]) == (500, "unknown")
    assert 0 < told["call ended"]["seconds"] < 5
    assert told["rotation ended"]["state"] == "unknown"
    assert [record["event"] for record in records if record.get("rotation") == rotation][:2] == [
        "request opened",
        "request cancelled",
    ]
    assert "key leaked" not in bot.output


async def test_history_of_another_organization_is_pointed_out_at_the_start(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, settings: dict[str, str]
) -> None:
    await asks(slack, ALICE, "payments")
    alone = "another organization" in bot.output
    await bot.kills()
    bot._settings = settings | {"TURSO_ORGANIZATION": "acme-staging"}
    await bot.start()
    warned = await bot.logs("the database also holds other organizations: grants hold for all of them")

    assert not alone
    assert (warned["level"], warned["others"]) == ("warning", ["acme"])


@pytest.mark.modes("socket")
class TestOnATerminal:
    @pytest.fixture
    def changes(self) -> dict[str, str]:
        return {"LOG_FORMAT": "console"}

    @pytest.mark.usefixtures("turso")
    async def test_the_steps_read_as_lines(self, slack: LocalSlack, settings: dict[str, str], tmp_path: Path) -> None:
        bot = BotProcess(tmp_path, settings)
        await bot.launch()
        await slack.connected(timeout=15)
        card = await asks(slack, ALICE, "payments")
        await slack.presses(ALICE, card, CONFIRM)
        await slack.sees(None, "rotated the tokens of", channel="C0AUDIT")
        await bot.kills()
        lines = [line for line in bot.lines if f"rotation={id_on(card)}" in line]

        assert [step for step in CALLED if any(step in line for line in lines)] == CALLED
        assert not [line for line in lines if line.startswith("{")]


@pytest.mark.modes("socket")
class TestALostConnection:
    async def test_it_is_said_calmly(self, slack: LocalSlack, bot: BotProcess) -> None:
        await slack.go_offline()
        await bot.logs("connection to Slack lost")
        await slack.go_online()
        slack.refuse_sockets(2)
        slack.drop_connections()
        await bot.logs("connection to Slack is back")
        await bot.kills()
        troubles = [record for record in map(json.loads, bot.lines) if record["level"] in {"warning", "error"}]

        assert "Traceback" not in bot.output
        assert len({record["event"] for record in troubles}) == len(troubles)
