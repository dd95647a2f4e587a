"""`audit list`, `export` and `verify` as a person and a script use them: the real process, what it says, its code."""

import asyncio
import contextlib
import csv
import io
import json
import os
import pty
import re
import sqlite3
import sys
from pathlib import Path

import pytest

from bot.domain.events import Action, Event
from bot.domain.models import Actor, ChannelId, GroupName, Organization, RotationId, TeamId, UserId
from bot.domain.ports import NewClaim, NewRotation
from bot.domain.states import State
from bot.store.database import open_database
from bot.store.migrations import exclusive_transaction
from bot.store.rotations import SqlRotations
from bot.store.trail import SqlTrail
from bot.store.trail_reader import open_trail
from bot.trail.chain import Row, Seal, line
from bot.trail.diagnose import ChainFault
from tests.databases import load_url
from tests.process import environment, run
from tests.store import shell
from tests.store.attack import attack
from tests.store.conftest import ACME, ALICE, Store
from tests.synthetic.events import events, insert_events, sealed

KEY = "correct horse battery staple"
DOCS = Path(__file__).parents[2] / "docs" / "audit-trail.md"
LONG = 10_000
EMPTY = Row(1, "", "", "", "", "", None, None, "{}", None, "", "")


@pytest.fixture
def settings(database_url: str) -> dict[str, str]:
    return {"DATABASE_URL": database_url, "AUDIT_KEY": KEY}


@pytest.fixture
async def trail(settings: dict[str, str]) -> dict[str, str]:
    await leave_events(settings)
    return settings


async def leave_events(settings: dict[str, str]) -> None:
    """Append five events, of which a spreadsheet would execute the third."""
    database = open_database(load_url(settings["DATABASE_URL"]))
    key = settings.get("AUDIT_KEY")
    seal = Seal(key.encode() if key else None)
    trail = SqlTrail(database, seal)
    alice, mallory = (Actor(TeamId("T012AB3CD"), UserId(user)) for user in ("U0ALICE01", "U0MALLORY"))
    about = Organization("acme"), GroupName("payments"), RotationId("r1")
    store = SqlRotations(database, seal, ACME)
    asked = Event(Action.REQUESTED, alice, *about, delivery="d1")
    new = NewRotation(RotationId("r1"), asked, ChannelId("C0INCIDENT"), "key leaked 🔑", 300)
    await store.open(new)
    await store.claim(NewClaim(RotationId("r1"), None, "c1", 30, Event(Action.STARTED, alice, *about), new))
    await trail.append(Event(Action.DENIED, mallory, Organization(""), GroupName("=cmd()"), detail={"reason": "'"}))
    answer = Event(Action.SUCCEEDED, alice, *about, {"status": 200})
    await store.move(RotationId("r1"), expected=State.ROTATING, event=answer, claim="c1")
    await trail.append(Event(Action.REJECTED, mallory, Organization("acme"), None))
    await database.close()


def rows_of(settings: dict[str, str]) -> list[Row]:
    with open_trail(load_url(settings["DATABASE_URL"])) as reading:
        return list(reading.rows())


