"""Nobody continues the chain of hashes with rows that could never be verified with those before."""

from pathlib import Path

import pytest

from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from tests.process import run, settings_for

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


async def test_another_key_is_taken_with_a_word_of_warning(settings: dict[str, str], tmp_path: Path) -> None:
    await run(settings | KEY, tmp_path, *ADD, "payments")
    code, _, error = await run(settings | OTHER, tmp_path, *ADD, "ledger")

    assert code == 0
    assert "written with a key other than AUDIT_KEY" in error


async def test_the_first_key_is_taken_without_a_word(settings: dict[str, str], tmp_path: Path) -> None:
    await run(settings, tmp_path, *ADD, "payments")
    code, _, error = await run(settings | KEY, tmp_path, *ADD, "ledger")

    assert code == 0
    assert "AUDIT_KEY" not in error
