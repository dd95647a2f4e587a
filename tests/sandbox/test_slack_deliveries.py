"""Commands, clicks and events, from the person to the app and back."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

import pytest
from aiohttp import web

from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.loopback import LoopbackServer
from bot.sandbox.messages import Content, PostedMessage
from bot.sandbox.workspace import Audience, Person

ALICE = Person("UALICE", "alice")
BOB = Person("UBOB", "bob", is_guest=True)
MALLORY = Person("UMALLORY", "mallory", team_id="T0ELSEWHERE")
COMMAND = "/turso-rotate payments  leaked in CI"
CARD: list[dict[str, Any]] = [
    {"type": "section", "text": {"type": "mrkdwn", "text": "Rotate *payments*?"}},
    {
        "type": "actions",
        "block_id": "decision",
        "elements": [
            {
                "type": "button",
                "action_id": "rotation:confirm",
                "text": {"type": "plain_text", "text": "Rotate"},
                "value": "r1",
                "style": "danger",
            },
            {
                "type": "static_select",
                "action_id": "rotation:more",
                "options": [{"text": {"type": "plain_text", "text": name}, "value": name} for name in ("a", "b")],
            },
        ],
    },
]


class App:
    """Keeps what Slack sends, and acknowledges it with `answer`."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[Mapping[str, str]] = []
        self.answer: dict[str, Any] = {}  # for `web.Response`

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.bodies[-1].decode(), keep_blank_values=True))

    @property
    def payload(self) -> dict[str, Any]:
        decoded: dict[str, Any] = json.loads(self.form["payload"])
        return decoded

    async def hears(self, request: web.BaseRequest) -> web.StreamResponse:
        self.bodies.append(await request.read())
        self.headers.append(request.headers)
        return web.Response(**self.answer)


@pytest.fixture
async def slack() -> AsyncIterator[LocalSlack]:
    async with LocalSlack(people=[ALICE, BOB]) as slack:
        yield slack


@pytest.fixture
async def app(slack: LocalSlack) -> AsyncIterator[App]:
    app = App()
    port = LoopbackServer(app.hears)
    await port.open()
    slack.request_url = f"{port.url}/slack/events"
    yield app
    await port.close()


@pytest.fixture
def card(slack: LocalSlack) -> PostedMessage:
    return slack.workspace.post(Audience("C0INCIDENT", "UALICE"), Content(blocks=CARD), via="response_url")


async def test_a_command_arrives_with_all_its_fields(slack: LocalSlack, app: App) -> None:
    delivery = await slack.types(ALICE, COMMAND)

    assert (delivery.status, delivery.body, slack.messages) == (200, None, [])
    assert app.form == {
        "token": "local-verification-token",
        "team_id": "T012AB3CD",
        "team_domain": "local",
        "channel_id": "C0INCIDENT",
        "channel_name": "incident",
        "user_id": "UALICE",
        "user_name": "alice",
        "command": "/turso-rotate",
        "text": "payments  leaked in CI",
        "api_app_id": "A0LOCAL",
        "is_enterprise_install": "false",
        "response_url": delivery.response_url,
        "trigger_id": delivery.trigger_id,
    }


async def test_people_arrive_by_their_ids_where_the_manifest_says_so(slack: LocalSlack, app: App) -> None:
    slack.workspace.escaped_commands.add("/turso-audit")
    await slack.types(ALICE, "/turso-audit @alice @nobody <b> & more")

    assert app.form["text"] == "<@UALICE|alice> @nobody &lt;b&gt; &amp; more"


async def test_what_arrives_is_signed(slack: LocalSlack, app: App) -> None:
    await slack.types(ALICE, COMMAND)

    headers = app.headers[-1]
    signed = b"v0:" + headers["X-Slack-Request-Timestamp"].encode() + b":" + app.bodies[-1]
    expected = hmac.new(b"local-signing-secret", signed, hashlib.sha256).hexdigest()
    assert headers["X-Slack-Signature"] == f"v0={expected}"
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"


