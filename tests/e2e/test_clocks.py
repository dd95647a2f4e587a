"""Clocks that are wrong, things that are too old, and ends that do not come in time."""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.sandbox.faults import Fault, Hang
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from tests.databases import load_url
from tests.e2e.conftest import ALICE, BOB, GUEST, MALLORY, Stories, Trail, announced, asks, connect
from tests.process import BotProcess, run
from tests.store import shell

pytestmark = [pytest.mark.modes("socket"), pytest.mark.databases("sqlite")]

CONFIRM = "rotation:confirm"
GROUPS = {"payments": (), "default": (), "search": ()}
STORY = ["rotation.requested", "rotation.started", "rotation.succeeded"]
WRONG_CLOCK = """
import datetime, time
import psycopg  # its C code wants the real class

_right, _real = time.time, datetime.datetime


class _Any(type):
    def __instancecheck__(cls, value):
        return isinstance(value, _real)


class _Wrong(_real, metaclass=_Any):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)


time.time = lambda: _right() + {seconds}
datetime.datetime = _Wrong
"""


SLEEPS = """
import time
from itertools import count

_right, _readings = time.clock_gettime, count()
time.clock_gettime = lambda clock: _right(clock) + (60 if next(_readings) else 0)
"""
"""The machine is suspended for a minute between the first reading of this clock and the second."""


@pytest.fixture
def ahead() -> list[float]:
    """Seconds that Slack's clock is ahead; a test turns it."""
    return [0.0]


@pytest.fixture
async def slack(ahead: list[float]) -> AsyncIterator[LocalSlack]:
    people = (ALICE, BOB, MALLORY, GUEST)
    async with LocalSlack(people=people, clock=lambda: time.time() + ahead[0]) as workspace:
        yield workspace


@pytest.fixture
async def turso() -> AsyncIterator[LocalTurso]:
    async with LocalTurso(groups=GROUPS) as organization:
        yield organization