async def fed(settings: dict[str, str], folder: Path, text: str, *arguments: str) -> tuple[int, str]:
    """Run a command with something to read in a pipe."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", *arguments, cwd=folder, env=environment(settings),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await process.communicate(text.encode())
    return await process.wait(), out.decode()


async def test_an_export_is_the_trail_and_verifies_without_it(trail: dict[str, str], tmp_path: Path) -> None:
    rows, offline = rows_of(trail), {"AUDIT_KEY": KEY, "DATABASE_URL": "sqlite:///nowhere/none.db"}
    jsonl = await run(trail, tmp_path, "audit", "export")
    table = await run(trail, tmp_path, "audit", "export", "--format", "csv")
    saved = await run(trail, tmp_path, "audit", "export", "--output", "trail.jsonl")
    of_file = await run(offline, tmp_path, "audit", "verify", "--file", "trail.jsonl")
    of_table = await fed(offline, tmp_path, table[1], "audit", "verify", "--file", "-")

    assert jsonl == (0, "".join(f"{line(row)}\n" for row in rows), "5 rows, 1 to 5.\n")
    assert (saved[0], saved[1], (tmp_path / "trail.jsonl").read_text()) == (0, "", jsonl[1])
    assert of_file[:2] == of_table
    assert of_file[0] == 0
    assert of_file[1].startswith(f"Sound: 5 rows, 1 to 5, sealed with the key.\nHead: 5:{rows[-1].hash}\n")


async def test_a_period_is_exported_without_a_gap_and_says_what_it_lacks(
    settings: dict[str, str], tmp_path: Path
) -> None:
    await asyncio.to_thread(filled, settings, 200)
    exported = await run(
        settings, tmp_path, "audit", "export", "--since", "2025-01-01T00:01:40Z", "--until", "2025-01-01T00:02:30Z"
    )
    rows = [json.loads(text) for text in exported[1].splitlines()]
    (tmp_path / "part.jsonl").write_text(exported[1])
    before, last = f"99:{rows[0]['prev_hash']}", f"149:{rows[-1]['hash']}"
    part = await run(
        settings, tmp_path, "audit", "verify", "--file", "part.jsonl", "--anchor", before, "--anchor", last
    )
    early = await run(settings, tmp_path, "audit", "verify", "--file", "part.jsonl", "--anchor", f"98:{'f' * 64}")
    empty = await run(settings, tmp_path, "audit", "export", "--period", "2024-01-01..2024-12-31", "--format", "csv")
    (tmp_path / "empty.csv").write_text(empty[1])
    nothing = await run(settings, tmp_path, "audit", "verify", "--file", "empty.csv")

    assert ([row["seq"] for row in rows], exported[2]) == (list(range(100, 150)), "50 rows, 100 to 149.\n")
    assert part[0] == 0
    assert "Sound: 50 rows, 100 to 149" in part[1]
    assert "Rows before 100 are not in this export.\n" in part[1]
    assert "The anchors match. Rows cut off after row 149 would go undetected.\n" in part[1]
    assert early[:2] == (1, "Row 98: missing. An anchor names it, but what is here begins with row 100.\n")
    assert empty == (0, f"{','.join(Row._fields)}\r\n", "No matching events.\n")
    assert nothing[0] == 1
    assert nothing[1].startswith("There are no rows to verify.")


def filled(settings: dict[str, str], rows: int) -> None:
    with exclusive_transaction(load_url(settings["DATABASE_URL"])) as connection:
        insert_events(connection, sealed(events(1, rows), Seal(KEY.encode())))


async def test_a_spreadsheet_executes_nothing_and_every_cell_can_be_told(trail: dict[str, str], tmp_path: Path) -> None:
    _, out, _ = await run(trail, tmp_path, "audit", "export", "--format", "csv")
    _, listed, _ = await run(trail, tmp_path, "audit", "list", "--format", "csv")
    head, *records = csv.reader(io.StringIO(out, newline=""))

    assert head == list(Row._fields)
    assert [record[6] for record in records] == ["payments", "payments", "'=cmd()", "payments", ""]
    assert records[2][5] == "'"
    assert not re.search(r"(^|,|\n)\"?[=+\-@]", out + listed)


async def test_a_changed_export_is_found(trail: dict[str, str], tmp_path: Path) -> None:
    _, out, _ = await run(trail, tmp_path, "audit", "export")
    (first, second, *_), lost = out.splitlines(keepends=True), out.replace("leaked", "lost")
    texts = (lost, out[:-30], f"{first}{second}{first}", "garbage\n")
    seen = [await run(trail, tmp_path, "audit", "verify", "--file", "-", given=text) for text in texts]

    assert [(code, said.partition(". ")[0]) for code, said, _ in seen] == [
        (1, "Row 1: changed"), (1, "Row 5: cut off"), (1, "Row 1: inserted"), (1, "Row 1: changed"),
    ]  # fmt: skip


@pytest.mark.databases("sqlite")
async def test_bytes_that_are_no_text_are_exported_as_they_are(trail: dict[str, str], tmp_path: Path) -> None:
    change = "UPDATE audit_events SET user_id = CAST(x'55ff41' AS TEXT) WHERE seq = 5"
    await asyncio.to_thread(attack, load_url(trail["DATABASE_URL"]), change)
    forms = ("jsonl", "csv")
    exported = [await run(trail, tmp_path, "audit", "export", "--format", form, "--output", form) for form in forms]
    verified = [await run(trail, tmp_path, "audit", "verify", "--file", form) for form in forms]
    of_database = await run(trail, tmp_path, "audit", "verify")

    assert exported == [(0, "", "5 rows, 1 to 5.\n")] * 2
    assert [b"U\xffA" in (tmp_path / form).read_bytes() for form in forms] == [True, True]
    assert verified == [of_database] * 2
    assert of_database[:2] == (1, verified[0][1])
    assert of_database[1].startswith("Row 5: changed.")


@pytest.mark.databases("sqlite")
@pytest.mark.fault("F54")
async def test_an_index_that_was_emptied_behind_the_back_of_sqlite_is_found(
    trail: dict[str, str], tmp_path: Path
) -> None:
    index = "ix_audit_events_world"
    with contextlib.closing(sqlite3.connect(str(load_url(trail["DATABASE_URL"]).database))) as file:
        (definition,) = file.execute("SELECT sql FROM sqlite_master WHERE name = ?", (index,)).fetchone()
        file.execute("PRAGMA writable_schema = ON")
        file.execute(f"DROP INDEX {index}")
        file.execute(f"{definition.partition(' WHERE ')[0]} WHERE seq < 0")
        file.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (definition, index))
        file.commit()
    code, out, _ = await run(trail, tmp_path, "audit", "verify")
    _, told, _ = await run(trail, tmp_path, "audit", "verify", "--format", "json")

    assert code == 1
    assert "The database file is damaged: restore a backup (docs/backup.md).\n- " in out
    assert index in str(json.loads(told)["damage"])


async def test_an_export_leaves_out_what_the_bot_never_writes_and_says_so(
    trail: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("old")
    url = load_url(trail["DATABASE_URL"])
    blob = "x'55'" if url.get_backend_name() == "sqlite" else "chr(10)"
    column = "user_id" if url.get_backend_name() == "sqlite" else "detail"
    await asyncio.to_thread(attack, url, f"UPDATE audit_events SET {column} = {blob} WHERE seq = 5")  # noqa: S608 - the attacker's
    broken = await run(trail, tmp_path, "audit", "export", "--output", "out/new")
    again = await run(trail, tmp_path, "audit", "export", "--output", "out/old")
    nowhere = await run(trail, tmp_path, "audit", "export", "--output", "nowhere/new")
    full = await run(trail, tmp_path, "audit", "export", "--output", "/dev/full")

    why = "it holds what the bot never writes, and the export lacks it"
    assert broken == (1, "", f"4 rows, 1 to 5.\nturso-rotate: Row 5 cannot be read: {why}.\n")
    assert again == broken
    assert (tmp_path / "out" / "new").read_text() == (tmp_path / "out" / "old").read_text()
    assert nowhere == (1, "", "turso-rotate: nowhere/new cannot be written: No such file or directory.\n")
    assert full[:2] == (1, "")


async def test_a_reader_that_leaves_ends_an_export_quietly(settings: dict[str, str], tmp_path: Path) -> None:
    await asyncio.to_thread(filled, settings, LONG)
    ours, theirs = os.pipe()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "audit", "export", cwd=tmp_path, env=environment(settings),
        stdout=theirs, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    os.close(theirs)
    first = await asyncio.to_thread(os.read, ours, 100)
    os.close(ours)
    assert process.stderr is not None
    said = await process.stderr.read()

    assert first.startswith(b'{"seq":1,')
    assert (await process.wait(), said) == (1, b"")


@pytest.mark.databases("sqlite")
async def test_progress_is_shown_on_a_terminal_alone(settings: dict[str, str], tmp_path: Path) -> None:
    await asyncio.to_thread(filled, settings, LONG)
    seen = {}
    for arguments in (("audit", "verify"), ("audit", "export", "--output", "trail.jsonl")):
        seen[arguments[1]] = await on_terminal(settings, tmp_path, *arguments)
    plain = await run(settings, tmp_path, "audit", "verify")

    assert all(f"{LONG:,} rows" in said for _, said in seen.values())
    assert seen["verify"][0] == plain[1]
    assert seen["verify"][0].startswith(f"Sound: {LONG:,} rows")
    assert plain[2] == ""


async def on_terminal(settings: dict[str, str], folder: Path, *arguments: str) -> tuple[str, str]:
    """Run a command whose standard error is a terminal."""
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", *arguments, cwd=folder, env={**environment(settings), "TERM": "xterm"},
        stdout=asyncio.subprocess.PIPE, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    assert process.stdout is not None
    out, said = await asyncio.gather(process.stdout.read(), asyncio.to_thread(read_all, ours))
    assert await process.wait() == 0
    return out.decode(), said


def read_all(terminal: int) -> str:
    data = b""
    try:
        while more := os.read(terminal, 65536):
            data += more
    except OSError:  # the other side is closed
        pass
    finally:
        os.close(terminal)
    return data.decode()


async def test_the_result_for_scripts_and_a_key_that_shows_nowhere(trail: dict[str, str], tmp_path: Path) -> None:
    head = rows_of(trail)[-1].hash
    runs = [
        await run(trail, tmp_path, "audit", "verify", "--format", "json"),
        await run(trail, tmp_path, "audit", "verify", "--format", "json", "--anchor", f"6:{head}"),
        await run(trail | {"AUDIT_KEY": "wrong pony capacitor nail"}, tmp_path, "audit", "verify", "--format", "json"),
    ]
    sound, cut, other = (json.loads(out) for _, out, _ in runs)

    assert [code for code, _, _ in runs] == [0, 1, 1]
    assert sound == {
        "sound": True, "finding": None, "rows": 5, "first": 1, "follows": f"0:{'0' * 64}", "head": f"5:{head}",
        "keyed": True, "unkeyed_until": 0, "key_changes": [], "unverifiable": [], "anchors": [],
        "unguarded": [], "mismatches": [], "damage": [],
    }  # fmt: skip
    assert (cut["sound"], cut["finding"]["row"], cut["finding"]["fault"]) == (False, 6, "cut off")
    assert (other["finding"]["row"], other["finding"]["fault"], other["rows"]) == (1, "wrong key", 0)
    assert not [text for ran in runs for text in ran[1:] if "correct horse" in text or "wrong pony" in text]


async def test_a_key_that_came_later_must_be_told(settings: dict[str, str], tmp_path: Path) -> None:
    unkeyed = {"DATABASE_URL": settings["DATABASE_URL"]}
    grant = ("allow", "add", "U024BE7LH", "--team", "T012AB3CD", "--group")
    for number, environ in enumerate((unkeyed, unkeyed, settings)):
        await run(environ, tmp_path, *grant, f"group{number}")
    strict = await run(settings, tmp_path, "audit", "verify")
    told = await run(settings, tmp_path, "audit", "verify", "--unkeyed-until", "2")
    keyless = await run(unkeyed, tmp_path, "audit", "verify", "--unkeyed-until", "2")

    assert strict[0] == 1
    assert strict[1].startswith("Row 1: not sealed with the key.")
    assert "--unkeyed-until SEQ" in strict[1]
    assert told[0] == 0
    assert "Rows up to 2 were written without a key.\n" in told[1]
    assert (keyless[0], "set AUDIT_KEY" in keyless[2]) == (2, True)


async def test_the_list_takes_the_filters_of_slack(trail: dict[str, str], tmp_path: Path) -> None:
    async def listed(*options: str) -> list[int]:
        code, out, _ = await run(trail, tmp_path, "audit", "list", "--format", "json", *options)
        assert code == 0
        return [event["seq"] for event in json.loads(out)]

    assert await listed("--outcome", "denied") == [3]
    assert await listed("--outcome", "rotating", "--group", "payments", "--user", "U0ALICE01") == [2]
    assert await listed("--period", "1d") == [5, 4, 3, 2, 1]
    assert await listed("--period", "30m") == await listed("--since", "30m") == [5, 4, 3, 2, 1]
    assert await listed("--period", "2024-01-01..2024-12-31") == []


async def test_the_stories_of_the_requests_that_match_are_told(
    store: Store, settings: dict[str, str], tmp_path: Path
) -> None:
    settings = {**settings, "TURSO_ORGANIZATION": "acme"}
    grant = await store.grant()
    first, second = await store.request("payments"), await store.request("search")
    await store.claim(first, grant)
    await store.trail.append(Event(Action.DENIED, ALICE, ACME, GroupName("payments"), detail={"reason": "why"}))

    async def told(*options: str) -> list[tuple[str | None, str]]:
        code, out, _ = await run(settings, tmp_path, "audit", "show", "--format", "json", *options)
        assert code == 0
        return [(event["rotation_id"], event["action"]) for event in json.loads(out)]

    story: list[tuple[str | None, str]] = [(first.id, "rotation.requested"), (first.id, "rotation.started")]
    denied = (None, "rotation.denied")
    assert await told(first.id) == story
    assert await told() == [denied, (second.id, "rotation.requested"), *story]
    assert await told("--group", "payments") == [denied, *story]
    assert await told("--outcome", "rotating", "--user", "U0ALICE01", "--period", "1d") == story
    assert await told("--limit", "1") == [denied]


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("list", "--outcome", "denied", "--action", "denied"), "--outcome"),
        (("list", "--period", "7d", "--since", "7d"), "--period"),
        (("list", "--period", "last week"), "2026-10-01..2026-10-31"),
        (("list", "--outcome", "done"), "succeeded"),
        (("show", "r1", "--group", "payments"), "not both"),
        (("verify", "--anchor", "12"), "SEQ:HASH"),
        (("verify", "--file", "nowhere"), "cannot be read"),
        (("export", "--format", "xml"), "jsonl"),
    ],
)
async def test_wrong_usage_is_explained(
    arguments: tuple[str, ...], words: str, settings: dict[str, str], tmp_path: Path
) -> None:
    code, out, err = await run(settings, tmp_path, "audit", *arguments)

    assert (code, out, words in err) == (2, "", True)


async def test_a_schema_of_another_version_is_refused(settings: dict[str, str], tmp_path: Path) -> None:
    shell.run(load_url(settings["DATABASE_URL"]), "UPDATE alembic_version SET version_num = '0001'")
    seen = [await run(settings, tmp_path, "audit", command) for command in ("verify", "export")]

    assert [(code, out, "turso-rotate migrate" in err) for code, out, err in seen] == [(1, "", True)] * 2


def made_anew(row: Row, key: str) -> str:
    """Change a row and seal it again, as an export has it."""
    changed = row._replace(user_id="U0ALICE01")
    return f"{line(changed._replace(hash=Seal(key.encode() if key else None).hash(changed)))}\n"


class TestTheDocs:
    PAGE = DOCS.read_text()

    @pytest.mark.parametrize("key", ["", KEY], ids=["unkeyed", "keyed"])
    async def test_its_program_verifies_an_export(self, key: str, settings: dict[str, str], tmp_path: Path) -> None:
        (program,) = re.findall(r"```python\n(.*?)```", self.PAGE, re.DOTALL)
        await leave_events({**settings, "AUDIT_KEY": key})
        _, export, _ = await run(settings, tmp_path, "audit", "export")
        lines = export.splitlines(keepends=True)
        texts = {
            "sound": export,
            "a part": "".join(lines[1:]),
            "changed": export.replace("leaked", "lost"),
            "a row less": "".join([lines[0], *lines[2:]]),
            "two swapped": "".join([*lines[:2], lines[3], lines[2], lines[4]]),
            "nothing": "",
            "one made anew": "".join([*lines[:2], made_anew(rows_of(settings)[2], key), *lines[3:]]),
        }
        said = {name: await self.verdict(program, key, text) for name, text in texts.items()}
        other = await self.verdict(program, "wrong pony capacitor nail", export)

        assert said["sound"] == said["a part"] == (0, f"Sound up to 5:{json.loads(lines[-1])['hash']}\n")
        assert [name for name, (code, _) in said.items() if code == 0] == ["sound", "a part"]
        assert (other[0], len(program.splitlines()) <= 32) == (1, True)

    async def verdict(self, program: str, key: str, text: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-c", program, env={"AUDIT_KEY": key},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, _ = await process.communicate(text.encode())
        return await process.wait(), out.decode()

    def test_it_names_every_fault_and_every_member_in_its_order(self) -> None:
        members = re.findall(r"^\| `(\w+)` \|", self.PAGE.partition("## The canonical form")[2], re.MULTILINE)

        assert {fault for fault in ChainFault if f"| {fault} |" not in self.PAGE} == set()
        assert members == [name for name in json.loads(line(EMPTY)) if name != "hash"]


async def test_a_short_action_that_means_two_is_refused_with_both(settings: dict[str, str], tmp_path: Path) -> None:
    refused = await run(settings, tmp_path, "audit", "list", "--action", "denied")

    assert refused == (2, "", "turso-rotate: denied is rotation.denied or history.denied: write which.\n")
