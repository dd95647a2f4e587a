"""In Enterprise Grid, Slack names the enterprise, or another of its workspaces, as the team of a colleague."""

import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from bot.sandbox.loopback import LoopbackServer
from bot.sandbox.workspace import Person
from tests.e2e.conftest import ALICE, BOB, GUEST, MALLORY, Trail, asks, id_on, read_trail
from tests.process import BotProcess, run

pytestmark = [pytest.mark.modes("socket"), pytest.mark.databases("sqlite")]

CONFIRM, CANCEL = "rotation:confirm", "rotation:cancel"
HERE, SISTER, ELSEWHERE = "T012AB3CD", "T0SISTER1", "T0OTHER99"
ENTERPRISE, OTHER_ENTERPRISE = "E0LOCAL01", "E0OTHER99"
REFUSED = "This bot serves another workspace."
OUTSIDE = {
    "another workspace": (ELSEWHERE, None),
    "another workspace of another enterprise": (ELSEWHERE, OTHER_ENTERPRISE),
    "another enterprise": (OTHER_ENTERPRISE, OTHER_ENTERPRISE),
}
FORGED: dict[str, dict[str, Any]] = {
    "no team": {"team": None},
    "a team without an id": {"team": {"id": ""}},
    "a number": {"user": {"id": ALICE.user_id, "team_id": 7}},
    "nothing": {"user": {"id": ALICE.user_id, "team_id": None}},
    "almost the enterprise": {"user": {"id": ALICE.user_id, "team_id": f"{ENTERPRISE} "}},
    "lower case": {"user": {"id": ALICE.user_id, "team_id": SISTER.lower()}},
    "a user as a team": {"user": {"id": ALICE.user_id, "team_id": ALICE.user_id}},
    "another enterprise": {"user": {"id": ALICE.user_id, "team_id": OTHER_ENTERPRISE}},
}
Actors = Callable[[], Awaitable[set[str]]]


@pytest.fixture
async def slack() -> AsyncIterator[LocalSlack]:
    async with LocalSlack(people=(ALICE, BOB, MALLORY, GUEST)) as slack:
        slack.workspace.enterprise_id = ENTERPRISE
        yield slack


@pytest.fixture
def teams(settings: dict[str, str]) -> Actors:
    """Give a way to read which teams people had, according to the audit trail."""

    async def read() -> set[str]:
        return {each.event.actor.team_id for each in await read_trail(settings) if each.event.actor.in_slack}

    return read


def of(person: Person, team_id: str, enterprise_id: str | None = ENTERPRISE) -> Person:
    """Return the same person, as payloads name them with another team."""
    return dataclasses.replace(person, team_id=team_id, enterprise_id=enterprise_id)


@pytest.mark.parametrize("team_id", [ENTERPRISE, SISTER, HERE])
@pytest.mark.fault("F60")
async def test_a_colleague_of_any_workspace_is_one_person_in_messages(
    team_id: str, slack: LocalSlack, turso: LocalTurso, bot: BotProcess, trail: Trail, teams: Actors
) -> None:
    card, other = await asks(slack, ALICE, "payments"), await asks(slack, ALICE, "default")
    await slack.presses(of(ALICE, team_id), card, CONFIRM)
    await slack.sees(ALICE, "Done: the tokens of payments are rotated")
    await slack.presses(of(ALICE, team_id), other, CANCEL)
    await slack.sees(ALICE, "Cancelled")

    assert turso.calls_to_rotate() == 1
    assert (await trail())[2:] == ["rotation.started", "rotation.succeeded", "rotation.cancelled"]
    assert await teams() == {HERE}


@pytest.mark.parametrize("team_id", [ENTERPRISE, SISTER])
@pytest.mark.fault("F60")
async def test_a_colleague_of_any_workspace_is_one_person_on_home(
    team_id: str, slack: LocalSlack, bot: BotProcess, trail: Trail, teams: Actors
) -> None:
    alice = of(ALICE, team_id)
    card = await asks(slack, ALICE, "payments")
    await slack.opens_home(alice)
    home = await slack.sees_view(alice, "payments", "Cancel")
    await slack.presses(alice, home, "home:outcome", value="succeeded")
    home = await slack.sees_view(alice, "payments", "Cancel")
    await slack.presses(alice, home, "home:cancel", value=id_on(card))
    await slack.sees(ALICE, "Cancelled")

    assert await trail() == ["rotation.requested", "rotation.cancelled"]
    assert await teams() == {HERE}


