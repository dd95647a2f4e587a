"""The key of the trail is changed on purpose: by a row that names the next, after which the old key writes nothing."""

import asyncio
import json
import os
import pty
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from bot.domain.errors import BotError, KeyChanged
from bot.domain.events import Action, Event
from bot.store.database import Database
from bot.store.driver_errors import translated_errors
from bot.store.inspection import newest_rows
from bot.store.rekeying import change_key
from bot.store.trail import SqlTrail
from bot.trail.chain import Seal
from tests.databases import load_url
from tests.postgres import binaries
from tests.process import environment, run
from tests.roles import owned, restricted
from tests.store.attack import attack
from tests.store.conftest import ACME, ALICE, Store

pytestmark = pytest.mark.fault("F57")

OLD, NEW = "correct horse battery staple", "another pony staple battery"
SEALS = {key: Seal(key.encode()) for key in (OLD, NEW)}
ADD = ("allow", "add", "U024BE7LH", "--team", "T012AB3CD", "--group")


@pytest.fixture
def settings(database_url: str) -> dict[str, str]:
    return {"DATABASE_URL": database_url, "TURSO_ORGANIZATION": "acme", "AUDIT_KEY": OLD}


@pytest.fixture
def changed(settings: dict[str, str]) -> dict[str, str]:
    """Give the settings as they are to be after the change."""
    return settings | {"AUDIT_KEY": NEW, "AUDIT_KEYS_BEFORE": json.dumps([OLD])}


async def test_a_key_is_changed_and_everything_verifies(
    settings: dict[str, str], changed: dict[str, str], tmp_path: Path
) -> None:
    await run(settings, tmp_path, *ADD, "payments")
    code, out, err = await run(settings, tmp_path, "audit", "rekey", given=f"{NEW}\n")
    early = await run(changed, tmp_path, "audit", "verify")
    refused = await run(settings, tmp_path, *ADD, "ledger")
    taken = await run(changed, tmp_path, *ADD, "ledger")
    whole = await run(changed, tmp_path, "audit", "verify", "--format", "json")
    exported = await run(changed, tmp_path, "audit", "export")
    of_file = await run(changed, tmp_path, "audit", "verify", "--file", "-", given=exported[1])

    assert (code, err) == (0, "")
    assert f"fingerprint {SEALS[NEW].fingerprint}" in out
    assert [step for step in ("1. Stop", "2. Wherever AUDIT_KEY is set", "3. Start") if step not in out] == []
    assert "No row has the new key yet." in early[1]
    assert (refused[0], f"the fingerprint {SEALS[NEW].fingerprint}" in refused[2]) == (2, True)
    assert (taken[0], whole[0], of_file[0]) == (0, 0, 0)
    assert (json.loads(whole[1])["sound"], json.loads(whole[1])["key_changes"]) == (True, [2])
    assert not [text for text in (out, refused[2], exported[1]) if OLD in text or NEW in text]


async def test_without_the_earlier_key_only_an_anchor_helps(
    settings: dict[str, str], changed: dict[str, str], tmp_path: Path
) -> None:
    await run(settings, tmp_path, *ADD, "payments")
    _, out, _ = await run(settings, tmp_path, "audit", "rekey", given=f"{NEW}\n")
    await run(changed, tmp_path, *ADD, "ledger")
    (head,) = re.findall(r"2:[0-9a-f]{64}", out)
    lost = {name: value for name, value in changed.items() if name != "AUDIT_KEYS_BEFORE"}
    without = await run(lost, tmp_path, "audit", "verify")
    anchored = await run(lost, tmp_path, "audit", "verify", "--anchor", head)
    as_json = await run(lost, tmp_path, "audit", "verify", "--anchor", head, "--format", "json")

    assert without[0] == 1
    assert without[1].startswith("Row 3: not verifiable before. The key of rows 1 to 2 is neither AUDIT_KEY nor in")
    assert anchored[0] == 0
    assert anchored[1].startswith("Sound: 1 row, 3 to 3, sealed with the key.")
    assert "What rows 1 to 2 say cannot be checked by anybody without their key" in anchored[1]
    assert "nobody without it can check what they say" in without[1]
    gaps = json.loads(as_json[1])["unverifiable"]
    assert gaps == [{"first": 1, "last": 2, "anchored": True, "content_checked": False}]


