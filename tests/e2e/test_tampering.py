"""Somebody at the database itself: it refuses, and without its triggers `audit verify` names the row."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from bot.sandbox.local_slack import LocalSlack
from bot.store.database import Database
from tests.databases import load_url
from tests.e2e.conftest import ALICE, BOB, asks
from tests.process import BotProcess, run
from tests.store import shell
from tests.store.attack import attack
from tests.store.test_tampering import swapped

pytestmark = pytest.mark.modes("http")

CONFIRM = "rotation:confirm"
EVERYWHERE = (
    "UPDATE audit_events SET user_id = 'U0N0B0DY'",
    "UPDATE audit_events SET seq = seq + 100",
    "DELETE FROM audit_events",
    "DELETE FROM audit_events WHERE seq = 5",
    "DELETE FROM rotations",
    "DELETE FROM allowlist",
)
BY_KIND = {
    "postgresql": ("TRUNCATE audit_events", "TRUNCATE rotations CASCADE", "TRUNCATE allowlist CASCADE"),
    "sqlite": ("INSERT OR REPLACE INTO audit_events SELECT * FROM audit_events WHERE seq = 3",),
}
ROWS = "SELECT * FROM audit_events ORDER BY seq"


async def rotates(slack: LocalSlack) -> None:
    """Leave rows 3 to 5 in the trail, behind two grants."""
    await slack.presses(ALICE, await asks(slack, ALICE, "payments key leaked"), CONFIRM)
    await slack.sees(ALICE, "Done: the tokens of payments are rotated")


def refusal(database_url: str, statement: str) -> str:
    """Run a statement over a connection of the plain driver, and return what it was refused with."""
    try:
        if database_url.startswith("sqlite"):
            with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as file, file:
                file.execute(statement)
        else:
            with psycopg.connect(database_url) as server:
                server.execute(statement)
    except (sqlite3.IntegrityError, psycopg.errors.RestrictViolation) as error:
        return str(error)
    return "nothing refused it"


@pytest.mark.usefixtures("bot")
@pytest.mark.fault("F32")
async def test_the_database_refuses_to_rewrite_history(
    slack: LocalSlack, database: Database, database_url: str
) -> None:
    await rotates(slack)
    before = await shell.rows(database, ROWS)
    statements = (*EVERYWHERE, *BY_KIND[load_url(database_url).get_backend_name()])
    refused = {statement: refusal(database_url, statement) for statement in statements}

    for statement, words in refused.items():
        assert any(each in words for each in ("append-only", "never deleted", "never changes")), (statement, words)
    assert len(before) == 5
    assert await shell.rows(database, ROWS) == before


@pytest.mark.parametrize(
    ("deeds", "found"),
    [
        (["UPDATE audit_events SET user_id = 'U0B0B0002' WHERE seq = 3"], "Row 3: changed."),
        (["DELETE FROM audit_events WHERE seq = 4"], "Row 4: missing."),
        (swapped(3, 4), "Row 3: reordered."),
    ],
    ids=["changed", "deleted", "reordered"],
)
@pytest.mark.fault("F32")
async def test_without_the_triggers_verification_names_the_row(
    deeds: list[str], found: str, slack: LocalSlack, bot: BotProcess, settings: dict[str, str], tmp_path: Path
) -> None:
    await rotates(slack)
    well, _, _ = await run(settings, tmp_path, "audit", "verify")
    attack(load_url(settings["DATABASE_URL"]), *deeds)
    code, out, err = await run(settings, tmp_path, "audit", "verify")

    assert well == 0
    assert code == 1
    assert found in out + err


@pytest.mark.fault("F32")
async def test_whoever_leaves_takes_no_row_along(
    slack: LocalSlack, bot: BotProcess, settings: dict[str, str], database: Database, tmp_path: Path
) -> None:
    await rotates(slack)
    before = await shell.rows(database, ROWS)
    for person in (ALICE, BOB):
        await run(settings, tmp_path, "allow", "remove", person.user_id, "--team", person.team_id)
    code, _, _ = await run(settings, tmp_path, "audit", "verify")
    after = await shell.rows(database, ROWS)

    assert after[: len(before)] == before
    assert len(after) == len(before) + 2
    assert code == 0


REWRITTEN = {
    "requested_at": "expires_at",
    "ended_at": "expires_at",
    "started_at": "expires_at",
    "reason": "'routine'",
    "channel_id": "'C0ELSEWHERE'",
    "detail": "replace(detail, '200', '204')",
}


@pytest.mark.fault("F54")
async def test_whatever_people_read_of_a_rotation_is_compared(
    slack: LocalSlack, bot: BotProcess, settings: dict[str, str], tmp_path: Path
) -> None:
    await rotates(slack)
    before = await run(settings, tmp_path, "audit", "verify")
    url = load_url(settings["DATABASE_URL"])
    columns = ", ".join(f"{name} = {value}" for name, value in REWRITTEN.items())
    attack(url, f"UPDATE rotations SET {columns}")  # noqa: S608 - the attacker's
    code, out, _ = await run(settings, tmp_path, "audit", "verify", "--format", "json")
    told = json.loads(out)["mismatches"]

    assert before[0] == 0
    assert code == 1
    assert [name for name in REWRITTEN if not any(f": {name}" in each for each in told)] == []
    assert any(': reason is "routine" here, but "key leaked" in row 3 of the trail.' in each for each in told)
    assert any(": detail.status is 204 here, but 200 in row 5 of the trail." in each for each in told)


@pytest.mark.databases("sqlite")
@pytest.mark.fault("F58")
async def test_nothing_is_not_sound(
    slack: LocalSlack, bot: BotProcess, settings: dict[str, str], tmp_path: Path
) -> None:
    await rotates(slack)
    _, export, _ = await run(settings, tmp_path, "audit", "export")
    _, table, _ = await run(settings, tmp_path, "audit", "export", "--format", "csv")
    inputs = {"nothing": "", "a header": table.partition("\n")[0] + "\n", "half a line": export[:-40], "all": export}
    seen = {
        name: await run(settings, tmp_path, "audit", "verify", "--file", "-", "--format", "json", given=text)
        for name, text in inputs.items()
    }
    words, _ = (await run(settings, tmp_path, "audit", "verify", "--file", "-"))[1:]

    assert {name: code for name, (code, _, _) in seen.items()} == {
        "nothing": 1, "a header": 1, "half a line": 1, "all": 0,
    }  # fmt: skip
    assert [name for name, (_, out, _) in seen.items() if json.loads(out)["sound"]] == ["all"]
    assert "the middle of a line" in json.loads(seen["half a line"][1])["finding"]["explanation"]
    assert words.startswith("There are no rows to verify.")
