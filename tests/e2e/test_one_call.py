"""One confirmation, at most one call: replicas, kills, twenty fingers on one button."""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.sandbox.faults import Fault
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from bot.sandbox.messages import PostedMessage
from tests.e2e.conftest import ALICE, BOB, Stories, Trail, announced, asks, connect, end_leases, id_on
from tests.process import BotProcess
from tests.proxy import Proxy

pytestmark = [pytest.mark.modes("socket"), pytest.mark.databases("sqlite")]

CONFIRM, CANCEL = "rotation:confirm", "rotation:cancel"
GROUPS = [f"group-{number:02}" for number in range(50)]
STORY = ["rotation.requested", "rotation.started", "rotation.succeeded"]


@pytest.fixture
async def turso() -> AsyncIterator[LocalTurso]:
    groups = {"payments": ("ledger",), "default": ()} | dict.fromkeys(GROUPS, ())
    async with LocalTurso(groups=groups) as organization:
        yield organization


@pytest.mark.modes("http")
@pytest.mark.databases("postgresql")
class TestTwoReplicas:
    @pytest.mark.fault("F14")
    async def test_two_processes_that_both_get_every_click_call_once(
        self,
        slack: LocalSlack,
        turso: LocalTurso,
        bot: BotProcess,
        settings: dict[str, str],
        tmp_path: Path,
        stories: Stories,
    ) -> None:
        async with BotProcess(tmp_path, settings) as other:
            doors = [f"http://127.0.0.1:{process.port}/slack/events" for process in (bot, other)]
            clicks = []
            for wave in range(0, len(GROUPS), 10):
                groups = GROUPS[wave : wave + 10]
                cards = await asyncio.gather(*(asks(slack, ALICE, group) for group in groups))
                clicks += await asyncio.gather(
                    *(slack.presses(ALICE, card, CONFIRM, over=door) for card in cards for door in doors)
                )
                for group in groups:
                    await slack.sees(ALICE, f"Done: the tokens of {group} are rotated", timeout=15)
                    await slack.sees(None, f"rotated the tokens of `{group}`", channel="C0AUDIT", timeout=15)
            sys.stdout.write(other.output)

        assert len(clicks) == 100
        assert {click.status for click in clicks} == {200}
        assert Counter(turso.calls_to_rotate(group) for group in GROUPS) == {1: 50}
        assert list((await stories()).values()) == [STORY] * 50
        assert [len(announced(slack, group)) for group in GROUPS] == [1] * 50


@pytest.mark.fault("F1")
async def test_a_bot_killed_before_the_call_left_is_unknown(
    slack: LocalSlack, turso: LocalTurso, settings: dict[str, str], tmp_path: Path, trail: Trail
) -> None:
    async with (
        Proxy(int(turso.url.rpartition(":")[2])) as way,
        BotProcess(tmp_path, settings | {"TURSO_API_URL": f"http://127.0.0.1:{way.port}"}) as bot,
    ):
        await connect(slack, bot, settings)
        card = await asks(slack, ALICE, "payments")
        way.stalls()
        await slack.presses(ALICE, card, CONFIRM)
        await bot.logs("rotation started")
        await bot.kills()
        await way.cuts()
        await way.resumes()
        await end_leases(settings)
        await bot.start()
        await connect(slack, bot, settings)
        await slack.sees(ALICE, "Unknown: the tokens of payments may have been rotated", timeout=15)
        await slack.sees(None, "Whether that happened is unknown", channel="C0AUDIT", timeout=15)

    assert turso.calls_to_rotate() == 0
    assert await trail() == ["rotation.requested", "rotation.started", "rotation.unknown"]


@pytest.mark.fault("F2")
async def test_a_bot_killed_between_call_and_row_is_unknown(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, settings: dict[str, str], trail: Trail
) -> None:
    turso.inject(Fault(delay=30))
    card = await asks(slack, ALICE, "payments")
    await slack.presses(ALICE, card, CONFIRM)
    await turso.reached()
    await bot.kills()
    turso.clear_faults()
    await end_leases(settings)
    await bot.start()
    await connect(slack, bot, settings)
    await slack.sees(ALICE, "Unknown: the tokens of payments may have been rotated", timeout=15)
    await slack.sees(None, "Whether that happened is unknown", channel="C0AUDIT", timeout=15)

    assert not any(service.works for service in turso.services if service.name == "payments-service")
    assert turso.calls_to_rotate() == 1
    assert len(announced(slack)) == 1
    assert await trail() == ["rotation.requested", "rotation.started", "rotation.unknown"]


@pytest.mark.fault("F15")
async def test_twenty_clicks_at_once_and_one_after_the_end_are_one_call(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, trail: Trail
) -> None:
    turso.inject(Fault(delay=1))
    card = await asks(slack, ALICE, "payments")
    clicks = await asyncio.gather(*(slack.presses(ALICE, card, CONFIRM) for _ in range(20)))
    await slack.sees(ALICE, "Done: the tokens of payments are rotated")
    # The card, "rotating…", the outcome, and an answer to each of the nineteen others.
    answers = await slack.called("response_url", 22)
    await slack.presses(ALICE, card, CONFIRM)
    await slack.presses(ALICE, card, CANCEL)
    await slack.called("response_url", 24)
    others = [message for message in slack.visible_to(ALICE) if message is not card and message.channel != "C0AUDIT"]

    assert {click.status for click in clicks} == {200}
    assert {answer.status for answer in answers} == {200}
    assert turso.calls_to_rotate() == 1
    assert len(others) == 19
    assert all("(started by you" in message.plain for message in others)
    assert all("Your press changed nothing." in message.plain for message in others)
    assert "Done: the tokens of payments are rotated" in card.plain
    assert card.buttons == []
    assert await trail() == STORY


@pytest.mark.fault("F21")
async def test_the_second_person_is_told_who_is_rotating(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, trail: Trail
) -> None:
    turso.inject(Fault(delay=1))
    first, second = await asks(slack, ALICE, "payments"), await asks(slack, BOB, "payments")
    await asyncio.gather(slack.presses(ALICE, first, CONFIRM), slack.presses(BOB, second, CONFIRM))
    losing = [asyncio.ensure_future(slack.sees(each, "Your press changed nothing")) for each in (ALICE, BOB)]
    done, waiting = await asyncio.wait(losing, return_when=asyncio.FIRST_COMPLETED)
    told, calls = done.pop().result(), turso.calls_to_rotate()
    await cancelled(*waiting)
    loser, winner = (BOB, ALICE) if told.ephemeral_to == BOB.user_id else (ALICE, BOB)
    await slack.sees(winner, "Done: the tokens of payments are rotated")

    assert f"by @{winner.name}" in told.plain
    assert told.ephemeral_to == loser.user_id
    assert calls <= 1
    assert turso.calls_to_rotate() == 1
    assert sorted(await trail()) == sorted([*STORY, *["rotation.requested"] * 2, "rotation.superseded"])


async def cancelled(*tasks: asyncio.Task[PostedMessage]) -> None:
    """Cancel tasks, and wait until they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.fault("F34")
async def test_a_click_on_another_deployments_card_is_recognized(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, trail: Trail
) -> None:
    card = await asks(slack, ALICE, "payments")
    await slack.presses(ALICE, card, CONFIRM, value="0123456789abc")
    await slack.sees(ALICE, "This database has no rotation with this ID", "This press rotated nothing")

    assert id_on(card) != "0123456789abc"
    assert turso.calls_to_rotate() == 0
    assert await trail() == ["rotation.requested", "rotation.denied"]
