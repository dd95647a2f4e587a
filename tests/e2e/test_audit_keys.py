"""The key of the trail around the real process: a wrong one writes nothing, and a new one comes on purpose."""

import json
from pathlib import Path

import pytest

from bot.domain.events import Action, Event
from bot.domain.models import Actor, Organization
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from bot.store.database import open_database
from bot.store.trail import SqlTrail
from bot.trail.chain import Seal
from tests.databases import load_url
from tests.e2e.conftest import ALICE, Trail, asks, connect
from tests.e2e.test_health import Health
from tests.process import BotProcess, run

pytestmark = pytest.mark.modes("http")

OLD, NEW = "correct horse battery staple", "another pony staple battery"
CONFIRM = "rotation:confirm"


async def rotates(slack: LocalSlack, group: str) -> None:
    since = len(slack.messages)
    await slack.presses(ALICE, await asks(slack, ALICE, f"{group} key leaked"), CONFIRM)
    await slack.sees(ALICE, f"Done: the tokens of {group} are rotated", since=since)


@pytest.mark.fault("F57")
async def test_the_key_is_changed_under_a_running_bot_which_then_writes_nothing(
    slack: LocalSlack, turso: LocalTurso, settings: dict[str, str], tmp_path: Path, trail: Trail
) -> None:
    old, new = settings | {"AUDIT_KEY": OLD}, settings | {"AUDIT_KEY": NEW, "AUDIT_KEYS_BEFORE": json.dumps([OLD])}
    async with BotProcess(tmp_path, old) as bot:
        await connect(slack, bot, old)
        await rotates(slack, "payments")
        waiting = await asks(slack, ALICE, "default key leaked")
        rekeyed = await run(old, tmp_path, "audit", "rekey", given=f"{NEW}\n")
        await slack.types(ALICE, "/turso-rotate payments once more")
        await slack.sees(ALICE, "The audit trail's key was changed: restart the bot with the new AUDIT_KEY.")
        since = len(slack.messages)
        await slack.presses(ALICE, waiting, CONFIRM)
        await slack.sees(ALICE, "The audit trail's key was changed", since=since)
        refused = await trail()
        ready = await Health(bot).ready()
    started = await run(old, tmp_path, "serve")
    async with BotProcess(tmp_path, new) as bot:
        await connect(slack, bot, new)
        await rotates(slack, "payments")
    verified = await run(new, tmp_path, "audit", "verify", "--unkeyed-until", "2")

    assert rekeyed[0] == 0
    assert refused == ["rotation.requested", "rotation.started", "rotation.succeeded", "rotation.requested"]
    assert (ready[0], "restart the bot with the new AUDIT_KEY" in str(ready[1])) == (503, True)
    assert (started[0], "changed the key" in started[2]) == (2, True)
    assert turso.calls_to_rotate() == 2
    assert verified[0] == 0, verified
    assert "The key was changed in row 7." in verified[1]


@pytest.mark.fault("F57")
async def test_a_key_that_docker_left_in_quotes_serves_nobody(
    slack: LocalSlack, turso: LocalTurso, settings: dict[str, str], tmp_path: Path
) -> None:
    right, quoted = settings | {"AUDIT_KEY": OLD}, settings | {"AUDIT_KEY": f'"{OLD}"'}
    async with BotProcess(tmp_path, right) as bot:
        await connect(slack, bot, right)
        await rotates(slack, "payments")
    served = await run(quoted, tmp_path, "serve")
    verified = await run(quoted, tmp_path, "audit", "verify", "--unkeyed-until", "2")

    assert (served[0], "docker keeps the quotes" in served[2]) == (2, True)
    assert "Traceback" not in served[2]
    assert verified[0] == 1
    assert verified[1].startswith("Row 3: wrong key.")
    assert "docker keeps the quotes" in verified[1]


@pytest.mark.fault("F57")
async def test_a_row_that_somebody_forged_keeps_no_bot_from_starting(
    slack: LocalSlack, settings: dict[str, str], tmp_path: Path
) -> None:
    right = settings | {"AUDIT_KEY": OLD}
    async with BotProcess(tmp_path, right) as bot:
        await connect(slack, bot, right)
        await rotates(slack, "payments")
    database = open_database(load_url(settings["DATABASE_URL"]))
    await SqlTrail(database, Seal(NEW.encode())).append(
        Event(Action.DENIED, Actor.on_terminal("mallory"), Organization("acme"))
    )
    await database.close()
    async with BotProcess(tmp_path, right) as bot:
        await connect(slack, bot, right)
        logged = await bot.logs("audit trail")
        await rotates(slack, "default")

    assert "Row 6 of the audit trail does not verify under AUDIT_KEY: it was changed or forged" in str(logged)