async def test_the_same_command_can_arrive_twice(slack: LocalSlack, app: App) -> None:
    first = await slack.types(ALICE, COMMAND)
    second = await slack.redelivers(first)

    assert app.bodies == [first.raw, first.raw]
    assert first.trigger_id == second.trigger_id


async def test_text_in_the_acknowledgement_is_shown_to_that_person_alone(slack: LocalSlack, app: App) -> None:
    app.answer = {"text": "You are not on the allowlist."}
    await slack.types(BOB, COMMAND)

    assert (await slack.sees(BOB, "not on the allowlist")).ephemeral_to == "UBOB"
    assert slack.visible_to(ALICE) == []


async def test_json_in_the_acknowledgement_may_speak_to_the_channel(slack: LocalSlack, app: App) -> None:
    said = {"text": "Somebody is at it", "response_type": "in_channel"}
    app.answer = {"text": json.dumps(said), "content_type": "application/json"}
    await slack.types(BOB, COMMAND)

    assert (await slack.sees(None, "Somebody is at it")).via == "ack"


async def test_a_failing_app_is_reported_by_slackbot(slack: LocalSlack, app: App) -> None:
    app.answer = {"status": 500}
    delivery = await slack.types(ALICE, COMMAND)

    notice = await slack.sees(ALICE, '/turso-rotate failed with the error "http_service_error"')
    assert (delivery.status, notice.author) == (500, "slackbot")


async def test_without_an_app_the_person_is_told_at_once(slack: LocalSlack) -> None:
    delivery = await slack.types(ALICE, COMMAND)

    await slack.sees(ALICE, "dispatch_failed")
    assert (delivery.status, delivery.error) == (None, "dispatch_failed")


async def test_an_app_that_says_nothing_runs_out_of_time(slack: LocalSlack) -> None:
    async def stays_silent(request: web.BaseRequest) -> None:
        await request.read()
        await slack.called("chat.postMessage", timeout=60)

    port = LoopbackServer(stays_silent)
    await port.open()
    slack.ack_seconds = 0.05
    delivery = await slack.types(ALICE, COMMAND, over=port.url)
    await port.close()

    assert (delivery.status, delivery.error) == (None, "operation_timeout")
    assert 0.05 <= delivery.seconds < 1


async def test_a_click_on_an_ephemeral_card_carries_no_message(
    slack: LocalSlack, app: App, card: PostedMessage
) -> None:
    delivery = await slack.presses(ALICE, card, "rotation:confirm")

    action = app.payload["actions"][0]
    where = {"message_ts": card.ts, "channel_id": "C0INCIDENT", "is_ephemeral": True}
    assert app.payload["type"] == "block_actions"
    assert app.payload["user"] == {"id": "UALICE", "username": "alice", "name": "alice", "team_id": "T012AB3CD"}
    assert app.payload["container"] == {"type": "message", **where}
    assert "message" not in app.payload
    assert (action["action_id"], action["value"], action["block_id"]) == ("rotation:confirm", "r1", "decision")
    assert app.payload["response_url"] == delivery.response_url


async def test_a_click_on_a_public_card_carries_the_message(slack: LocalSlack, app: App) -> None:
    card = slack.workspace.post(Audience("C0INCIDENT"), Content("Rotate?", CARD), via="chat.postMessage")
    await slack.presses(MALLORY, card, "rotation:confirm")

    assert app.payload["message"]["ts"] == card.ts
    assert (app.payload["user"]["team_id"], app.payload["team"]["id"]) == ("T0ELSEWHERE", "T012AB3CD")


COLLEAGUES = ["T012AB3CD", "E0LOCAL01", "T0SISTER1"]


