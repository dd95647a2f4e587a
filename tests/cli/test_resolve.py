"""`audit resolve`: a person closes an unknown on a terminal."""

import json
import os
import pwd
from pathlib import Path

import pytest

from bot.domain.models import Rotation
from bot.domain.states import State
from tests.process import run
from tests.store.conftest import Store

ME = pwd.getpwuid(os.getuid()).pw_name
NOTE = ("--note", "an old token still connects")


@pytest.fixture
async def unknown(store: Store) -> Rotation:
    grant, rotation = await store.grant(), await store.request()
    await store.claim(rotation, grant)
    await store.move(rotation, State.ROTATING, State.UNKNOWN)
    return rotation


@pytest.fixture
def settings(database_url: str) -> dict[str, str]:
    return {"DATABASE_URL": database_url, "TURSO_ORGANIZATION": "acme"}


async def test_an_unknown_is_closed_by_a_persons_judgement(
    store: Store, unknown: Rotation, settings: dict[str, str], tmp_path: Path
) -> None:
    first = await run(settings, tmp_path, "audit", "resolve", unknown.id, "--as", "failed", *NOTE)
    again = await run(settings, tmp_path, "audit", "resolve", unknown.id, "--as", "failed", *NOTE)
    _, shown, _ = await run(settings, tmp_path, "audit", "show", unknown.id, "--format", "json")
    last = json.loads(shown)[-1]

    assert first[:2] == (0, "")
    assert "was judged to have failed" in first[2]
    assert "stays recorded as unknown" in first[2]
    assert again == (1, "", f"turso-rotate: This rotation has already been judged failed by {ME}.\n")
    assert (last["action"], last["actor"]) == ("rotation.resolved", {"team_id": "cli", "user_id": ME})
    assert last["detail"] == {"as": "failed", "note": "an old token still connects"}
    assert (await store.actions(unknown)).count("rotation.resolved") == 1


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nonsense", "--as", "failed", *NOTE], 1, "There is no rotation with this ID"),
        (["UNKNOWN", "--as", "failed", "--note", "  "], 2, "how you know"),
        (["UNKNOWN", "--as", "failed"], 2, "--note"),
        (["UNKNOWN", "--as", "cancelled", *NOTE], 2, "succeeded"),
        (["UNKNOWN", *NOTE], 2, "--as"),
    ],
)
async def test_what_cannot_be_resolved_is_explained(
    arguments: list[str],
    code: int,
    words: str,
    store: Store,
    unknown: Rotation,
    settings: dict[str, str],
    tmp_path: Path,
) -> None:
    said = [unknown.id if word == "UNKNOWN" else word for word in arguments]
    ended, out, err = await run(settings, tmp_path, "audit", "resolve", *said)

    assert (ended, out) == (code, "")
    assert words in err
    assert "Traceback" not in err
    assert "rotation.resolved" not in await store.actions(unknown)


@pytest.mark.databases("sqlite")
async def test_another_organizations_rotation_is_not_known(
    store: Store, unknown: Rotation, settings: dict[str, str], tmp_path: Path
) -> None:
    command = ("audit", "resolve", unknown.id, "--as", "failed", *NOTE)
    other = await run(settings | {"TURSO_ORGANIZATION": "globex"}, tmp_path, *command)
    none = await run({"DATABASE_URL": settings["DATABASE_URL"]}, tmp_path, *command)

    assert (other[0], "There is no rotation with this ID" in other[2]) == (1, True)
    assert none == (2, "", "turso-rotate: TURSO_ORGANIZATION is required.\n")
    assert "rotation.resolved" not in await store.actions(unknown)
