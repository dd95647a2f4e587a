"""What the doctor finds in Slack."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import aiohttp
import pytest

from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.workspace import Person
from tests.doctor.conftest import Book, Doctor
from tests.process import BotProcess

OF_THE_TOKEN = ["slack.workspace", "slack.scopes", "slack.app", "channel.reachable", "channel.shared"]


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def connects(slack: LocalSlack, session: aiohttp.ClientSession, times: int) -> AsyncExitStack:
    """Hold connections open, as other processes with the same app-level token do."""
    stack = AsyncExitStack()
    for _ in range(times):
        headers = {"Authorization": "Bearer xapp-local-app"}
        async with session.post(f"{slack.api_url}apps.connections.open", headers=headers) as response:
            url = (await response.json())["url"]
        socket = await stack.enter_async_context(session.ws_connect(url))
        stack.callback(asyncio.create_task(listens(socket)).cancel)
    await slack.connected(times)
    return stack


async def listens(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Answer Slack's pings, which aiohttp does while it reads."""
    async for _ in socket:
        pass


async def test_a_token_that_slack_does_not_take(doctor: Doctor) -> None:
    report = await doctor(SLACK_BOT_TOKEN="xoxb-of-somebody-else")

    assert (report.code, report.complaints) == (1, ["slack.token"])
    assert "invalid_auth" in report["slack.token"]["found"]
    assert "OAuth & Permissions" in report["slack.token"]["fix"]
    assert {report[check]["state"] for check in OF_THE_TOKEN} == {"skipped"}
    assert report["slack.clock"]["state"] == report["slack.socket"]["state"] == "ok"


@pytest.mark.parametrize(
    "auth",
    [
        {"team_id": "E0LOCAL01", "is_enterprise_install": True},
        {"team_id": None, "is_enterprise_install": True},
        {"team_id": "E0LOCAL01"},
    ],
)
@pytest.mark.fault("F60")
async def test_an_installation_in_a_whole_organization(
    auth: dict[str, object], doctor: Doctor, slack: LocalSlack, book: Book
) -> None:
    slack.workspace.auth = auth
    report = await doctor()

    assert (report.code, report.complaints) == (1, ["slack.workspace"])
    assert report["slack.workspace"]["fix"].startswith("Uninstall it there, and install it in the workspace")
    assert {report[check]["state"] for check in ("allowlist.anybody", "allowlist.foreign", "allowlist.people")} == {
        "skipped"
    }


@pytest.mark.fault("F60")
async def test_colleagues_of_another_workspace_are_no_outsiders(doctor: Doctor, slack: LocalSlack, book: Book) -> None:
    slack.workspace.enterprise_id = "E0LOCAL01"
    slack.workspace.add_people([Person("U0ALICE01", "alice", "T0SISTER1", enterprise_id="E0LOCAL01")])
    report = await doctor()

    assert (report.code, report.complaints) == (0, [])


async def test_a_missing_scope(doctor: Doctor, slack: LocalSlack) -> None:
    slack.workspace.scopes.remove("chat:write")
    report = await doctor()

    assert (report.code, report.complaints) == (1, ["slack.scopes"])
    assert report["slack.scopes"]["subject"] == "chat:write"
    assert "Add chat:write" in report["slack.scopes"]["fix"]


async def test_too_many_scopes(doctor: Doctor, slack: LocalSlack) -> None:
    slack.workspace.scopes += ["files:read", "chat:write.public"]
    announcing = await doctor()
    silent = await doctor(AUDIT_CHANNEL="")

    assert (announcing.code, announcing.complaints) == (0, ["slack.scopes"])
    assert announcing["slack.scopes"]["found"] == "The bot token has scopes that the bot does not need: files:read."
    assert "chat:write.public, files:read" in silent["slack.scopes"]["found"]


async def test_without_the_scopes_to_look_its_checks_are_skipped(doctor: Doctor, slack: LocalSlack) -> None:
    slack.workspace.scopes = ["commands", "chat:write"]
    report = await doctor()

    assert (report.code, report.complaints) == (0, [])
    assert "users:read" in report["allowlist.people"]["found"]
    assert "users:read" in report["slack.app"]["found"]
    assert "channels:read" in report["channel.reachable"]["found"]
    assert set(report.states("skipped")) == {
        "slack.app",
        "channel.reachable",
        "channel.shared",
        "turso.rights",
        "allowlist.people",
    }


@pytest.mark.parametrize(("seconds", "state", "words"), [(-100, "warning", "s ahead of"), (200, "failure", "s behind")])
async def test_slacks_clock(doctor: Doctor, slack: LocalSlack, seconds: float, state: str, words: str) -> None:
    slack.skew_clock(seconds)
    report = await doctor()
    found = report["slack.clock"]

    assert (report.code, found["state"]) == (int(state == "failure"), state)
    assert words in found["found"]
    assert found["fix"] == "Synchronize the clock: timedatectl set-ntp true"
    assert report["turso.clock"]["state"] == "ok"


async def test_a_second_deployment(doctor: Doctor, slack: LocalSlack, session: aiohttp.ClientSession) -> None:
    async with await connects(slack, session, 2):
        report = await doctor()
        replicas = await doctor("--replicas", "2")
        await slack.connected(2)

    assert (report.code, report.complaints) == (0, ["slack.deployments"])
    assert "connections of this Slack app: 2, of 1 expected" in report["slack.deployments"]["found"]
    assert "They are replicas, or another deployment" in report["slack.deployments"]["found"]
    assert "--replicas 2" in report["slack.deployments"]["fix"]
    assert replicas.complaints == []


