"""The Web API, as an app sees it."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.workspace import Person

ALICE = Person("UALICE", "alice")
BOB = Person("UBOB", "bob", is_guest=True)
BOT = "xoxb-local-bot"
EVERY_SCOPE = ["chat:write", "channels:read", "users:read", "team:read"]


class Api:
    """Calls methods with JSON and the bot token."""

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        self.http = http
        self.url = url

    async def __call__(self, method: str, token: str = BOT, **arguments: object) -> dict[str, Any]:
        response = await self.http.post(
            self.url + method, json=arguments, headers={"Authorization": f"Bearer {token}"} if token else {}
        )
        answer: dict[str, Any] = response.json()
        return answer


@pytest.fixture
async def slack() -> AsyncIterator[LocalSlack]:
    async with LocalSlack(people=[ALICE, BOB]) as slack:
        yield slack


@pytest.fixture
async def api(slack: LocalSlack) -> AsyncIterator[Api]:
    async with httpx.AsyncClient(trust_env=False) as http:
        yield Api(http, slack.api_url)


async def test_slacks_own_client_gets_along_with_it(slack: LocalSlack) -> None:
    client = AsyncWebClient(token="xoxb-local-bot", base_url=slack.api_url)
    identity = await client.auth_test()
    await client.chat_postMessage(channel="C0AUDIT", text="hello")

    assert (identity["team_id"], identity.headers["x-oauth-scopes"]) == ("T012AB3CD", "commands,chat:write")
    assert "Date" in identity.headers
    assert (identity.get("enterprise_id"), identity["is_enterprise_install"]) == (None, False)
    assert (await slack.sees(None, "hello", channel="C0AUDIT")).via == "chat.postMessage"


async def test_in_enterprise_grid_the_token_names_its_enterprise(slack: LocalSlack, api: Api) -> None:
    slack.workspace.enterprise_id = "E0LOCAL01"
    identity = await api("auth.test")
    slack.workspace.auth = {"team_id": None, "is_enterprise_install": True}
    org_wide = await api("auth.test")

    assert (identity["team_id"], identity["enterprise_id"]) == ("T012AB3CD", "E0LOCAL01")
    assert (org_wide["team_id"], org_wide["enterprise_id"]) == (None, "E0LOCAL01")


@pytest.mark.parametrize(
    ("token", "error"),
    [("", "not_authed"), ("xoxb-wrong", "invalid_auth"), ("xapp-local-app", "not_allowed_token_type")],
)
async def test_a_call_needs_the_right_token(api: Api, token: str, error: str) -> None:
    assert await api("auth.test", token) == {"ok": False, "error": error}


async def test_opening_a_connection_needs_the_app_token(api: Api) -> None:
    assert (await api("apps.connections.open"))["error"] == "not_allowed_token_type"
    assert (await api("apps.connections.open", "xapp-wrong"))["error"] == "invalid_auth"
    assert (await api("apps.connections.open", "xapp-local-app"))["url"].startswith("ws://127.0.0.1:")


async def test_a_method_needs_its_scope(api: Api) -> None:
    refusal = await api("users.info", user="UALICE")

    assert (refusal["error"], refusal["needed"]) == ("missing_scope", "users:read")
    assert refusal["provided"] == "commands,chat:write"


@pytest.mark.parametrize(
    ("method", "arguments", "error"),
    [
        ("no.such", {}, "unknown_method"),
        ("chat.postMessage", {"channel": "C0NOWHERE", "text": "x"}, "channel_not_found"),
        ("chat.postMessage", {"channel": "C0AUDIT"}, "no_text"),
        ("chat.postMessage", {"channel": "C0AUDIT", "text": "x" * 40_001}, "msg_too_long"),
        ("chat.postMessage", {"channel": "C0AUDIT", "blocks": "["}, "invalid_blocks_format"),
        ("chat.postEphemeral", {"channel": "C0AUDIT", "user": "U0NOBODY", "text": "x"}, "user_not_in_channel"),
        ("users.info", {"user": "U0NOBODY"}, "user_not_found"),
        ("conversations.info", {"channel": "C0NOWHERE"}, "channel_not_found"),
    ],
)
async def test_slack_says_no(slack: LocalSlack, api: Api, method: str, arguments: dict[str, Any], error: str) -> None:
    slack.workspace.scopes = EVERY_SCOPE

    assert (await api(method, **arguments))["error"] == error
    assert (slack.messages, slack.calls[-1].error) == ([], error)


async def test_posting_where_the_bot_is_not_takes_a_scope(slack: LocalSlack, api: Api) -> None:
    slack.workspace.joined.discard("C0AUDIT")
    refused = await api("chat.postMessage", channel="C0AUDIT", text="hello")
    slack.workspace.scopes.append("chat:write.public")
    allowed = await api("chat.postMessage", channel="C0AUDIT", text="hello")

    assert (refused["error"], allowed["ok"]) == ("not_in_channel", True)


async def test_a_direct_message_is_seen_by_its_person_alone(slack: LocalSlack, api: Api) -> None:
    sent = await api("chat.postMessage", channel="UBOB", text="for you")

    assert sent["channel"].startswith("D")
    assert (await slack.sees(BOB, "for you")).channel == sent["channel"]
    assert slack.visible_to(ALICE) == []


async def test_arguments_may_come_as_a_form(slack: LocalSlack, api: Api) -> None:
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "a &amp; b"}}]
    form = {"channel": "C0AUDIT", "blocks": json.dumps(blocks), "token": "xoxb-local-bot"}
    await api.http.post(f"{slack.api_url}chat.postMessage", data=form)

    assert (await slack.sees(None, "a & b")).blocks == blocks


async def test_people_and_channels_can_be_looked_up(slack: LocalSlack, api: Api) -> None:
    slack.workspace.scopes = EVERY_SCOPE

    assert (await api("users.info", user="UBOB"))["user"]["is_restricted"]
    assert (await api("conversations.info", channel="C0AUDIT"))["channel"]["name"] == "audit"


async def test_every_call_is_recorded(slack: LocalSlack, api: Api) -> None:
    await api("chat.postMessage", channel="C0AUDIT", text="hello")

    call = (await slack.called("chat.postMessage"))[0]
    assert (call.status, call.error, call.payload) == (200, None, {"channel": "C0AUDIT", "text": "hello"})
    assert "xoxb" not in repr(call)


async def test_changes_can_be_followed(slack: LocalSlack, api: Api) -> None:
    changes = slack.changes.subscribe()
    await api("chat.postMessage", channel="C0AUDIT", text="hello")
    await api("auth.test")
    slack.changes.close()

    assert [change.kind async for change in changes] == ["call", "posted", "call"]


async def test_what_was_not_seen_is_explained_by_what_was(slack: LocalSlack, api: Api) -> None:
    await api("chat.postMessage", channel="C0AUDIT", text="hello")

    with pytest.raises(AssertionError, match=r"goodbye.*\n.*hello"):
        await slack.sees(ALICE, "goodbye", timeout=0.01)


async def test_an_ephemeral_message_is_seen_by_its_person_alone(slack: LocalSlack, api: Api) -> None:
    await api("chat.postEphemeral", channel="C0AUDIT", user="UALICE", text="psst")

    assert [message.text for message in slack.visible_to(ALICE)] == ["psst"]
    assert slack.visible_to(BOB) == slack.visible_to(None) == []
