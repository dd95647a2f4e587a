"""Home tabs and modals."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from aiohttp import web

from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.loopback import LoopbackServer
from bot.sandbox.workspace import Person

ALICE = Person("UALICE", "alice")
HOME = {"type": "home", "blocks": [{"type": "header", "text": {"type": "plain_text", "text": "Rotations"}}]}
ASK: dict[str, Any] = {
    "type": "modal",
    "title": {"type": "plain_text", "text": "Rotate"},
    "submit": {"type": "plain_text", "text": "Go"},
    "blocks": [
        {
            "type": "input",
            "block_id": "why",
            "label": {"type": "plain_text", "text": "Why?"},
            "element": {"type": "plain_text_input", "action_id": "reason"},
        }
    ],
}
DONE = ASK | {"title": {"type": "plain_text", "text": "Done"}}


class App:
    """Opens a modal when told to, and answers submissions with `answer`."""

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        self.http = http
        self.url = url
        self.answer: dict[str, Any] | None = None
        self.heard: list[bytes] = []

    async def calls(self, method: str, **arguments: object) -> dict[str, Any]:
        bearer = {"Authorization": "Bearer xoxb-local-bot"}
        answer: dict[str, Any] = (await self.http.post(self.url + method, json=arguments, headers=bearer)).json()
        return answer

    async def hears(self, request: web.BaseRequest) -> web.StreamResponse:
        self.heard.append(await request.read())
        return web.Response() if self.answer is None else web.json_response(self.answer)


@pytest.fixture
async def slack() -> AsyncIterator[LocalSlack]:
    async with LocalSlack(people=[ALICE]) as slack:
        yield slack


@pytest.fixture
async def app(slack: LocalSlack) -> AsyncIterator[App]:
    async with httpx.AsyncClient(trust_env=False) as http:
        app = App(http, slack.api_url)
        port = LoopbackServer(app.hears)
        await port.open()
        slack.request_url = port.url
        yield app
        await port.close()


async def test_a_home_tab_is_published(slack: LocalSlack, app: App) -> None:
    await app.calls("views.publish", user_id="UALICE", view=json.dumps(HOME))

    assert (await slack.sees_view(ALICE, "Rotations")).content == HOME


async def test_an_outdated_home_tab_is_not_overwritten(app: App) -> None:
    await app.calls("views.publish", user_id="UALICE", view=HOME)
    answer = await app.calls("views.publish", user_id="UALICE", view=HOME, hash="outdated")

    assert answer["error"] == "hash_conflict"


async def test_a_view_beyond_the_limits_is_refused(app: App) -> None:
    answer = await app.calls("views.publish", user_id="UALICE", view=HOME | {"title": "no such key"})

    assert answer["error"] == "invalid_arguments"
    assert answer["response_metadata"]["messages"] == [
        "[ERROR] invalid additional property: title [json-pointer:/view]"
    ]


async def test_a_trigger_opens_one_modal(slack: LocalSlack, app: App) -> None:
    trigger = (await slack.types(ALICE, "/turso-rotate")).trigger_id
    opened = await app.calls("views.open", trigger_id=trigger, view=ASK)
    again = await app.calls("views.open", trigger_id=trigger, view=ASK)
    forged = await app.calls("views.open", trigger_id="1.2.3", view=ASK)

    assert opened["view"]["id"] == (await slack.sees_view(ALICE, "Why?")).view_id
    assert (again["error"], forged["error"]) == ("exchanged_trigger_id", "invalid_trigger_id")


@pytest.mark.parametrize(
    ("answer", "becomes"),
    [
        (None, (True, "Rotate", {})),
        ({"response_action": "errors", "errors": {"why": "Say more"}}, (False, "Rotate", {"why": "Say more"})),
        ({"response_action": "update", "view": DONE}, (False, "Done", {})),
    ],
)
async def test_a_submission_does_what_the_app_answers(
    slack: LocalSlack, app: App, answer: dict[str, Any] | None, becomes: tuple[bool, str, dict[str, str]]
) -> None:
    trigger = (await slack.types(ALICE, "/turso-rotate")).trigger_id
    await app.calls("views.open", trigger_id=trigger, view=ASK)
    modal = await slack.sees_view(ALICE, "Why?")
    app.answer = answer
    await slack.submits(ALICE, modal, {"why": {"reason": {"type": "plain_text_input", "value": "leaked"}}})

    assert b"view_submission" in app.heard[-1]
    assert (modal.closed, modal.content["title"]["text"], modal.errors) == becomes