@pytest.mark.parametrize("team_id", [ENTERPRISE, SISTER])
@pytest.mark.modes("http", "socket")
@pytest.mark.fault("F60")
async def test_a_colleague_may_type_in_any_workspace(
    team_id: str, slack: LocalSlack, bot: BotProcess, trail: Trail, teams: Actors
) -> None:
    typed = await slack.types(ALICE, "/turso-rotate help")
    command = typed.request.payload | {"team_id": team_id, "text": "payments", "trigger_id": "1.2.another"}
    await slack.delivers("slash_commands", command)
    card = await slack.sees(ALICE, "Rotate the tokens of payments?")
    await slack.presses(ALICE, card, CANCEL)
    await slack.sees(ALICE, "Cancelled")

    assert await trail() == ["rotation.requested", "rotation.cancelled"]
    assert await teams() == {HERE}


@pytest.mark.parametrize("team_id", [ENTERPRISE, SISTER])
@pytest.mark.fault("F60")
async def test_a_colleague_needs_a_grant_like_everybody(
    team_id: str, slack: LocalSlack, turso: LocalTurso, bot: BotProcess, trail: Trail, teams: Actors
) -> None:
    mallory = of(MALLORY, team_id)
    await slack.types(mallory, "/turso-rotate payments")
    told = await slack.sees(mallory, "You are not on the allowlist for payments")
    card = await asks(slack, ALICE, "payments")
    await slack.presses(mallory, card, CONFIRM)
    await slack.sees(mallory, "Only the person who requested")

    assert f"turso-rotate allow add {MALLORY.user_id} --team {HERE} --group payments" in told.plain
    assert card.buttons == [CONFIRM, CANCEL]
    assert turso.calls_to_rotate() == 0
    assert await trail() == ["rotation.denied", "rotation.requested", "rotation.denied"]
    assert await teams() == {HERE}


@pytest.mark.parametrize(("team_id", "enterprise_id"), OUTSIDE.values(), ids=OUTSIDE)
@pytest.mark.fault("F60")
async def test_outsiders_stay_outside_even_under_the_name_of_a_colleague(
    team_id: str, enterprise_id: str | None, slack: LocalSlack, turso: LocalTurso, bot: BotProcess,
    settings: dict[str, str],
) -> None:  # fmt: skip
    alice = of(ALICE, team_id, enterprise_id)
    typed = await slack.types(alice, "/turso-rotate payments")
    await slack.sees(alice, REFUSED)
    card = await asks(slack, ALICE, "default")
    for action in (CONFIRM, CANCEL):
        since = len(slack.messages)
        await slack.presses(alice, card, action)
        await slack.sees(alice, REFUSED, since=since)
    await slack.opens_home(alice)
    home = await slack.sees_view(alice, REFUSED)
    slack.workspace.homes.clear()
    await slack.presses(alice, home, "home:outcome", value="succeeded")
    await slack.sees_view(alice, REFUSED)
    rows = [each.event for each in await read_trail(settings)]

    assert typed.status == 200
    assert card.buttons == [CONFIRM, CANCEL]
    assert turso.calls_to_rotate() == 0
    assert {row.actor.team_id for row in rows if row.action.endswith("denied")} == {team_id}
    assert [row.action for row in rows if row.actor.in_slack] == [
        "rotation.denied", "rotation.requested", "rotation.denied", "rotation.denied", "history.denied",
        "history.denied",
    ]  # fmt: skip


@pytest.mark.fault("F60")
async def test_the_installations_enterprise_lets_nobody_in_whose_team_is_missing_or_rubbish(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, trail: Trail, teams: Actors
) -> None:
    card = await asks(slack, ALICE, "payments")
    for forged in FORGED.values():
        since = len(slack.messages)
        await slack.presses(ALICE, card, CONFIRM, **forged, enterprise={"id": ENTERPRISE})
        await slack.sees(ALICE, REFUSED, since=since)

    assert card.buttons == [CONFIRM, CANCEL]
    assert turso.calls_to_rotate() == 0
    assert (await trail())[1:] == ["rotation.denied"] * len(FORGED)
    assert await teams() == {HERE, "unknown", ALICE.user_id, OTHER_ENTERPRISE}