async def test_a_terminal_asks_twice_and_shows_nothing(settings: dict[str, str], tmp_path: Path) -> None:
    await run(settings, tmp_path, *ADD, "payments")
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "audit", "rekey", cwd=tmp_path, env=environment(settings),
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    said = await asyncio.to_thread(answering, ours, {"New key: ": NEW, "The same again: ": NEW})

    assert await process.wait() == 0
    assert "Row 2 of the audit trail changed the key" in said
    assert NEW not in said


def answering(terminal: int, answers: dict[str, str]) -> str:
    """Type each answer after its question, and return all that was shown."""
    said = b""
    try:
        while more := os.read(terminal, 65536):
            said += more
            for question in [each for each in answers if each.encode() in said]:
                os.write(terminal, f"{answers.pop(question)}\n".encode())
    except OSError:  # the other side is closed
        pass
    os.close(terminal)
    return said.decode()


@pytest.mark.databases("sqlite")
async def test_an_anchor_makes_no_changed_row_one_whose_key_is_lost(
    settings: dict[str, str], changed: dict[str, str], store: Store, tmp_path: Path
) -> None:
    await run(settings, tmp_path, *ADD, "payments")
    await run(settings, tmp_path, "audit", "rekey", given=f"{NEW}\n")
    for group in ("ledger", "orders", "users"):
        await run(changed, tmp_path, *ADD, group)
    heads = [f"{row.seq}:{row.hash}" for row in await newest_rows(store.database, 5)]
    named = "(SELECT detail FROM audit_events WHERE seq = 2)"
    deeds = (
        (3, heads[3], f"UPDATE audit_events SET action = 'audit.rekeyed', detail = {named} WHERE seq IN (3, 4)"),  # noqa: S608 - the attacker's
        (1, heads[1], "UPDATE audit_events SET user_id = 'U0MALLORY' WHERE seq = 1"),
    )
    seen = []
    for seq, head, deed in deeds:
        attack(load_url(settings["DATABASE_URL"]), deed)
        _, exported, _ = await run(changed, tmp_path, "audit", "export")
        of_file = await run(changed, tmp_path, "audit", "verify", "--file", "-", "--anchor", head, given=exported)
        seen += [(seq, await run(changed, tmp_path, "audit", "verify", "--anchor", head)), (seq, of_file)]

    assert [(code, out.startswith(f"Row {seq}: changed.")) for seq, (code, out, _) in seen] == [(1, True)] * 4


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("too short\n", "at least 16 characters"),
        ("", "at least 16 characters"),
        (f"{OLD}\n", "the current one, or an earlier one"),
        ("the first key of this trail\n", "the current one, or an earlier one"),
        (f'"{NEW}"\n', "quotes"),
        ("another\0pony staple battery\n", "control characters"),
        (f"\ufeff{NEW}\n", "byte order mark"),
    ],
)
@pytest.mark.databases("sqlite")
async def test_what_can_be_no_new_key_is_refused(
    given: str, words: str, settings: dict[str, str], tmp_path: Path
) -> None:
    settings["AUDIT_KEYS_BEFORE"] = '["the first key of this trail"]'
    await run(settings, tmp_path, *ADD, "payments")
    code, out, err = await run(settings, tmp_path, "audit", "rekey", given=given)

    assert (code, out, words in err) == (2, "", True)


@pytest.mark.databases("sqlite")
async def test_a_key_that_is_no_text_is_refused_and_not_shown(settings: dict[str, str], tmp_path: Path) -> None:
    await run(settings, tmp_path, *ADD, "payments")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "audit", "rekey", cwd=tmp_path, env=environment(settings),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate(f"{NEW}".encode() + b"\xff\xfe\n")

    assert (process.returncode, b"UTF-8" in said) == (2, True)
    assert not [each for each in (NEW.encode(), b"Traceback") if each in said]


@pytest.mark.databases("sqlite")
async def test_no_key_comes_back(settings: dict[str, str], changed: dict[str, str], tmp_path: Path) -> None:
    await run(settings, tmp_path, *ADD, "payments")
    await run(settings, tmp_path, "audit", "rekey", given=f"{NEW}\n")
    alone = changed | {"AUDIT_KEYS_BEFORE": ""}
    first = await run(alone, tmp_path, "audit", "rekey", given=f"{OLD}\n")
    third = "the third key of this trail"
    await run(changed, tmp_path, "audit", "rekey", given=f"{third}\n")
    second = await run(settings | {"AUDIT_KEY": third}, tmp_path, "audit", "rekey", given=f"{NEW}\n")
    exported = await run(changed, tmp_path, "audit", "export")

    for code, _, err in (first, second):
        assert (code, "This key was the trail's before" in err) == (2, True)
    assert f'"replaces":"{SEALS[OLD].fingerprint}"' in exported[1]


