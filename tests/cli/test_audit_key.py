"""Nobody continues the chain of hashes with rows that could never be verified with those before."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from bot.trail.chain import Row, Seal
from tests.databases import load_url
from tests.process import run, settings_for
from tests.store.attack import attack
from tests.synthetic.events import events, sealed

KEY, OTHER = {"AUDIT_KEY": "correct horse battery staple"}, {"AUDIT_KEY": "wrong pony capacitor nail"}
ADD = ("allow", "add", "U024BE7LH", "--team", "T012AB3CD", "--group")


@pytest.fixture
def settings(database_url: str) -> dict[str, str]:
    return {"DATABASE_URL": database_url, "TURSO_ORGANIZATION": "acme"}


async def verified(settings: dict[str, str], folder: Path) -> int:
    """Verify with the key; gives the exit code."""
    return (await run(settings | KEY, folder, "audit", "verify"))[0]


async def test_a_keyed_trail_takes_nothing_without_the_key(settings: dict[str, str], tmp_path: Path) -> None:
    first = await run(settings | KEY, tmp_path, *ADD, "payments")
    keyless = [
        await run(settings, tmp_path, *ADD, "ledger"),
        await run(settings, tmp_path, "allow", "remove", "U024BE7LH", "--team", "T012AB3CD"),
        await run(settings, tmp_path, "audit", "resolve", "0123456789abc", "--as", "failed", "--note", "seen"),
    ]
    listed = await run(settings, tmp_path, "audit", "list", "--format", "json")

    assert first[0] == 0
    assert [(code, "AUDIT_KEY is not set, but row 1" in error) for code, _, error in keyless] == [(2, True)] * 3
    assert listed[1].count('"action": "allowlist.granted"') == 1
    assert "allowlist.revoked" not in listed[1]
    assert await verified(settings, tmp_path) == 0


async def test_the_bot_does_not_serve_without_the_key_of_its_trail(settings: dict[str, str], tmp_path: Path) -> None:
    await run(settings | KEY, tmp_path, *ADD, "payments")
    async with LocalSlack() as slack, LocalTurso() as turso:
        code, _, error = await run(settings_for(slack, turso, settings["DATABASE_URL"]), tmp_path, "serve")

    assert code == 2
    assert "AUDIT_KEY is not set, but row 1 of the audit trail was written with a key" in error
    assert "Traceback" not in error


@pytest.mark.fault("F57")
async def test_a_keyed_trail_takes_nothing_with_another_key(settings: dict[str, str], tmp_path: Path) -> None:
    await run(settings | KEY, tmp_path, *ADD, "payments")
    refused = [
        await run(settings | OTHER, tmp_path, *ADD, "ledger"),
        await run(settings | OTHER, tmp_path, "allow", "remove", "U024BE7LH", "--team", "T012AB3CD"),
        await run(settings | OTHER, tmp_path, "audit", "resolve", "0123456789abc", "--as", "failed", "--note", "seen"),
        await run(settings | OTHER, tmp_path, "audit", "note", "payments", "--note", "by hand"),
        await run(settings | OTHER, tmp_path, "audit", "rekey", given="another pony staple battery\n"),
    ]
    quoted = await run(settings | {"AUDIT_KEY": f'"{KEY["AUDIT_KEY"]}"'}, tmp_path, *ADD, "ledger")
    seen = await run(settings | OTHER, tmp_path, "audit", "verify")

    words = "AUDIT_KEY is not the key of the audit trail: row 1 was written with another one, or was changed."
    assert [(code, words in error) for code, _, error in refused] == [(2, True)] * 5
    assert "docker keeps the quotes" in quoted[2]
    assert seen[1].startswith("Row 1: wrong key.")
    assert await verified(settings, tmp_path) == 0


@pytest.mark.fault("F57")
async def test_nothing_serves_or_rotates_with_another_key(settings: dict[str, str], tmp_path: Path) -> None:
    await run(settings | KEY, tmp_path, *ADD, "payments")
    async with LocalSlack() as slack, LocalTurso() as turso:
        given = settings_for(slack, turso, settings["DATABASE_URL"]) | OTHER
        served = await run(given, tmp_path, "serve")
        rotated = await run(given, tmp_path, "rotate", "payments", "--reason", "leaked", "--yes")
        calls = turso.calls_to_rotate()

    assert [(code, "AUDIT_KEY is not the key" in error) for code, _, error in (served, rotated)] == [(2, True)] * 2
    assert "Traceback" not in served[2] + rotated[2]
    assert "To rotate it without the bot" in rotated[2]
    assert calls == 0
    assert await verified(settings, tmp_path) == 0


@pytest.mark.fault("F57")
@pytest.mark.parametrize("junk", [1, 1001])
@pytest.mark.databases("sqlite")
async def test_rows_that_somebody_forged_keep_nobody_from_writing(
    junk: int, settings: dict[str, str], tmp_path: Path
) -> None:
    await run(settings | KEY, tmp_path, *ADD, "payments")
    first = (await run(settings | KEY, tmp_path, "audit", "verify", "--format", "json"))[1]
    forged = events(2, junk + 1)
    attack(load_url(settings["DATABASE_URL"]), *appended(sealed(forged, Seal(b"of somebody else"), head(first))))
    taken = await run(settings | KEY, tmp_path, *ADD, "ledger")
    refused = await run(settings | OTHER, tmp_path, *ADD, "orders")
    later = await run(settings | KEY, tmp_path, *ADD, "orders")
    seen = await run(settings | KEY, tmp_path, "audit", "verify")

    rows = "Row 2 of the audit trail does not" if junk == 1 else "Rows 2 to 1002 of the audit trail do not"
    assert (taken[0], f"{rows} verify under AUDIT_KEY" in taken[2]) == (0, True)
    assert taken[2].count("audit verify") == 1
    assert (refused[0], "AUDIT_KEY is not the key of the audit trail" in refused[2]) == (2, True)
    assert (later[0], "audit verify" in later[2]) == (0, False)
    assert (seen[0], seen[1].startswith("Row 2: changed.")) == (1, True)


@pytest.mark.fault("F57")
@pytest.mark.databases("sqlite")
async def test_a_key_is_changed_next_to_forged_rows(settings: dict[str, str], tmp_path: Path) -> None:
    await run(settings | KEY, tmp_path, *ADD, "payments")
    first = (await run(settings | KEY, tmp_path, "audit", "verify", "--format", "json"))[1]
    url = load_url(settings["DATABASE_URL"])
    attack(url, *appended(sealed(events(2, 2), Seal(b"of somebody else"), head(first))))
    code, out, err = await run(settings | KEY, tmp_path, "audit", "rekey", given="another pony staple battery\n")
    attack(url, *appended(sealed(events(4, 4), Seal(b"of somebody else"), re.findall("3:([0-9a-f]{64})", out)[0])))
    new = settings | {"AUDIT_KEY": "another pony staple battery"}
    taken = await run(new, tmp_path, *ADD, "ledger")

    assert (code, err.count("Row 2 of the audit trail does not verify under AUDIT_KEY")) == (0, 1)
    assert (taken[0], "Row 4 of the audit trail does not verify under AUDIT_KEY" in taken[2]) == (0, True)


def head(verified: str) -> str:
    return str(json.loads(verified)["head"]).partition(":")[2]


def appended(rows: Iterable[Row]) -> list[str]:
    """Give the statements that append rows as somebody would who has the bot's role, but not its key."""
    names = ", ".join(f'"{name}"' for name in Row._fields)
    return [
        f"INSERT INTO audit_events ({names}) VALUES ({', '.join(map(literal, row))})"  # noqa: S608 - the attacker's
        for row in rows
    ]


def literal(value: object) -> str:
    return "NULL" if value is None else f"'{value}'"


async def test_the_first_key_is_taken_without_a_word(settings: dict[str, str], tmp_path: Path) -> None:
    await run(settings, tmp_path, *ADD, "payments")
    code, _, error = await run(settings | KEY, tmp_path, *ADD, "ledger")

    assert code == 0
    assert "AUDIT_KEY" not in error
