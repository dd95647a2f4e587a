"""Socket Mode, and the faults and outages of the local Slack."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.workspace import Person

ALICE = Person("UALICE", "alice")
APP = {"Authorization": "Bearer xapp-local-app"}
BOT = {"Authorization": "Bearer xoxb-local-bot"}


@pytest.fixture
async def slack() -> AsyncIterator[LocalSlack]:
    async with LocalSlack(people=[ALICE]) as slack:
        yield slack


@pytest.fixture
async def http() -> AsyncIterator[ClientSession]:
    async with ClientSession() as http:
        yield http


async def ticket(slack: LocalSlack, http: ClientSession) -> str:
    async with http.post(f"{slack.api_url}apps.connections.open", headers=APP) as response:
        return str((await response.json())["url"])


async def connect(slack: LocalSlack, http: ClientSession) -> ClientWebSocketResponse:
    socket = await http.ws_connect(await ticket(slack, http))
    assert (await socket.receive_json())["type"] == "hello"
    return socket


async def acknowledge(socket: ClientWebSocketResponse, **payload: object) -> dict[str, Any]:
    """Take the next envelope, acknowledge it, and return it."""
    envelope: dict[str, Any] = await socket.receive_json()
    await socket.send_json({"envelope_id": envelope["envelope_id"], **({"payload": payload} if payload else {})})
    return envelope


async def test_a_command_goes_over_the_socket(slack: LocalSlack, http: ClientSession) -> None:
    socket = await connect(slack, http)
    delivery, envelope = await asyncio.gather(slack.types(ALICE, "/turso-rotate payments"), acknowledge(socket))

    assert (envelope["type"], envelope["accepts_response_payload"]) == ("slash_commands", True)
    assert (envelope["payload"]["text"], envelope["payload"]["user_id"]) == ("payments", "UALICE")
    assert (delivery.status, delivery.body, slack.messages) == (200, None, [])


async def test_the_acknowledgement_may_carry_a_reply(slack: LocalSlack, http: ClientSession) -> None:
    socket = await connect(slack, http)
    await asyncio.gather(slack.types(ALICE, "/turso-rotate payments"), acknowledge(socket, text="Not today."))

    assert (await slack.sees(ALICE, "Not today.")).ephemeral_to == "UALICE"


async def test_envelopes_take_turns_unless_told_otherwise(slack: LocalSlack, http: ClientSession) -> None:
    sockets = [await connect(slack, http) for _ in range(2)]
    heard = [asyncio.ensure_future(acknowledge(socket)) for socket in sockets]
    await slack.types(ALICE, "/turn a")
    await slack.types(ALICE, "/turn b")
    turns = {(await envelope)["payload"]["text"] for envelope in heard}
    _, forced = await asyncio.gather(slack.types(ALICE, "/turn c", over=1), acknowledge(sockets[1]))

    assert turns == {"a", "b"}
    assert forced["payload"]["text"] == "c"


async def test_an_event_tells_of_its_attempt(slack: LocalSlack, http: ClientSession) -> None:
    socket = await connect(slack, http)
    delivery, first = await asyncio.gather(slack.opens_home(ALICE), acknowledge(socket))
    _, second = await asyncio.gather(slack.redelivers(delivery), acknowledge(socket))

    assert (first["type"], first["retry_attempt"], second["retry_attempt"]) == ("events_api", 0, 1)
    assert first["payload"] == second["payload"]


async def test_a_ticket_opens_one_connection(slack: LocalSlack, http: ClientSession) -> None:
    url = await ticket(slack, http)
    await http.ws_connect(url)

    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await http.ws_connect(url)
    assert refused.value.status == 403


async def test_a_refused_handshake_uses_its_ticket_up(slack: LocalSlack, http: ClientSession) -> None:
    url = await ticket(slack, http)
    slack.refuse_sockets(1)
    statuses = []
    for _ in range(2):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(url)
        statuses.append(refused.value.status)

    assert statuses == [503, 403]


async def test_the_eleventh_connection_is_sent_away(slack: LocalSlack, http: ClientSession) -> None:
    ten = [await connect(slack, http) for _ in range(10)]  # one that nobody holds would close itself
    eleventh = await http.ws_connect(await ticket(slack, http))

    assert (await eleventh.receive_json())["reason"] == "too_many_websockets"
    assert (await eleventh.receive()).type is WSMsgType.CLOSE
    assert not any(socket.closed for socket in ten)


async def test_a_disconnect_is_announced(slack: LocalSlack, http: ClientSession) -> None:
    socket = await connect(slack, http)
    _, farewell = await asyncio.gather(slack.disconnect("link_disabled"), socket.receive_json())

    assert (farewell["type"], farewell["reason"]) == ("disconnect", "link_disabled")
    assert (await socket.receive()).type in {WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED}
    await slack.connected(0)


async def test_a_dropped_connection_is_gone_without_a_word(slack: LocalSlack, http: ClientSession) -> None:
    socket = await connect(slack, http)
    slack.drop_connections()

    assert (await socket.receive()).type is WSMsgType.CLOSED
    await slack.connected(0)


@pytest.mark.parametrize(
    ("failure", "answer"),
    [
        ({"retry_after": 30}, (429, "30", "ratelimited")),
        ({"error": "fatal_error"}, (200, None, "fatal_error")),
        ({"status": 503, "error": "service_unavailable"}, (503, None, "service_unavailable")),
    ],
)
async def test_a_method_fails_as_often_as_planned(
    slack: LocalSlack, http: ClientSession, failure: dict[str, Any], answer: tuple[int, str | None, str]
) -> None:
    slack.fail("chat.postMessage", times=1, **failure)
    message = {"channel": "C0AUDIT", "text": "x"}
    failed = await http.post(f"{slack.api_url}chat.postMessage", json=message, headers=BOT)
    worked = await http.post(f"{slack.api_url}chat.postMessage", json=message, headers=BOT)

    assert (failed.status, failed.headers.get("Retry-After"), (await failed.json())["error"]) == answer
    assert (await worked.json())["ok"]
    assert len(slack.messages) == 1
    assert [call.status for call in slack.calls] == [answer[0], 200]


@pytest.mark.parametrize("posted", [0, 1])
async def test_an_answer_can_be_lost(slack: LocalSlack, http: ClientSession, posted: int) -> None:
    slack.fail("*", drop=True, performs=posted == 1)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await http.post(f"{slack.api_url}chat.postMessage", json={"channel": "C0AUDIT", "text": "x"}, headers=BOT)
    slack.clear_faults()

    assert (len(slack.messages), slack.calls[-1].status) == (posted, None)


async def test_a_method_that_does_not_exist_cannot_fail(slack: LocalSlack) -> None:
    with pytest.raises(ValueError, match=r"chat\.postmessage"):
        slack.fail("chat.postmessage", status=500)


async def test_slack_vanishes_and_comes_back_at_the_same_address(slack: LocalSlack, http: ClientSession) -> None:
    socket = await connect(slack, http)
    address = slack.api_url
    await slack.go_offline()
    with pytest.raises(aiohttp.ClientConnectorError):
        await http.post(f"{address}auth.test", headers=BOT)
    await slack.go_online()

    assert (await socket.receive()).type is WSMsgType.CLOSED
    assert json.loads(await (await http.post(f"{address}auth.test", headers=BOT)).text())["ok"]
