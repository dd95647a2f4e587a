"""`allow who`: who could rotate a group, as an auditor asks on a terminal."""

import csv
import json
from pathlib import Path

import pytest
from sqlalchemy import make_url

from bot.domain.allowlist import Allowlist
from bot.domain.grants import Role
from bot.domain.models import Actor, Organization, TeamId, UserId
from bot.store.allowlist import SqlGrants
from bot.store.database import open_database
from bot.trail.chain import UNKEYED
from tests.process import run

ALICE, BOB, TEAM = "U0ALICE01", "U0B0B0002", "T012AB3CD"


@pytest.fixture
async def settings(sqlite_url: str) -> dict[str, str]:
    """Let Alice rotate prod-*, and Bob read everything."""
    database = open_database(make_url(sqlite_url))
    allowlist = Allowlist(SqlGrants(database, UNKEYED), Actor.on_terminal("root"), Organization(""))
    await allowlist.add(Actor(TeamId(TEAM), UserId(ALICE)), "prod-*", note="on call")
    await allowlist.add(Actor(TeamId(TEAM), UserId(BOB)), None, role=Role.AUDIT)
    await database.close()
    return {"DATABASE_URL": sqlite_url}


async def test_who_could_rotate_then_and_there(settings: dict[str, str], tmp_path: Path) -> None:
    now, _, _ = await run(settings, tmp_path, "allow", "who", "prod-eu")
    await run(settings, tmp_path, "allow", "remove", ALICE, "--team", TEAM)
    nobody = await run(settings, tmp_path, "allow", "who", "prod-eu", "--format", "json")
    _, listed, _ = await run(settings, tmp_path, "allow", "list", "--all", "--format", "json")
    grant = json.loads(listed)[0]
    day, moment = grant["granted_at"][:10], grant["granted_at"]
    _, table, _ = await run(settings, tmp_path, "allow", "who", "prod-eu", "--at", day)
    _, then, _ = await run(settings, tmp_path, "allow", "who", "prod-eu", "--at", moment, "--format", "json")
    _, cells, _ = await run(settings, tmp_path, "allow", "who", "prod-eu", "--at", day, "--format", "csv")
    before = await run(settings, tmp_path, "allow", "who", "prod-eu", "--at", "2020-02-29")

    assert now == 0
    assert nobody == (0, "[]\n", "Nobody may rotate prod-eu now.\n")
    assert before == (0, "", "Nobody could rotate prod-eu on 2020-02-29 (UTC).\n")
    assert " ".join(table.split("\n")[0].split()) == "USER TEAM PATTERN FROM UNTIL GRANTED BY REVOKED NOTE"
    assert [word in table for word in (ALICE, TEAM, "prod-*", day, "on call", BOB)] == [True] * 5 + [False]
    answer = {"user": ALICE, "team": TEAM, "pattern": "prod-*", "until": None, "note": "on call"}
    times = {name: grant[name] for name in ("id", "granted_at", "granted_by", "revoked_at", "revoked_by")}
    assert json.loads(then) == [answer | times]
    assert [row["revoked_at"] for row in csv.DictReader(cells.splitlines())] == [grant["revoked_at"]]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["who", "prod-*"], "not a pattern"),
        (["who", "prod-eu", "--at", "yesterday"], "2026-10-01"),
        (["who", "prod-eu", "--at", "2026-02-30"], "2026-10-01"),
        (["add", ALICE, "--team", TEAM], "--group"),
        (["add", ALICE, "--team", TEAM, "--role", "audit", "--group", "x"], "leave out --group"),
        (["add", ALICE, "--team", TEAM, "--role", "reader"], "audit"),
        (["add", ALICE, "--team", TEAM, "--group", "x", "--until", "9999-12-31"], "leave out --until"),
        (["remove", ALICE, "--team", TEAM, "--role", "audit"], "no such grant"),
    ],
)
async def test_wrong_usage_is_explained(
    arguments: list[str], words: str, settings: dict[str, str], tmp_path: Path
) -> None:
    code, out, err = await run(settings, tmp_path, "allow", *arguments)

    assert (code, out) == (2, "")
    assert words in err
    assert "Traceback" not in err


async def test_an_auditor_is_told_apart(settings: dict[str, str], tmp_path: Path) -> None:
    auditor = await run(settings, tmp_path, "allow", "add", ALICE, "--team", TEAM, "--role", "audit")
    _, listed, _ = await run(settings, tmp_path, "allow", "list", "--format", "json")
    removed = await run(settings, tmp_path, "allow", "remove", ALICE, "--team", TEAM, "--role", "audit")
    left, _, said = await run(settings, tmp_path, "allow", "who", "prod-eu")

    assert auditor[:2] == (0, "")
    assert auditor[2].splitlines() == [
        f"{ALICE} may read everything and rotate nothing, with no end date.",
        f"{ALICE} may still rotate prod-*, by another grant.",
    ]
    assert [(grant["user"], grant["role"]) for grant in json.loads(listed)] == [
        (ALICE, "rotate"), (BOB, "audit"), (ALICE, "audit"),
    ]  # fmt: skip
    assert removed == (
        0,
        "",
        f"Revoked {ALICE}'s grant to read everything.\n{ALICE} may still rotate prod-*, by another grant.\n",
    )
    assert (left, said) == (0, "")