@pytest.mark.parametrize(
    ("state", "words"), [("25006", "it is read-only"), ("42501", "run this with the owner's DATABASE_URL")]
)
async def test_only_a_missing_right_asks_for_the_owner(state: str, words: str) -> None:
    class Refusal(Exception):
        sqlstate = state

    class Refusing(Database):
        async def write(self, _: object) -> Any:
            with translated_errors():
                raise DBAPIError("INSERT", {}, Refusal())

    event = Event(Action.REKEYED, ALICE, ACME, detail={"fingerprint": SEALS[NEW].fingerprint})
    with pytest.raises(BotError, match=words):
        await change_key(Refusing(), SEALS[OLD], event)  # type: ignore[abstract]


@pytest.mark.databases("sqlite")
async def test_a_trail_without_a_key_needs_no_change(settings: dict[str, str], tmp_path: Path) -> None:
    unkeyed = {name: value for name, value in settings.items() if name != "AUDIT_KEY"}
    empty = await run(settings, tmp_path, "audit", "rekey", given=f"{NEW}\n")
    await run(unkeyed, tmp_path, *ADD, "payments")
    seen = [await run(given, tmp_path, "audit", "rekey", given=f"{NEW}\n") for given in (unkeyed, settings)]

    assert [code for code, _, _ in (empty, *seen)] == [2, 2, 2]
    assert all("Just set AUDIT_KEY to the new key" in err for _, _, err in (empty, *seen))


async def test_a_running_rotation_holds_it_up(settings: dict[str, str], store: Store, tmp_path: Path) -> None:
    await run(settings, tmp_path, *ADD, "payments")
    rotations = type(store.rotations)(store.database, SEALS[OLD], ACME)
    store.rotations = rotations
    rotation = await store.request("payments")
    await store.claim(rotation, (await store.grants.all()).grants[0].id)
    code, _, err = await run(settings, tmp_path, "audit", "rekey", given=f"{NEW}\n")
    listed = await run(settings, tmp_path, "audit", "list", "--format", "json")

    assert (code, f"Rotation {rotation.id} of payments is running" in err) == (1, True)
    assert "audit.rekeyed" not in listed[1]


async def test_whoever_still_has_the_old_key_writes_nothing_more(
    settings: dict[str, str], changed: dict[str, str], store: Store, tmp_path: Path
) -> None:
    await run(settings, tmp_path, *ADD, "payments")
    before = SqlTrail(store.database, SEALS[OLD])
    await before.append(Event(Action.DENIED, ALICE, ACME))
    await run(settings, tmp_path, "audit", "rekey", given=f"{NEW}\n")
    for seal in (SEALS[OLD], Seal()):
        with pytest.raises(KeyChanged, match="restart the bot with the new AUDIT_KEY"):
            await SqlTrail(store.database, seal).append(Event(Action.DENIED, ALICE, ACME))
    await SqlTrail(store.database, SEALS[NEW]).append(Event(Action.DENIED, ALICE, ACME))

    code, out, _ = await run(changed, tmp_path, "audit", "verify")
    assert (code, out.startswith("Sound: 4 rows, 1 to 4")) == (0, True)


async def test_only_the_owner_of_the_tables_changes_the_key_on_postgresql(
    empty_postgres_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    psql = binaries(request.config.getoption("--postgres")) / "psql"
    owner = {"DATABASE_URL": owned(empty_postgres_url), "TURSO_ORGANIZATION": "acme", "AUDIT_KEY": OLD}
    await run(owner, tmp_path, "migrate")
    bot = owner | {"DATABASE_URL": await asyncio.to_thread(restricted, owner["DATABASE_URL"], psql)}
    await run(owner, tmp_path, *ADD, "payments")
    refused = await run(bot, tmp_path, "audit", "rekey", given=f"{NEW}\n")
    changed = await run(owner, tmp_path, "audit", "rekey", given=f"{NEW}\n")

    assert (refused[0], "run this with the owner's DATABASE_URL" in refused[2], "Traceback" in refused[2]) == (
        1,
        True,
        False,
    )
    assert changed[0] == 0
