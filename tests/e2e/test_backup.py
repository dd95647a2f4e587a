"""The commands of docs/backup.md: a copy made while the bot writes, a lost database, a restore, and the bot goes on."""

import asyncio
import json
import re
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from tests.databases import load_url
from tests.e2e.conftest import ALICE, BOB, MALLORY, asks, connect
from tests.postgres import PostgresServer, binaries
from tests.process import BotProcess, environment, run
from tests.roles import BOT, ROOT
from tests.store.shell import run as run_sql

pytestmark = pytest.mark.modes("socket")

PAGE = (ROOT / "docs/backup.md").read_text()
STORY = ["rotation.requested", "rotation.started", "rotation.succeeded"]

Step = Callable[[], object]


@pytest.fixture
async def turso() -> AsyncIterator[LocalTurso]:
    async with LocalTurso(groups={"payments": ("ledger",), "search": (), "default": ()}) as organization:
        yield organization


@pytest.fixture
def variables(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> dict[str, str]:
    """Say where the database and its copy are, in the words of the page."""
    usual = environment({"DATABASE_URL": database_url})
    path = f"{Path(sys.executable).parent}:{usual['PATH']}"
    copy = {**usual, "COPY": str(tmp_path / "copy"), "PATH": path}
    if database_url.startswith("sqlite"):
        return {**copy, "DB": str(file_of(database_url))}
    server: PostgresServer = request.getfixturevalue("postgres_server")
    programs = binaries(request.config.getoption("--postgres"))
    here = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": "postgres"}
    return {**copy, **here, "DATABASE": database_url.rpartition("/")[2], "PATH": f"{programs}:{path}"}


@pytest.fixture
def lose(request: pytest.FixtureRequest, database_url: str) -> Step:
    """Give a way to lose the database: the file is damaged with its journal beside it, or the server has it no more."""
    if database_url.startswith("sqlite"):
        return lambda: file_of(database_url).write_bytes(b"\0" * 4096)
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return lambda: server.drop_database(database_url)


async def test_a_copy_made_while_the_bot_writes_serves_again_and_its_chain_goes_on(
    slack: LocalSlack,
    turso: LocalTurso,
    bot: BotProcess,
    settings: dict[str, str],
    variables: dict[str, str],
    lose: Step,
    tmp_path: Path,
) -> None:
    copying, restoring = commands(settings["DATABASE_URL"])
    (looking,) = blocks("Look before you start")
    await rotates(slack, "payments")
    async with refusals(slack) as refused:
        await sh(copying, variables)
        written = len(refused)
    await rotates(slack, "search")
    lost = await trail(settings, tmp_path)
    await bot.kills()
    lose()
    await sh(restoring, variables)
    restored = await trail(settings, tmp_path)
    await sh(looking, variables)
    async with BotProcess(tmp_path, settings | {"DATABASE_URL": as_the_bot(settings["DATABASE_URL"])}) as again:
        await connect(slack, again, settings)
        await rotates(slack, "default")
    trailed = await trail(settings, tmp_path)

    assert written > 0
    assert len(STORY) < len(restored) < len(lost) - len(STORY)
    assert restored == lost[: len(restored)]
    assert trailed[: len(restored)] == restored
    assert [row["action"] for row in trailed[len(restored) :]] == STORY
    assert (await run(settings, tmp_path, "audit", "verify"))[0] == 0
    assert [turso.calls_to_rotate(group) for group in ("payments", "search", "default")] == [1, 1, 1]


async def test_what_is_restored_guards_its_history_as_before(
    settings: dict[str, str], variables: dict[str, str], lose: Step, tmp_path: Path
) -> None:
    url = settings["DATABASE_URL"]
    copying, restoring = commands(url)
    before, rows = guards(url), await trail(settings, tmp_path)
    await sh(copying, variables)
    lose()
    await sh(restoring, variables)

    assert guards(url) == before
    for change in ("UPDATE audit_events SET user_id = 'U0MALL003'", "DELETE FROM audit_events"):
        with pytest.raises(DBAPIError, match="append-only"):
            run_sql(load_url(url), *as_a_replica(url), change)
    assert await trail(settings, tmp_path) == rows


async def test_rows_that_were_lost_show_against_an_anchor_alone(
    bot: BotProcess, settings: dict[str, str], variables: dict[str, str], lose: Step, tmp_path: Path
) -> None:
    copying, restoring = commands(settings["DATABASE_URL"])
    await sh(copying, variables)
    await run(settings, tmp_path, "allow", "remove", BOB.user_id, "--team", BOB.team_id)
    await bot.signals(signal.SIGTERM)
    await bot.ended()
    anchor = ("--anchor", (await bot.logs("audit trail at stop"))["head"])
    lose()
    await sh(restoring, variables)
    shorter = [await run(settings, tmp_path, "audit", "verify", *each) for each in ((), anchor)]
    await run(settings, tmp_path, "allow", "add", MALLORY.user_id, "--team", MALLORY.team_id, "--group", "default")
    grown = [await run(settings, tmp_path, "audit", "verify", *each) for each in ((), anchor)]

    assert [code for code, _, _ in shorter + grown] == [0, 1, 0, 1]
    assert "cut off" in shorter[1][1]
    assert "rewritten" in grown[1][1]


async def test_a_grant_that_was_revoked_after_the_copy_is_in_force_again(
    settings: dict[str, str], variables: dict[str, str], lose: Step, tmp_path: Path
) -> None:
    copying, restoring = commands(settings["DATABASE_URL"])
    await sh(copying, variables)
    removed = await run(settings, tmp_path, "allow", "remove", BOB.user_id, "--team", BOB.team_id)
    without_bob = await allowed(settings, tmp_path)
    lose()
    await sh(restoring, variables)

    assert removed[0] == 0
    assert without_bob == [ALICE.user_id]
    assert await allowed(settings, tmp_path) == [ALICE.user_id, BOB.user_id]


def commands(database_url: str) -> list[str]:
    """Read how the page copies a database of this kind, and how it restores it."""
    copying, restoring = blocks("SQLite" if database_url.startswith("sqlite") else "PostgreSQL")
    return [copying, restoring]


def blocks(heading: str) -> list[str]:
    """Read the commands under a heading of the page."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```", section, re.DOTALL | re.MULTILINE)


async def sh(script: str, variables: dict[str, str]) -> None:
    """Run commands as somebody who pastes them into a shell."""
    process = await asyncio.create_subprocess_exec(
        "/bin/sh", "-eu", "-c", script, cwd=ROOT, env=variables, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        _, said = await process.communicate()
    assert process.returncode == 0, said.decode()


async def rotates(slack: LocalSlack, group: str) -> None:
    """Let Alice rotate a group."""
    card = await asks(slack, ALICE, group)
    await slack.presses(ALICE, card, "rotation:confirm")
    await slack.sees(ALICE, f"Done: the tokens of {group} are rotated", timeout=10)
    await slack.sees(None, f"`{group}`", channel="C0AUDIT", timeout=10)


@asynccontextmanager
async def refusals(slack: LocalSlack) -> AsyncIterator[list[str]]:
    """Let Mallory be refused again and again, each time with one more row; yields the answers so far."""
    answers: list[str] = []

    async def ask() -> None:
        while True:
            since = len(slack.messages)
            await slack.types(MALLORY, "/turso-rotate payments")
            answers.append((await slack.sees(MALLORY, "not on the allowlist", since=since)).plain)

    asking = asyncio.create_task(ask())
    try:
        await slack.sees(MALLORY, "not on the allowlist", timeout=10)
        yield answers
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


async def trail(settings: dict[str, str], folder: Path) -> list[dict[str, Any]]:
    """Read the whole audit trail as an auditor does, oldest row first."""
    code, out, said = await run(settings, folder, "audit", "list", "--limit", "10000", "--format", "json")
    assert code == 0, said
    return list(reversed(json.loads(out)))


async def allowed(settings: dict[str, str], folder: Path) -> list[str]:
    """List who may rotate."""
    _, out, _ = await run(settings, folder, "allow", "list", "--format", "json")
    return [grant["user"] for grant in json.loads(out)]


def guards(database_url: str) -> list[tuple[object, ...]]:
    """Describe the triggers of a database, on PostgreSQL with their functions and whether they fire always."""
    if database_url.startswith("sqlite"):
        with closing(sqlite3.connect(file_of(database_url))) as file:
            return file.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name").fetchall()
    with psycopg.connect(database_url) as connection:
        return connection.execute(
            # Not the text of their conditions: its parentheses are another after a restore.
            "SELECT tgname, tgrelid::regclass::text, tgenabled::text, tgtype, tgqual IS NULL, tgargs, prosrc "
            "FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid WHERE NOT tgisinternal ORDER BY tgname"
        ).fetchall()


def as_the_bot(database_url: str) -> str:
    """Connect as the role that the restore gave its rights to."""
    return database_url.replace("//postgres@", f"//{BOT}@")


def as_a_replica(database_url: str) -> list[str]:
    """Pretend to apply what another server sent, which fires no ordinary trigger."""
    return [] if database_url.startswith("sqlite") else ["SET session_replication_role = replica"]


def file_of(database_url: str) -> Path:
    return Path(database_url.removeprefix("sqlite:///"))