@pytest.mark.fault("F8")
async def test_a_handshake_that_never_ends_is_a_failure(
    slack: LocalSlack, settings: dict[str, str], tmp_path: Path, trail: Trail
) -> None:
    async def keeps_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1024):
            pass
        writer.close()

    server = await asyncio.start_server(keeps_silent, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    async with server, BotProcess(tmp_path, settings | {"TURSO_API_URL": f"https://127.0.0.1:{port}"}) as bot:
        await connect(slack, bot, settings)
        card = await asks(slack, ALICE, "payments")
        await slack.presses(ALICE, card, CONFIRM)
        await slack.sees(ALICE, "Failed: the tokens of payments were not rotated", "in time", "nothing was sent")

    assert card.buttons == []
    assert await trail() == ["rotation.requested", "rotation.started", "rotation.failed"]


@pytest.mark.parametrize("seconds", [300, -300], ids=["fast", "slow"])
@pytest.mark.fault("F17")
async def test_a_replica_whose_clock_is_wrong_asks_the_databases(
    seconds: int, slack: LocalSlack, turso: LocalTurso, settings: dict[str, str], tmp_path: Path, trail: Trail
) -> None:
    (tmp_path / "sitecustomize.py").write_text(WRONG_CLOCK.format(seconds=seconds))
    turso.inject(Fault(delay=1))
    path = {"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2]}"}
    async with BotProcess(tmp_path, settings | path | {"CONFIRM_TTL": "120"}) as bot:
        await connect(slack, bot, settings)
        stamp = (await bot.logs("serving"))["at"]
        card = await asks(slack, ALICE, "payments")
        await slack.presses(ALICE, card, CONFIRM)
        await slack.sees(ALICE, "Done: the tokens of payments are rotated")

    assert abs(_age(stamp) + seconds) < 60  # or the clock was right, and this shows nothing
    assert turso.calls_to_rotate() == 1
    assert await trail() == STORY


@pytest.mark.databases("sqlite", "postgresql")
@pytest.mark.usefixtures("bot")
@pytest.mark.fault("F56")
async def test_a_clock_that_stepped_back_ends_no_grant_and_revives_none(
    slack: LocalSlack, turso: LocalTurso, settings: dict[str, str], tmp_path: Path, trail: Trail
) -> None:
    later, team = (datetime.now(UTC) + timedelta(hours=1)).isoformat().replace("+00:00", "Z"), MALLORY.team_id
    url, columns = load_url(settings["DATABASE_URL"]), "team_id, user_id, pattern, note, role, granted_at"
    grant = f"'{team}', '{MALLORY.user_id}', 'payments', '', 'rotate', '{later}', 'cli', 'root'"
    granted = f"INSERT INTO allowlist ({columns}, granted_by_team, granted_by_user) VALUES ({grant})"  # noqa: S608 - ours
    revoked = f"revoked_at = '{later}', revoked_by_team = 'cli', revoked_by_user = 'root'"
    await asyncio.to_thread(shell.run, url, granted)
    await slack.presses(MALLORY, await asks(slack, MALLORY, "payments"), CONFIRM)
    await slack.sees(MALLORY, "Done: the tokens of payments are rotated")
    listed = await run(settings, tmp_path, "allow", "list", "--format", "json")
    who = await run(settings, tmp_path, "allow", "who", "payments")
    before = await run(settings, tmp_path, "allow", "who", "payments", "--at", "1m")
    card = await asks(slack, MALLORY, "payments")
    await asyncio.to_thread(shell.run, url, f"UPDATE allowlist SET {revoked} WHERE user_id = '{MALLORY.user_id}'")  # noqa: S608 - ours
    await slack.presses(MALLORY, card, CONFIRM)
    await slack.sees(MALLORY, "You are not on the allowlist for payments")

    states = {grant["user"]: grant["state"] for grant in json.loads(listed[1])}
    assert states == dict.fromkeys([ALICE.user_id, BOB.user_id, MALLORY.user_id], "in force")
    assert MALLORY.user_id in who[1]
    assert MALLORY.user_id not in before[1]
    assert turso.calls_to_rotate() == 1
    assert await trail() == [*STORY, "rotation.requested", "rotation.denied"]


@pytest.mark.databases("postgresql")
class TestTwoReplicas:
    @pytest.mark.parametrize("seconds", [300, -300], ids=["fast", "slow"])
    @pytest.mark.fault("F17")
    async def test_a_replica_whose_clock_is_wrong_gives_up_no_call_of_another(
        self, seconds: int, slack: LocalSlack, turso: LocalTurso, settings: dict[str, str], tmp_path: Path, trail: Trail
    ) -> None:
        (tmp_path / "sitecustomize.py").write_text(WRONG_CLOCK.format(seconds=seconds))
        path = {"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2]}"}
        turso.inject(Fault(delay=4))
        patient = settings | {"TURSO_TIMEOUT": "10"}
        async with BotProcess(tmp_path, patient) as right:
            await connect(slack, right, settings)
            card = await asks(slack, ALICE, "payments")
            await slack.presses(ALICE, card, CONFIRM)
            await turso.reached()
            async with BotProcess(tmp_path, patient | path) as wrong:
                stamp = (await wrong.logs("serving"))["at"]  # it has swept once by then, and sweeps on each second
                await slack.sees(ALICE, "Done: the tokens of payments are rotated", timeout=10)

        assert abs(_age(stamp) + seconds) < 60
        assert turso.calls_to_rotate() == 1
        assert await trail() == STORY

    @pytest.mark.fault("F17")
    async def test_a_slow_replica_takes_no_press_on_a_card_that_is_over(
        self, slack: LocalSlack, turso: LocalTurso, settings: dict[str, str], tmp_path: Path, trail: Trail
    ) -> None:
        (tmp_path / "sitecustomize.py").write_text(WRONG_CLOCK.format(seconds=-300))
        path = {"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2]}"}
        async with BotProcess(tmp_path, settings | path | {"CONFIRM_TTL": "1"}) as bot:
            await connect(slack, bot, settings)
            card = await asks(slack, ALICE, "payments")
            await bot.logs("request expired")
            await slack.presses(ALICE, card, CONFIRM)
            await slack.sees(ALICE, "The request to rotate `payments` expired")

        assert turso.calls_to_rotate() == 0
        assert await trail() == ["rotation.requested", "rotation.expired"]


@pytest.mark.fault("F44")
async def test_a_machine_that_slept_between_claim_and_call_sends_nothing(
    slack: LocalSlack, turso: LocalTurso, settings: dict[str, str], tmp_path: Path, trail: Trail
) -> None:
    (tmp_path / "sitecustomize.py").write_text(SLEEPS)
    path = {"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2]}"}
    async with BotProcess(tmp_path, settings | path) as bot:
        await connect(slack, bot, settings)
        card = await asks(slack, ALICE, "payments")
        await slack.presses(ALICE, card, CONFIRM)
        await slack.sees(ALICE, "Failed: the tokens of payments", "The bot stood still", "nothing was sent")

    assert turso.calls_to_rotate() == 0
    assert await trail() == ["rotation.requested", "rotation.started", "rotation.failed"]


@pytest.mark.fault("F22")
async def test_a_response_url_that_grew_too_old_during_the_call(
    ahead: list[float], slack: LocalSlack, turso: LocalTurso, bot: BotProcess, trail: Trail
) -> None:
    turso.inject(Fault(delay=1))
    card = await asks(slack, ALICE, "payments")
    await slack.presses(ALICE, card, CONFIRM)
    await turso.reached()
    await slack.sees(ALICE, "Rotating the tokens of")
    ahead[0] = 31 * 60
    done = await slack.sees(ALICE, "Done: the tokens of payments are rotated")

    assert done.via == "chat.postEphemeral"
    assert turso.calls_to_rotate() == 1
    assert await trail() == STORY


@pytest.mark.parametrize("changes", [{"TURSO_TIMEOUT": "60"}], ids=["patient"])
@pytest.mark.fault("F25")
async def test_what_does_not_end_in_time_is_marked_before_the_exit(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, stories: Stories
) -> None:
    turso.inject(Hang())
    for group in GROUPS:
        await slack.presses(ALICE, await asks(slack, ALICE, group), CONFIRM)
    await turso.reached(3)
    began = time.monotonic()
    await bot.signals(signal.SIGTERM)
    code = await bot.ended()
    took = time.monotonic() - began

    assert code == 0
    assert 20 < took < 30
    assert turso.calls_to_rotate() == 3
    assert list((await stories()).values()) == [["rotation.requested", "rotation.started", "rotation.unknown"]] * 3
    assert len(announced(slack)) <= 3


def _age(stamp: str) -> float:
    """Seconds since a time in a log line."""
    return (datetime.now(UTC) - datetime.fromisoformat(stamp)).total_seconds()
