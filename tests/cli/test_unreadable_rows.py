"""The commands where a row cannot be read: they print the others, name that one, and exit with 1."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.domain.states import State
from bot.store.database import open_database
from tests.databases import load_url
from tests.process import run
from tests.store.attack import attack
from tests.store.conftest import Store

pytestmark = pytest.mark.fault("F53")


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """Leave three grants and three requests, one of which was cancelled; the second of each cannot be read."""
    url = load_url(database_url)
    store = Store(url, open_database(url))
    for pattern in ("one", "two", "three"):
        await store.grant(pattern)
        await store.move(await store.request(pattern), State.REQUESTED, State.CANCELLED)
    never = {"sqlite": "never", "postgresql": "infinity"}[url.get_backend_name()]
    attack(
        url,
        f"UPDATE allowlist SET until = '{never}' WHERE id = 2",  # noqa: S608 - the owner's
        "UPDATE rotations SET detail = '' WHERE id = 'rotation0001'",
        "UPDATE audit_events SET action = 'rotation.paused' WHERE seq = 5",
    )
    yield store
    await store.database.close()


GRANT = "turso-rotate: Grant 2 cannot be read: its until is not a time.\n"
ROTATION = "turso-rotate: Rotation rotation0001 cannot be read: its detail is not JSON.\n"
ROW = "turso-rotate: Row 5 cannot be read: it holds what the bot never writes.\n"


@pytest.mark.usefixtures("store")
async def test_commands_print_the_other_rows_and_name_the_bad_one(database_url: str, tmp_path: Path) -> None:
    settings = {"DATABASE_URL": database_url, "TURSO_ORGANIZATION": "acme"}
    ran = [
        await run(settings, tmp_path, *command, "--format", "json")
        for command in (
            ("allow", "list"),
            ("allow", "who", "one"),
            ("audit", "list"),
            ("audit", "show"),
            ("audit", "show", "rotation0001"),
        )
    ]
    exported = await run(settings, tmp_path, "audit", "export")
    resolved = await run(settings, tmp_path, "audit", "resolve", "rotation0001", "--as", "failed", "--note", "seen")

    assert [(code, len(json.loads(out)), err) for code, out, err in ran] == [
        (1, 2, GRANT),
        (1, 1, GRANT),
        (1, 8, ROW),
        (1, 4, ROTATION),
        (1, 1, ROW),
    ]
    assert (exported[0], len(exported[1].splitlines())) == (0, 9)  # the text is kept as it is, which verification tells
    assert resolved == (1, "", ROTATION)


async def test_statistics_and_revocations_take_account_of_them(store: Store, tmp_path: Path) -> None:
    settings = {"DATABASE_URL": store.url.render_as_string(hide_password=False), "TURSO_ORGANIZATION": "acme"}
    strange = {"sqlite": "'2026-99-99'", "postgresql": "'-infinity'"}[store.url.get_backend_name()]
    attack(store.url, f"UPDATE rotations SET requested_at = {strange} WHERE id = 'rotation0001'")  # noqa: S608 - the owner's

    counted = await run(settings, tmp_path, "audit", "stats", "--format", "json")
    revoked = await run(settings, tmp_path, "allow", "remove", "U0ALICE01", "--team", "T012AB3CD")

    assert (counted[0], sum(series["count"] for series in json.loads(counted[1]))) == (1, 2)
    assert counted[2] == "turso-rotate: 1 request cannot be read, and is not counted.\n"
    assert revoked[0] == 0
    assert revoked[2].splitlines() == [
        "Revoked U0ALICE01's grant to rotate one.",
        "Revoked U0ALICE01's grant to rotate three.",
        "Revoked one more of U0ALICE01's grants. Grant 2 cannot be read: its until is not a time.",
    ]
