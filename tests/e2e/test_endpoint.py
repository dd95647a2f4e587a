"""The door for Slack over HTTP, and those who knock who are not Slack."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import psutil
import pytest
from aiohttp import ClientError, ClientSession

from bot.sandbox.deliveries import signature
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from tests.e2e.conftest import ALICE, Trail, asks
from tests.process import BotProcess

pytestmark = [pytest.mark.modes("http"), pytest.mark.databases("sqlite")]

SECRET = "local-signing-secret"
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
MARK = "knock-knock-9f2c"
MEGABYTE = 1_000_000


def command(**more: str) -> bytes:
    """Write a slash command of Alice's that looks right."""
    form = {
        "command": "/turso-rotate",
        "text": f"payments {MARK}",
        "team_id": ALICE.team_id,
        "user_id": ALICE.user_id,
        "channel_id": "C0INCIDENT",
        "trigger_id": "1.2.3",
    }
    return urlencode(form | more).encode()


def signed(body: bytes, kind: str = FORM, *, age: int = 0) -> dict[str, str]:
    """Write the headers that Slack would send, `age` seconds ago."""
    stamp = str(int(time.time()) - age)
    return {
        "Content-Type": kind,
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": signature(SECRET, stamp, body),
    }


async def knocks(session: ClientSession, door: str, body: bytes, headers: dict[str, str]) -> int:
    async with session.post(door, data=body, headers=headers) as answer:
        await answer.read()
        return answer.status


@pytest.mark.fault("F29")
async def test_whoever_is_not_slack_is_turned_away(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, door: str, session: ClientSession, trail: Trail
) -> None:
    body = command()
    right = signed(body)
    bolt = {"X-Slack-Bolt-Retry-Num": "1", "X-Slack-Bolt-Mode": "socket_mode", "x-slack-bolt-team-id": "T0OTHER99"}
    deep, surrogate = b'{"a":' * 100_000, b"payload=%ff%fe"
    cases = {
        "unsigned": (body, {"Content-Type": FORM}, 401),
        "unsigned with Bolt's headers": (body, {"Content-Type": FORM, **bolt}, 401),
        "unsigned ssl_check": (f"ssl_check=1&token={MARK}".encode(), {"Content-Type": FORM}, 401),
        "wrong signature": (body, {**right, "X-Slack-Signature": "v0=" + "0" * 64}, 401),
        "signature of another body": (body + b"&x=1", right, 401),
        "empty signature": (body, {**right, "X-Slack-Signature": ""}, 401),
        "non-ASCII signature": (body, {**right, "X-Slack-Signature": "v0=é"}, 401),
        "stale": (body, signed(body, age=400), 401),
        "from the future": (body, signed(body, age=-400), 401),
        "non-numeric timestamp": (body, {**right, "X-Slack-Request-Timestamp": "yesterday"}, 401),
        "Arabic digits": (body, {**right, "X-Slack-Request-Timestamp": "١٢٣"}, 401),
        "endless timestamp": (body, {**right, "X-Slack-Request-Timestamp": "9" * 400}, 401),
        "not UTF-8": (b"\xff\xfe", signed(b"\xff\xfe"), 400),
        "not UTF-8 and not signed": (b"\xff\xfe", right, 400),
        "not UTF-8 within": (surrogate, signed(surrogate), 400),
        "bad JSON": (b"{", signed(b"{", JSON), 400),
        "JSON list": (b"[]", signed(b"[]", JSON), 400),
        "deep JSON": (deep[:300_000], signed(deep[:300_000], JSON), 400),
        "bad payload": (b"payload={", signed(b"payload={"), 400),
        "many fields": (b"a=1&" * 5000, signed(b"a=1&" * 5000), 400),
    }
    answers = {}
    for name, (content, headers, _) in cases.items():
        began = time.perf_counter()
        answers[name] = await knocks(session, door, content, headers)
        assert time.perf_counter() - began < 1, name
    async with session.get(door) as answer:
        got = answer.status

    assert answers == {name: status for name, (_, _, status) in cases.items()}
    assert got == 405
    assert MARK not in bot.output
    assert "Traceback" not in bot.output
    assert slack.visible_to(ALICE) == []
    assert await trail() == []