async def test_the_bot_itself_is_no_second_deployment(doctor: Doctor, slack: LocalSlack) -> None:
    async with BotProcess(doctor.folder, {**doctor.settings, "PORT": "0"}):
        await slack.connected()
        slack.calls.clear()
        running = await doctor()
        stopped = await doctor("--replicas", "0")
        await slack.connected()

    assert running["slack.deployments"]["state"] == "ok"
    assert stopped["slack.deployments"]["state"] == "warning"


async def test_all_ten_connections_are_taken(doctor: Doctor, slack: LocalSlack, session: aiohttp.ClientSession) -> None:
    async with await connects(slack, session, 10):
        report = await doctor()

    assert (report.code, report.complaints) == (1, ["slack.deployments"])
    assert "all ten" in report["slack.deployments"]["found"]


async def test_an_app_level_token_that_slack_does_not_take(doctor: Doctor) -> None:
    report = await doctor(SLACK_APP_TOKEN="xapp-of-somebody-else")

    assert (report.code, report.complaints) == (1, ["slack.socket"])
    assert "connections:write" in report["slack.socket"]["fix"]
    assert {report[check]["state"] for check in ("slack.app", "slack.deployments")} == {"skipped"}


async def test_a_connection_that_does_not_open(doctor: Doctor, slack: LocalSlack) -> None:
    slack.refuse_sockets()
    report = await doctor()

    assert (report.code, report.complaints) == (1, ["slack.socket"])
    assert "WebSocket" in report["slack.socket"]["fix"]


async def test_tokens_of_two_apps(doctor: Doctor, slack: LocalSlack) -> None:
    slack.workspace.app_id = "A0OTHER"
    report = await doctor()

    assert (report.code, report.complaints) == (1, ["slack.app"])
    assert "A0OTHER, SLACK_APP_TOKEN to A0LOCAL" in report["slack.app"]["found"]


async def test_http_mode_has_no_connections(doctor: Doctor, slack: LocalSlack) -> None:
    report = await doctor(SLACK_APP_TOKEN="", SLACK_SIGNING_SECRET="a-signing-secret")

    assert (report.code, report.complaints) == (0, [])
    assert {report[check]["state"] for check in ("slack.socket", "slack.deployments")} == {"skipped"}
    assert report["slack.app"]["state"] == "ok"
    assert "apps.connections.open" not in {call.method for call in slack.calls}


async def test_an_audit_channel_without_the_bot(doctor: Doctor, slack: LocalSlack) -> None:
    slack.workspace.joined.discard("C0AUDIT")
    report = await doctor()
    slack.workspace.scopes.append("chat:write.public")
    public = await doctor()

    assert (report.code, report.complaints) == (1, ["channel.reachable"])
    assert report["channel.reachable"]["fix"] == "Type /invite @Turso Rotate in #audit."
    assert public.complaints == []


async def test_an_audit_channel_that_is_archived(doctor: Doctor, slack: LocalSlack) -> None:
    slack.workspace.channel_flags["C0AUDIT"] = {"is_archived": True}
    report = await doctor()

    assert (report.code, report.complaints) == (1, ["channel.reachable"])
    assert "archived" in report["channel.reachable"]["found"]


async def test_an_audit_channel_that_is_not_there(doctor: Doctor) -> None:
    report = await doctor(AUDIT_CHANNEL="C0NOWHERE")

    assert (report.code, report.complaints) == (1, ["channel.reachable"])
    assert "C0NOWHERE" in report["channel.reachable"]["found"]


async def test_a_private_audit_channel_needs_another_scope(doctor: Doctor, slack: LocalSlack) -> None:
    slack.workspace.channel_flags["C0AUDIT"] = {"is_private": True}
    unseen = await doctor()
    slack.workspace.scopes.append("groups:read")
    seen = await doctor()

    assert (unseen.code, unseen["channel.reachable"]["state"]) == (0, "skipped")
    assert "groups:read" in unseen["channel.reachable"]["found"]
    assert (seen["channel.reachable"]["state"], seen.complaints) == ("ok", [])


@pytest.mark.parametrize(
    ("trait", "words"), [("is_ext_shared", "another organization"), ("is_org_shared", "other workspaces")]
)
async def test_an_audit_channel_that_others_read(doctor: Doctor, slack: LocalSlack, trait: str, words: str) -> None:
    slack.workspace.channel_flags["C0AUDIT"] = {trait: True}
    report = await doctor()

    assert (report.code, report.complaints) == (0, ["channel.shared"])
    assert words in report["channel.shared"]["found"]


async def test_no_audit_channel(doctor: Doctor) -> None:
    report = await doctor(AUDIT_CHANNEL="")

    assert (report.code, report.complaints) == (0, [])
    assert {report[check]["state"] for check in ("channel.reachable", "channel.shared")} == {"skipped"}


async def test_slack_is_away(doctor: Doctor, slack: LocalSlack) -> None:
    await slack.go_offline()
    report = await doctor()

    assert (report.code, report.complaints) == (1, ["slack.token", "slack.socket"])
    assert slack.api_url in report["slack.token"]["fix"]
    assert report["slack.clock"]["state"] == "skipped"


@pytest.mark.parametrize("method", ["auth.test", "conversations.info"])
async def test_slack_echoes_the_token_in_an_error(doctor: Doctor, slack: LocalSlack, method: str) -> None:
    slack.fail(method, error="bad xoxb-local-bot xapp-local-app a-key-of-the-audit-trail")
    report = await doctor()

    assert "[redacted]" in str(report.findings)
