"""The command line as a person and a script use it."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from bot.cli import app
from bot.store.schema import HEAD
from tests.process import run

USER, TEAM = "U024BE7LH", "T012AB3CD"


def commands(command: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Return every command and group with the words that name it."""
    below = [commands(each, (*path, name)) for name, each in getattr(command, "commands", {}).items()]
    return {path: command} | {words: each for found in below for words, each in found.items()}


COMMANDS = commands(get_command(app))


@pytest.fixture
def settings() -> dict[str, str]:
    return {"DATABASE_URL": "sqlite:///test.db"}


@pytest.fixture
def migrated(sqlite_url: str) -> dict[str, str]:
    return {"DATABASE_URL": sqlite_url}


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ([], ["serve", "migrate", "allow", "audit", "doctor", "sandbox"]),
        (["allow"], ["add", "remove", "list", "who"]),
        (["audit"], ["list", "show", "export", "verify", "resolve", "stats"]),
    ],
)
async def test_help_names_every_command(
    command: list[str], names: list[str], settings: dict[str, str], tmp_path: Path
) -> None:
    code, out, _ = await run(settings, tmp_path, *command, "--help")

    assert code == 0
    assert [name for name in names if f"  {name} " not in out] == []


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_fits_80_columns_and_its_examples_can_be_typed(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*path, "-h"], env={"COLUMNS": "80"})
    typed = [shlex.split(line) for line in re.findall(r"turso-rotate (.+)", shown.stdout.partition("  Example")[2])]

    assert shown.exit_code == 0
    assert [line for line in shown.stdout.splitlines()[1:] if len(line) > 80 or line.endswith("...")] == []
    assert typed or path in {("allow",), ("audit",)}
    for words in typed:
        named = next(tuple(words[:count]) for count in (2, 1) if tuple(words[:count]) in COMMANDS)
        COMMANDS[named].make_context("turso-rotate", words[len(named) :])


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands(shell: str) -> None:
    script = CliRunner().invoke(app, [], prog_name="turso-rotate", env={"_TURSO_ROTATE_COMPLETE": f"source_{shell}"})
    words = {"_TURSO_ROTATE_COMPLETE": "complete_bash", "COMP_WORDS": "turso-rotate audit ver", "COMP_CWORD": "2"}
    completed = CliRunner().invoke(app, [], prog_name="turso-rotate", env=words)

    assert "_TURSO_ROTATE_COMPLETE" in script.stdout
    assert completed.stdout.split() == ["verify"]


async def test_migrate_says_from_where_to_where(settings: dict[str, str], tmp_path: Path) -> None:
    first = await run(settings, tmp_path, "migrate")
    second = await run(settings, tmp_path, "migrate")

    assert first == (0, "", f"The schema went from nothing to {HEAD}.\n")
    assert second == (0, "", f"The schema is up to date ({HEAD}).\n")


async def test_a_grant_is_added_listed_removed_and_on_record(migrated: dict[str, str], tmp_path: Path) -> None:
    added = await run(
        migrated, tmp_path, "allow", "add", USER, "--team", TEAM, "--group", "prod-*", "--note", "on call"
    )
    twice = await run(migrated, tmp_path, "allow", "add", USER, "--team", TEAM, "--group", "prod-*")
    removed = await run(migrated, tmp_path, "allow", "remove", USER, "--team", TEAM)
    _, listed, _ = await run(migrated, tmp_path, "allow", "list", "--all", "--format", "json")
    _, trail, _ = await run(migrated, tmp_path, "audit", "list", "--format", "json")

    assert added == (0, "", f"{USER} may rotate prod-*, with no end date.\n")
    assert (twice[0], "already" in twice[2]) == (2, True)
    assert removed == (0, "", f"Revoked {USER}'s grant to rotate prod-*.\n")
    assert [(grant["group"], grant["state"], grant["note"]) for grant in json.loads(listed)] == [
        ("prod-*", "revoked", "on call")
    ]
    events = json.loads(trail)
    assert [event["action"] for event in events] == ["allowlist.revoked", "allowlist.granted"]
    assert {event["actor"]["team_id"] for event in events} == {"cli"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["allow", "add", "alice", "--team", TEAM, "--group", "x"], "U024BE7LH"),
        (["allow", "add", USER, "--team", "acme", "--group", "x"], "T012AB3CD"),
        (["allow", "add", USER, "--team", TEAM, "--group", "a/b"], "prod-*"),
        (["allow", "add", USER, "--team", TEAM, "--group", "x", "--until", "tomorrow"], "2027-01-31"),
        (["allow", "add", USER, "--team", TEAM, "--group", "x", "--until", "2020-01-31"], "in the past"),
        (["allow", "add", USER, "--group", "x"], "--team"),
        (["allow", "remove", USER, "--team", TEAM], "no such grant"),
        (["audit", "list", "--since", "yesterday"], "7d"),
        (["audit", "list", "--action", "done"], "rotation.succeeded"),
        (["audit", "list", "--limit", "0"], "limit"),
    ],
)
async def test_wrong_usage_is_explained(
    arguments: list[str], words: str, migrated: dict[str, str], tmp_path: Path
) -> None:
    code, out, err = await run(migrated, tmp_path, *arguments)

    assert (code, out) == (2, "")
    assert words in err
    assert "Traceback" not in err


@pytest.mark.fault("F31")
async def test_a_database_without_tables_names_the_command(settings: dict[str, str], tmp_path: Path) -> None:
    code, _, err = await run(settings, tmp_path, "audit", "list")

    assert (code, "turso-rotate migrate" in err) == (1, True)


async def test_serve_names_each_missing_setting(settings: dict[str, str], tmp_path: Path) -> None:
    code, _, err = await run(settings, tmp_path, "serve")

    assert code == 2
    assert all(name in err for name in ("SLACK_BOT_TOKEN", "TURSO_ORGANIZATION", "SLACK_SIGNING_SECRET"))


async def test_a_table_cannot_lie_and_a_csv_cannot_act(migrated: dict[str, str], tmp_path: Path) -> None:
    note = "=cmd()\u202e\x9b31m"
    await run(migrated, tmp_path, "allow", "add", USER, "--team", TEAM, "--group", "x", "--note", note)
    _, table, _ = await run(migrated, tmp_path, "allow", "list")
    _, csv, _ = await run(migrated, tmp_path, "allow", "list", "--format", "csv")

    assert "\\u202e\\x9b" in table
    assert "\u202e" not in table
    assert "'=cmd()" in csv


async def test_what_a_terminal_cannot_show_is_escaped(migrated: dict[str, str], tmp_path: Path) -> None:
    await run(migrated, tmp_path, "allow", "add", USER, "--team", TEAM, "--group", "x", "--note", "vertretung für bob")
    code, out, err = await run(migrated | {"PYTHONIOENCODING": "ascii"}, tmp_path, "allow", "who", "x")

    assert (code, err) == (0, "")
    assert "vertretung f\\xfcr bob" in out
