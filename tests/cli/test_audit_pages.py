"""`audit list` page by page: each event once, the newest first, whatever is written meanwhile."""

import json
from pathlib import Path

import pytest

from bot.domain.allowlist import Allowlist
from bot.store.allowlist import SqlGrants
from bot.store.database import open_database
from bot.trail.chain import UNKEYED
from tests.databases import load_url
from tests.process import run
from tests.store.conftest import ACME, ALICE, OPERATOR

ADD = ("allow", "add", "U024BE7LH", "--team", "T012AB3CD", "--group")


@pytest.fixture
async def trail(database_url: str) -> dict[str, str]:
    database = open_database(load_url(database_url))
    allowlist = Allowlist(SqlGrants(database, UNKEYED), OPERATOR, ACME)
    for number in range(1, 6):
        await allowlist.add(ALICE, f"group-{number}")
    await database.close()
    return {"DATABASE_URL": database_url}


async def test_pages_follow_each_other_by_the_last_number(trail: dict[str, str], tmp_path: Path) -> None:
    first = await run(trail, tmp_path, "audit", "list", "--limit", "2")
    await run(trail, tmp_path, *ADD, "group-6")
    second = await run(trail, tmp_path, "audit", "list", "--limit", "2", "--before", "4", "--format", "json")
    last = await run(trail, tmp_path, "audit", "list", "--limit", "2", "--before", "2")

    assert [line.split()[0] for line in first[1].splitlines()[1:]] == ["5", "4"]
    assert "To list older events, if there are any: --before 4" in first[2]
    assert [event["seq"] for event in json.loads(second[1])] == [3, 2]
    assert second[2] == ""
    assert [line.split()[0] for line in last[1].splitlines()[1:]] == ["1"]
    assert last[2] == ""


async def test_a_number_that_is_no_event_is_said(trail: dict[str, str], tmp_path: Path) -> None:
    code, out, error = await run(trail, tmp_path, "audit", "list", "--before", "77")

    assert (code, out, error) == (2, "", "turso-rotate: There is no event 77.\n")