@pytest.mark.fault("F29")
async def test_a_replayed_request_is_one_request(
    slack: LocalSlack, bot: BotProcess, door: str, session: ClientSession, trail: Trail
) -> None:
    body = command()
    bolt = {"X-Slack-Bolt-Mode": "http", "X-Slack-Bolt-Team-Id": "T0OTHER99", "X-Slack-Retry-Num": "1"}
    headers = signed(body)
    first = await knocks(session, door, body, headers | bolt)
    await slack.sees(ALICE, "Rotate the tokens of payments?", MARK)
    again = await knocks(session, door, body, headers)
    await bot.logs("delivered twice")

    assert (first, again) == (200, 200)
    assert len(slack.visible_to(ALICE)) == 1
    assert await trail() == ["rotation.requested"]


@pytest.mark.parametrize("pretends", [False, True], ids=["bare", "pretending"])
@pytest.mark.fault("F29")
async def test_a_huge_body_costs_no_memory(
    pretends: bool,  # noqa: FBT001 - a parameter of the test
    slack: LocalSlack,
    bot: BotProcess,
    door: str,
    session: ClientSession,
) -> None:
    await asks(slack, ALICE, "payments")  # warm
    process = psutil.Process(bot.pid)
    before = peak = process.memory_info().rss

    async def flood() -> AsyncIterator[bytes]:
        nonlocal peak
        for _ in range(200):
            peak = max(peak, process.memory_info().rss)
            yield MARK.encode() * (MEGABYTE // len(MARK))

    headers = signed(b"another") if pretends else {"Content-Type": FORM}
    try:
        async with session.post(door, data=flood(), headers=headers) as answer:
            status = answer.status
    except ClientError:
        status = 0  # the door was shut before everything was sent
    typed = await slack.types(ALICE, "/turso-rotate default")
    await slack.sees(ALICE, "Rotate the tokens of default?")

    assert status in {0, 401, 413}
    assert peak - before < 20 * MEGABYTE
    assert typed.seconds < 1
    assert MARK not in bot.output


@pytest.mark.fault("F29")
async def test_a_slow_body_is_given_up_and_holds_nobody_up(slack: LocalSlack, bot: BotProcess) -> None:
    began = time.perf_counter()
    lines = "".join(f"{name}: {value}\r\n" for name, value in signed(b"x" * 100).items())
    request = f"POST /slack/events HTTP/1.1\r\nHost: bot\r\nContent-Length: 100\r\n{lines}\r\nx"
    streams = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", bot.port) for _ in range(50)))
    for _, writer in streams:
        writer.write(request.encode())
    typed = await slack.types(ALICE, "/turso-rotate payments")
    await slack.sees(ALICE, "Rotate the tokens of payments?")
    async with asyncio.timeout(6):
        answers = await asyncio.gather(*(reader.readline() for reader, _ in streams))
    for _, writer in streams:
        writer.close()

    assert typed.seconds < 1
    assert {answer.split()[1] for answer in answers} == {b"408"}
    assert 2.5 < time.perf_counter() - began < 6


@pytest.mark.fault("F29")
async def test_a_press_of_an_odd_shape_is_turned_away(
    slack: LocalSlack, bot: BotProcess, door: str, session: ClientSession
) -> None:
    action = {"type": "button", "action_id": "rotation:confirm", "block_id": "b"}
    body = json.dumps({"type": "block_actions", "user": 1, "team": [], "channel": "x", "actions": [action]}).encode()

    assert await knocks(session, door, body, signed(body, JSON)) == 400
    assert (await asks(slack, ALICE, "payments")).buttons


@pytest.mark.fault("F29")
async def test_a_signed_command_in_odd_json_is_no_crash(
    slack: LocalSlack, bot: BotProcess, door: str, session: ClientSession
) -> None:
    bodies: list[object] = [{}, {"type": "block_actions"}, {"type": 1, "actions": None}, {"command": ["/turso-rotate"]}]
    bodies += [{"command": "/turso-rotate", "text": {"a": 1}, "user_id": 5, "team_id": None, "trigger_id": []}]
    answers = []
    for each in bodies:
        body = json.dumps(each).encode()
        answers.append(await knocks(session, door, body, signed(body, JSON)))
    await asks(slack, ALICE, "payments")

    assert all(status < 500 for status in answers)
    assert "Traceback" not in bot.output
