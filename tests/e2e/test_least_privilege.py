"""The real bot in PostgreSQL under the role that the script in the docs makes: it does its whole job."""

import asyncio
import json
from pathlib import Path

import pytest
from psycopg.errors import RestrictViolation

from bot.sandbox.faults import Hang
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from tests.e2e.conftest import ALICE, MALLORY, Stories, Trail, announced, asks, connect, id_on
from tests.postgres import binaries
from tests.process import BotProcess, run, settings_for
from tests.roles import owned, restricted
from tests.store.test_role import NOT_ITS_OWN, OUT_OF_TURN, refused

pytestmark = pytest.mark.modes("socket")

CONFIRM, CANCEL = "rotation:confirm", "rotation:cancel"


@pytest.fixture
def owner(empty_postgres_url: str) -> dict[str, str]:
    """Give the settings of whoever migrates and allows."""
    return {"DATABASE_URL": owned(empty_postgres_url), "TURSO_ORGANIZATION": "acme"}


@pytest.fixture
async def settings(
    slack: LocalSlack, turso: LocalTurso, owner: dict[str, str], tmp_path: Path, request: pytest.FixtureRequest
) -> dict[str, str]:
    """Migrate as the owner, make the bot's role, let Alice rotate everything, and serve as that role."""
    psql = binaries(request.config.getoption("--postgres")) / "psql"
    assert (await run(owner, tmp_path, "migrate"))[0] == 0
    bot_url = await asyncio.to_thread(restricted, owner["DATABASE_URL"], psql)
    alice = ("allow", "add", ALICE.user_id, "--team", ALICE.team_id, "--group", "*")
    assert (await run(owner, tmp_path, *alice))[0] == 0
    return settings_for(slack, turso, bot_url)


async def test_the_bots_role_is_enough_for_every_end(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, settings: dict[str, str], tmp_path: Path, stories: Stories
) -> None:
    turso.organization.groups["spare"] = ()
    await slack.types(MALLORY, "/turso-rotate payments")
    await slack.sees(MALLORY, "not on the allowlist")
    done, cancelled, unknown = [await asks(slack, ALICE, group) for group in ("payments", "default", "spare")]
    await slack.presses(ALICE, done, CONFIRM)
    await slack.sees(None, "@alice rotated the tokens of", channel="C0AUDIT")
    await slack.presses(ALICE, cancelled, CANCEL)
    await slack.sees(ALICE, "Cancelled")
    turso.inject(Hang())
    await slack.presses(ALICE, unknown, CONFIRM)
    await slack.sees(None, "Whether that happened is unknown", channel="C0AUDIT", timeout=10)
    note = ("--as", "failed", "--note", "an old token still connects")
    judged, _, _ = await run(settings, tmp_path, "audit", "resolve", id_on(unknown), *note)
    await slack.sees(None, "judged", "an old token still connects", channel="C0AUDIT", timeout=20)

    assert judged == 0
    assert turso.calls_to_rotate() == 2
    assert len(announced(slack)) == 3
    assert "permission denied" not in bot.output
    assert list((await stories()).values()) == [
        ["rotation.requested", "rotation.started", "rotation.succeeded"],
        ["rotation.requested", "rotation.cancelled"],
        ["rotation.requested", "rotation.started", "rotation.unknown", "rotation.resolved"],
    ]


async def test_the_bots_role_is_enough_to_supersede_to_note_and_to_rotate_from_a_terminal(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, settings: dict[str, str], tmp_path: Path, stories: Stories
) -> None:
    await asks(slack, ALICE, "payments")
    pressed = await asks(slack, ALICE, "payments")
    noted, _, _ = await run(settings, tmp_path, "audit", "note", "payments", "--note", "by hand")
    await slack.presses(ALICE, pressed, CONFIRM)
    await slack.sees(ALICE, "Your press changed nothing", "Rotated by hand")
    rotated, _, _ = await run(settings, tmp_path, "rotate", "payments", "--reason", "Slack is slow", "--yes")

    assert (noted, rotated, turso.calls_to_rotate()) == (0, 0, 1)
    assert "permission denied" not in bot.output
    assert list((await stories()).values()) == [
        ["rotation.requested", "rotation.superseded"],
        ["rotation.requested", "rotation.superseded"],
        ["rotation.requested"],
        ["rotation.requested", "rotation.started", "rotation.succeeded"],
    ]


async def test_the_bots_role_is_enough_to_expire(
    slack: LocalSlack, turso: LocalTurso, settings: dict[str, str], tmp_path: Path, trail: Trail
) -> None:
    async with BotProcess(tmp_path, settings | {"CONFIRM_TTL": "1"}) as bot:
        await connect(slack, bot, settings)
        await slack.types(ALICE, "/turso-rotate payments")
        await slack.sees(ALICE, "The request to rotate", "expired", timeout=15)

    assert turso.calls_to_rotate() == 0
    assert await trail() == ["rotation.requested", "rotation.expired"]


async def test_the_bots_role_reads_everything_and_allows_nobody(settings: dict[str, str], tmp_path: Path) -> None:
    bob = ("U0B0B0002", "--team", ALICE.team_id)
    added = await run(settings, tmp_path, "allow", "add", *bob, "--group", "payments")
    removed = await run(settings, tmp_path, "allow", "remove", ALICE.user_id, "--team", ALICE.team_id)
    commands = ("allow list", "allow who payments", "audit list", "audit stats", "audit export", "audit verify")
    read = [await run(settings, tmp_path, *command.split()) for command in commands]
    _, listed, _ = await run(settings, tmp_path, "allow", "list", "--all", "--format", "json")

    assert [(code, "refuses this: its role lacks" in err) for code, _, err in (added, removed)] == [(1, True)] * 2
    assert [code for code, _, _ in read] == [0] * len(commands)
    assert [(grant["user"], grant["state"]) for grant in json.loads(listed)] == [(ALICE.user_id, "in force")]


@pytest.mark.fault("F52")
async def test_whoever_steals_the_bots_role_can_neither_jam_the_trail_nor_start_a_rotation(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, settings: dict[str, str], stories: Stories
) -> None:
    asked = await asks(slack, ALICE, "payments")
    stolen = settings["DATABASE_URL"]
    jams = [each for each in OUT_OF_TURN if not await asyncio.to_thread(refused, stolen, each, by=RestrictViolation)]
    forgeries = [each for each in NOT_ITS_OWN if not await asyncio.to_thread(refused, stolen, each)]
    await slack.presses(ALICE, asked, CONFIRM)
    await slack.sees(ALICE, "Done: the tokens of payments are rotated")

    assert (jams, forgeries) == ([], [])
    assert (await stories())[id_on(asked)] == ["rotation.requested", "rotation.started", "rotation.succeeded"]
