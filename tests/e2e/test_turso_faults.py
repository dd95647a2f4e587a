"""Whatever Turso answers, the card says the truth, and the call is made once."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

from bot.sandbox.deliveries import Delivery
from bot.sandbox.faults import CloseConnection, Fault, FixedResponse, Hang
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from tests.e2e.conftest import ALICE, BOB, Stories, Trail, announced, asks, connect, id_on
from tests.faults import GzipBomb, InvalidHttp, ResetOnReuse, SlowDrip, TruncatedBody, TruncatedHeaders
from tests.process import BotProcess

pytestmark = [pytest.mark.modes("socket"), pytest.mark.databases("sqlite")]

CONFIRM = "rotation:confirm"
NO, YES, WHO_KNOWS = "Failed: the tokens of", "Done: the tokens of", "Unknown: the tokens of"
STATES = {NO: "rotation.failed", YES: "rotation.succeeded", WHO_KNOWS: "rotation.unknown"}
MEGABYTE = 1_000_000
LATER = b'{"error": "slow down"}'
STORIES: dict[str, tuple[Fault, str, str]] = {
    "f3-hang": (Hang(), WHO_KNOWS, "no complete answer within 2 s"),
    "f3-drip": (SlowDrip(), WHO_KNOWS, "no complete answer within 2 s"),
    "f4-close": (CloseConnection(), WHO_KNOWS, "The connection broke"),
    "f4-headers": (TruncatedHeaders(), WHO_KNOWS, "may have happened"),
    "f4-garbage": (InvalidHttp(), WHO_KNOWS, "may have happened"),
    "f4-body": (TruncatedBody(status=500), WHO_KNOWS, "may have happened"),
    **{
        f"f5-{status}": (FixedResponse(status), WHO_KNOWS, f"The answer ({status}) proves neither")
        for status in (500, 502, 503, 504)
    },
    "f6-hour": (FixedResponse(429, LATER, {"Retry-After": "3600"}), NO, "Try again in 3600 seconds"),
    "f6-rubbish": (FixedResponse(429, LATER, {"Retry-After": "soon"}), NO, "slow down"),
    "f7-401": (FixedResponse(401), NO, "tell the bot's operators"),
    "f7-402": (FixedResponse(402, b'{"error": "pay"}'), NO, "Turso said: pay"),
    "f7-403": (FixedResponse(403, b'{"error": "no"}'), NO, "group:rotate-creds"),
    "f7-404": (FixedResponse(404, b'{"error": "<!channel> *gone*"}'), NO, "Turso said: <!channel> *gone*"),
    "f7-409": (FixedResponse(409), WHO_KNOWS, "The answer (409) proves neither"),
    "f7-422": (FixedResponse(422), NO, "was refused (422), without an explanation"),
    "f7-302": (
        FixedResponse(302, headers={"Location": "/v1/organizations/acme/groups/default/auth/rotate"}),
        WHO_KNOWS,
        "redirect",
    ),
    "f40-408": (FixedResponse(408, b'{"error": "late"}'), WHO_KNOWS, "The answer (408) proves neither"),
    "f41-page": (FixedResponse(200, b"<html>Login</html>"), WHO_KNOWS, "answered with a web page (200)"),
    "f41-202": (FixedResponse(202), WHO_KNOWS, "The answer (202) proves neither"),
    "f42-page": (FixedResponse(404, b"<html>not found</html>"), WHO_KNOWS, "answered with a web page (404)"),
    "f7-204": (FixedResponse(204), YES, "turso group tokens create"),
    "f7-rubbish": (FixedResponse(200, b"\x00\xff not JSON"), WHO_KNOWS, "The answer (200) proves neither"),
    "f36-reset": (ResetOnReuse(), YES, "turso group tokens create"),
    "f37-bomb": (GzipBomb(), WHO_KNOWS, "The answer (200) proves neither"),
}


@pytest.fixture
async def turso() -> AsyncIterator[LocalTurso]:
    groups = {"payments": ("ledger",), "default": ()} | {f"group-{number:03}": () for number in range(100)}
    async with LocalTurso(groups=groups | dict.fromkeys(STORIES, ())) as organization:
        yield organization


@pytest.mark.fault("F3", "F4", "F5", "F6", "F7", "F36", "F37", "F40", "F41", "F42")
async def test_every_answer_is_told_as_what_it_is(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, stories: Stories
) -> None:
    cards = {}
    for number, (group, (fault, _, _)) in enumerate(STORIES.items(), 1):
        cards[group] = await asks(slack, ALICE, group)
        turso.inject(fault, times=1)
        await slack.presses(ALICE, cards[group], CONFIRM)
        await turso.reached(number)  # and so the fault is this one's
    for group, (_, end, words) in STORIES.items():
        await slack.sees(ALICE, f"{end} {group} ", words)
        await slack.sees(None, f"the tokens of `{group}`", channel="C0AUDIT")
    told = await stories()

    assert [turso.calls_to_rotate(group) for group in STORIES] == [1] * len(STORIES)
    assert turso.calls_to_rotate("default") == 0
    assert [len(announced(slack, group)) for group in STORIES] == [1] * len(STORIES)
    for group, (_, end, _) in STORIES.items():
        assert cards[group].buttons == []
        assert told[id_on(cards[group])] == ["rotation.requested", "rotation.started", STATES[end]], group
    assert all(" *gone*" not in text for text in mrkdwn(cards["f7-404"].blocks))


@pytest.mark.fault("F6")
async def test_a_second_that_turso_asks_for_is_waited(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, trail: Trail
) -> None:
    turso.inject(FixedResponse(429, LATER, {"Retry-After": "1"}), times=1)
    card = await asks(slack, ALICE, "payments")
    await slack.presses(ALICE, card, CONFIRM)
    await slack.sees(ALICE, "Done: the tokens of payments are rotated")
    refused, done = (request.at for request in turso.requests if request.method == "POST")

    assert done - refused >= 1
    assert await trail() == ["rotation.requested", "rotation.started", "rotation.succeeded"]


@pytest.mark.parametrize("changes", [{"TURSO_TIMEOUT": "30"}], ids=["patient"])
@pytest.mark.fault("F43")
async def test_a_rate_limit_without_an_end_is_called_three_times(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess
) -> None:
    turso.inject(FixedResponse(429, LATER, {"Retry-After": "0"}))
    card = await asks(slack, ALICE, "payments")
    await slack.presses(ALICE, card, CONFIRM)
    await slack.sees(ALICE, "Failed: the tokens of payments", "The rate of requests is limited (429)")
    tries = [request.at for request in turso.requests if request.method == "POST"]

    assert len(tries) == 3
    assert all(after - before >= 1 for before, after in pairwise(tries))


@pytest.mark.fault("F8")
async def test_what_never_left_is_a_failure(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, trail: Trail
) -> None:
    card = await asks(slack, ALICE, "payments")
    await turso.go_offline()
    await slack.presses(ALICE, card, CONFIRM)
    await slack.sees(ALICE, "Failed: the tokens of payments were not rotated", "nothing was sent", "refused")
    await turso.go_online()

    assert turso.calls_to_rotate() == 0
    assert await trail() == ["rotation.requested", "rotation.started", "rotation.failed"]


@pytest.mark.parametrize("way", ["name", "tls"])
@pytest.mark.fault("F8")
async def test_no_name_and_no_tls_is_a_failure_too(
    way: str, slack: LocalSlack, turso: LocalTurso, settings: dict[str, str], tmp_path: Path, trail: Trail
) -> None:
    url = {"name": "http://nowhere.invalid", "tls": turso.url.replace("http://", "https://")}[way]
    async with BotProcess(tmp_path, settings | {"TURSO_API_URL": url}) as bot:
        await connect(slack, bot, settings)
        card = await asks(slack, ALICE, "payments")
        asked = card.plain
        await slack.presses(ALICE, card, CONFIRM)
        await slack.sees(ALICE, "Failed: the tokens of payments were not rotated", "nothing was sent")

    assert "Could not ask Turso whether this group exists." in asked
    assert "Traceback" not in bot.output
    assert turso.calls_to_rotate() == 0
    assert await trail() == ["rotation.requested", "rotation.started", "rotation.failed"]


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.fault("F37")
async def test_a_bomb_costs_no_memory(status: int, slack: LocalSlack, turso: LocalTurso, bot: BotProcess) -> None:
    for group in ("default", "payments"):  # warm
        await slack.presses(ALICE, await asks(slack, ALICE, group), CONFIRM)
        await slack.sees(ALICE, f"Done: the tokens of {group} are rotated")
    before = resident(bot)
    turso.inject(GzipBomb(status=status))
    for number in range(5):
        await slack.presses(ALICE, await asks(slack, ALICE, f"group-{number:03}"), CONFIRM)
        await slack.sees(ALICE, f"the tokens of group-{number:03} ")

    assert resident(bot) - before < 20 * MEGABYTE
    assert turso.calls_to_rotate() == 2 + 5


@pytest.mark.parametrize("status", [400, 500])
@pytest.mark.fault("F9")
async def test_a_hostile_error_is_cut_and_inert(
    status: int, slack: LocalSlack, turso: LocalTurso, bot: BotProcess, settings: dict[str, str], tmp_path: Path
) -> None:
    said = (
        "<!channel> *bold* <https://evil.example|click> \x00\x1b[31m\u202egnitset `code` "
        "Bearer local-turso-token eyJhbGciOiJFZERTQSJ9.body.sandbox xoxb-local-bot "
    )
    body = json.dumps({"error": said + "x" * 10_000_000}).encode()
    turso.inject(FixedResponse(status, body))
    card = await asks(slack, ALICE, "payments")
    await slack.presses(ALICE, card, CONFIRM)
    await slack.sees(ALICE, "of payments", "The answer said", "<!channel> *bold*")
    told = await slack.sees(None, "The answer said", channel="C0AUDIT")
    shown = json.dumps([(message.text, message.blocks) for message in slack.messages])
    kept = await asyncio.to_thread(files, tmp_path)

    for message in (card, told):
        assert all("bold" not in text and "<!channel" not in text for text in mrkdwn(message.blocks))
        assert "<!channel" not in message.text
        assert len(message.plain) < 2500
        assert not re.search("[\x00\x1b\u202e]", message.plain)
    for secret in ("local-turso-token", "xoxb-local-bot", "eyJhbGci"):
        assert secret not in shown
        assert secret not in bot.output
        assert secret.encode() not in kept
    assert turso.calls_to_rotate() == 1


@pytest.mark.parametrize("changes", [{"TURSO_TIMEOUT": "60"}], ids=["patient"])
@pytest.mark.fault("F26")
async def test_a_slow_turso_holds_nobody_else_up(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, stories: Stories, capsys: pytest.CaptureFixture[str]
) -> None:
    groups = [f"group-{number:03}" for number in range(100)]
    cards = {group: await asks(slack, ALICE, group) for group in groups}
    turso.inject(Hang())
    clicks: list[Delivery] = []
    for some in range(0, len(groups), 20):  # more at once may have to be told that the database is busy
        pressed = (slack.presses(ALICE, cards[group], CONFIRM) for group in groups[some : some + 20])
        clicks += await asyncio.gather(*pressed)
        await turso.reached(len(clicks))
    typed = [await slack.types(BOB, "/turso-rotate default") for _ in range(100)]
    in_flight = [request for request in turso.requests if request.method == "POST" and not request.ended]
    turso.clear_faults()
    for group in groups:
        await slack.sees(ALICE, f"Done: the tokens of {group} are rotated", timeout=15)
    told = await stories()
    seconds = sorted(delivery.seconds for delivery in (*clicks, *typed))
    with capsys.disabled():
        print(f" [acks: p50 {seconds[100] * 1000:.1f} ms, p99 {seconds[197] * 1000:.1f} ms]", end="")  # noqa: T201

    assert len(in_flight) == 100
    assert seconds[-1] < 1
    assert {delivery.status for delivery in (*clicks, *typed)} == {200}
    assert [turso.calls_to_rotate(group) for group in groups] == [1] * 100
    assert {tuple(told[id_on(card)]) for card in cards.values()} == {
        ("rotation.requested", "rotation.started", "rotation.succeeded")
    }


def resident(bot: BotProcess) -> int:
    """Read the most memory that the process ever held, in bytes."""
    status = Path(f"/proc/{bot.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def files(folder: Path) -> bytes:
    """Everything the database has written."""
    return b"".join(path.read_bytes() for path in folder.glob("test.db*"))


def mrkdwn(node: object) -> list[str]:
    """Every text in which markup acts."""
    if isinstance(node, list):
        return [text for child in node for text in mrkdwn(child)]
    if not isinstance(node, dict):
        return []
    own = [str(node["text"])] if node.get("type") == "mrkdwn" else []
    return own + [text for child in node.values() for text in mrkdwn(child)]