@pytest.mark.parametrize("team_id", COLLEAGUES)
async def test_in_enterprise_grid_a_command_names_where_it_was_typed(team_id: str, slack: LocalSlack, app: App) -> None:
    slack.workspace.enterprise_id = "E0LOCAL01"
    await slack.types(Person("UALICE", "alice", team_id, enterprise_id="E0LOCAL01"), COMMAND)

    assert (app.form["team_id"], app.form["enterprise_id"]) == ("T012AB3CD", "E0LOCAL01")
    assert app.form["is_enterprise_install"] == "false"


@pytest.mark.parametrize("team_id", COLLEAGUES)
async def test_in_enterprise_grid_clicks_and_events_name_any_team_of_a_person(
    team_id: str, slack: LocalSlack, app: App, card: PostedMessage
) -> None:
    slack.workspace.enterprise_id = "E0LOCAL01"
    alice = Person("UALICE", "alice", team_id, enterprise_id="E0LOCAL01")
    await slack.presses(alice, card, "rotation:confirm")
    click = app.payload
    await slack.opens_home(alice)
    event = json.loads(app.bodies[-1])

    assert (click["user"]["team_id"], click["team"]["id"]) == (team_id, "T012AB3CD")
    assert click["enterprise"]["id"] == click["team"]["enterprise_id"] == "E0LOCAL01"
    assert (event["team_id"], event["enterprise_id"]) == (team_id, "E0LOCAL01")
    assert event["authorizations"][0]["enterprise_id"] == event["context_enterprise_id"] == "E0LOCAL01"


async def test_in_enterprise_grid_an_outsider_has_another_enterprise_or_none(
    slack: LocalSlack, app: App, card: PostedMessage
) -> None:
    slack.workspace.enterprise_id = "E0LOCAL01"
    await slack.presses(MALLORY, card, "rotation:confirm")
    without = app.payload["enterprise"]
    await slack.presses(Person("UEVE", "eve", "T0ELSEWHERE", enterprise_id="E0OTHER99"), card, "rotation:confirm")
    await slack.opens_home(MALLORY)
    event = json.loads(app.bodies[-1])

    assert without is None
    assert json.loads(parse_qsl(app.bodies[-2].decode())[0][1])["enterprise"]["id"] == "E0OTHER99"
    assert (event["team_id"], "enterprise_id" in event) == ("T0ELSEWHERE", False)
    assert event["context_enterprise_id"] == "E0LOCAL01"


async def test_a_stale_card_can_still_be_pressed(slack: LocalSlack, app: App, card: PostedMessage) -> None:
    slack.workspace.edit(card, Content("Done."), via="response_url")
    await slack.presses(ALICE, card, "rotation:confirm")

    assert (card.buttons, app.payload["actions"][0]["value"]) == ([], "r1")


async def test_a_click_can_be_forged(slack: LocalSlack, app: App, card: PostedMessage) -> None:
    await slack.presses(
        BOB, card, "rotation:confirm", value="' OR 1=1", without=["team", "channel"], enterprise={"id": "E1"}
    )

    assert app.payload["actions"][0]["value"] == "' OR 1=1"
    assert app.payload.keys().isdisjoint({"team", "channel"})
    assert app.payload["enterprise"] == {"id": "E1"}


async def test_choosing_from_a_menu_names_the_option(slack: LocalSlack, app: App, card: PostedMessage) -> None:
    await slack.presses(ALICE, card, "rotation:more", value="b")

    assert app.payload["actions"][0]["selected_option"]["value"] == "b"


async def test_opening_the_home_tab_is_an_event(slack: LocalSlack, app: App) -> None:
    delivery = await slack.opens_home(ALICE)
    await slack.redelivers(delivery)

    event = json.loads(app.bodies[0])
    assert (event["type"], event["event"]["type"]) == ("event_callback", "app_home_opened")
    assert app.headers[0]["Content-Type"] == "application/json"
    assert ("X-Slack-Retry-Num" in app.headers[0], app.headers[1]["X-Slack-Retry-Num"]) == (False, "1")