@pytest.mark.parametrize("enterprise", [None, {"id": None}, {"id": ""}, {}, {"id": ENTERPRISE}])
@pytest.mark.parametrize("team_id", [ENTERPRISE, SISTER])
@pytest.mark.fault("F60")
async def test_a_workspace_without_an_enterprise_has_no_colleagues_elsewhere(
    team_id: str, enterprise: object, slack: LocalSlack, settings: dict[str, str], tmp_path: Path, teams: Actors
) -> None:
    slack.workspace.auth = {"enterprise_id": None}
    async with BotProcess(tmp_path, settings):
        await slack.connected()
        card = await asks(slack, ALICE, "payments")
        await slack.presses(of(ALICE, team_id), card, CONFIRM, enterprise=enterprise)
        await slack.sees(ALICE, REFUSED)

    assert card.buttons == [CONFIRM, CANCEL]
    assert await teams() == {HERE, team_id}


@pytest.mark.parametrize(
    "auth",
    [
        {"team_id": ENTERPRISE, "is_enterprise_install": True},
        {"team_id": None, "team": None, "is_enterprise_install": True},
        {"team_id": HERE, "is_enterprise_install": True},
        {"team_id": ENTERPRISE},
        {"team_id": None},
    ],
)
@pytest.mark.fault("F60")
async def test_an_installation_in_a_whole_organization_is_refused_at_the_start(
    auth: dict[str, object], slack: LocalSlack, settings: dict[str, str], tmp_path: Path
) -> None:
    slack.workspace.auth = auth
    code, _, err = await run(settings, tmp_path, "serve")

    assert code == 1
    assert "The app is installed in a whole organization, but the bot serves one workspace." in err
    assert "install it in the workspace" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("team_id", [ENTERPRISE, SISTER, ELSEWHERE, "acme"])
@pytest.mark.fault("F60")
async def test_a_grant_names_the_workspace_that_the_bot_serves(
    team_id: str, slack: LocalSlack, settings: dict[str, str], tmp_path: Path
) -> None:
    asked = ("allow", "add", MALLORY.user_id, "--group", "payments", "--team")
    refused = await run(settings, tmp_path, *asked, team_id)
    accepted = await run(settings, tmp_path, *asked, HERE)
    why = f"The bot serves {HERE}: pass that as --team, or leave --team out. Grants to others never hold."

    assert refused == (2, "", f"turso-rotate: {why}\n")
    assert accepted[0] == 0
    assert "Warning" not in accepted[2]


@pytest.mark.parametrize("answer", [{"text": "<html>Sign in</html>"}, {"text": "[]"}, {"status": 503}])
@pytest.mark.fault("F60")
async def test_something_that_is_not_slack_is_no_reason_to_refuse_a_grant(
    answer: dict[str, Any], settings: dict[str, str], tmp_path: Path
) -> None:
    async def answers(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(**answer)

    proxy = LoopbackServer(answers)
    await proxy.open()
    settings |= {"SLACK_API_URL": f"{proxy.url}/api/"}
    person = (MALLORY.user_id, "--team", ELSEWHERE)
    added = await run(settings, tmp_path, "allow", "add", *person, "--group", "payments")
    served = await run(settings, tmp_path, "serve")
    await proxy.close()

    why = "Slack cannot be reached: SLACK_API_URL did not answer as Slack's API does."
    assert added[0] == 0
    assert added[2].startswith(f"Warning: could not check that the bot serves {ELSEWHERE}: {why}\n")
    assert served[0] == 1
    assert f"turso-rotate: {why}\n" in served[2]


@pytest.mark.parametrize(
    "changes", [{"SLACK_API_URL": "http://127.0.0.1:9/api/"}, {"SLACK_BOT_TOKEN": "xoxb-wrong"}], ids=["away", "token"]
)
@pytest.mark.fault("F60")
async def test_a_grant_whose_workspace_cannot_be_checked_is_accepted_with_a_warning_and_can_be_revoked(
    changes: dict[str, str], slack: LocalSlack, settings: dict[str, str], tmp_path: Path
) -> None:
    person = (MALLORY.user_id, "--team", ELSEWHERE)
    added = await run(settings, tmp_path, "allow", "add", *person, "--group", "payments")
    slack.calls.clear()
    reachable = settings | {"SLACK_API_URL": slack.api_url, "SLACK_BOT_TOKEN": "xoxb-local-bot"}
    removed = await run(reachable, tmp_path, "allow", "remove", *person)

    assert added[0] == 0
    assert added[2].startswith(f"Warning: could not check that the bot serves {ELSEWHERE}: ")
    assert removed == (0, "", f"Revoked {MALLORY.user_id}'s grant to rotate payments.\n")
    assert slack.calls == []
