"""How the doctor reports: for people at any width, for scripts, and never with a secret."""

import asyncio
import fcntl
import os
import pty
import re
import struct
import sys
import termios
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from bot.config import Settings
from bot.doctor.checks.slack import NEEDED
from bot.doctor.context import CheckContext
from bot.doctor.examination import CHECKS, run_checks
from bot.doctor.findings import Check, Finding, FindingState, ok
from bot.doctor.startup import startup_findings
from bot.sandbox.local_slack import LocalSlack
from tests.doctor.conftest import DOCS, ROOT, WHOLE, Doctor
from tests.process import BotProcess, environment, run

BREADTH = "turso auth api-tokens mint rotate-GROUP --org acme --group GROUP --scope read --scope group:rotate-creds"


async def on_a_terminal(settings: dict[str, str], folder: Path, columns: int) -> tuple[str, str]:
    """Run the doctor on a terminal of this width; returns what it wrote to standard output and standard error."""
    terminals = [pty.openpty(), pty.openpty()]
    for main, _ in terminals:
        fcntl.ioctl(main, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    (out, out_end), (err, err_end) = terminals
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "doctor", cwd=folder, stdout=out_end, stderr=err_end,
        env={**environment(settings), "TERM": "xterm"},
    )  # fmt: skip
    os.close(out_end)
    os.close(err_end)
    printed, said = await asyncio.gather(asyncio.to_thread(read_all, out), asyncio.to_thread(read_all, err))
    await process.wait()
    return printed, said


def read_all(terminal: int) -> str:
    """Read a terminal until nobody writes to it any more."""
    heard = b""
    try:
        while data := os.read(terminal, 65536):
            heard += data
    except OSError:  # how Linux says that its other end is closed
        pass
    os.close(terminal)
    return heard.decode().replace("\r\n", "\n")


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


@pytest.mark.parametrize("columns", [80, 200])
async def test_people_can_read_it_at_any_width(doctor: Doctor, columns: int) -> None:
    settings = {**doctor.settings, "TURSO_GROUP_TOKENS": "", "TURSO_API_TOKEN": WHOLE, "AUDIT_KEY": ""}
    out, err = await on_a_terminal({name: value for name, value in settings.items() if value}, doctor.folder, columns)
    lines = plain(out).splitlines()
    fixes = [line for line in lines if line.lstrip().startswith("→")]

    assert re.match(r"STATE +CHECK +FINDING", lines[0])
    assert all(len(line) <= columns for line in lines if line not in fixes)
    assert any(line.endswith(BREADTH) for line in fixes)  # whole, so that it can be copied
    assert {line[31:40].strip() for line in lines if line.startswith("ok  ")} != {""}
    assert "1 failure, 2 warnings, " in lines[-1]
    assert "checks done" in err
    assert "\x1b[33m" in out


async def test_a_pipe_gets_neither_colours_nor_progress(doctor: Doctor) -> None:
    code, out, err = await run(doctor.settings, doctor.folder, "doctor")

    assert (code, err) == (0, "")
    assert "\x1b" not in out
    assert out.splitlines()[-1] == "0 failures, 0 warnings, 30 ok, 1 skipped."


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("SLACK_BOT_TOKEN", "", "is required"),
        ("SLACK_BOT_TOKEN", "xoxp-a-secret-of-a-user", "must start with xoxb-"),
        ("DATABASE_URL", "mysql://root:hunter2-secret@db/x", "must begin with sqlite"),
    ],
)
async def test_a_wrong_setting_is_one_line(doctor: Doctor, name: str, value: str, words: str) -> None:
    settings = {key: each for key, each in {**doctor.settings, name: value}.items() if each}
    code, out, err = await run(settings, doctor.folder, "doctor", "--format", "json")

    assert (code, out) == (2, "")
    assert re.fullmatch(rf"turso-rotate: {name}.*{re.escape(words)}.*\n", err)
    assert "secret" not in err


async def test_no_secret_is_shown_whatever_is_wrong(doctor: Doctor, slack: LocalSlack) -> None:
    secrets = {
        "SLACK_BOT_TOKEN": "xoxb-1-wrong-4714",
        "SLACK_APP_TOKEN": "xapp-1-wrong-4715",
        "SLACK_SIGNING_SECRET": "signing-secret-4716",
        "TURSO_API_TOKEN": "wrong-token-4717",
        "AUDIT_KEY": "a-wrong-audit-key-4718",
        "LOG_LEVEL": "debug",
        "DATABASE_URL": "postgresql://bot:password-4719@127.0.0.1:1/x",
        "TURSO_GROUP_TOKENS": '{"payments": "wrong-token-4720"}',
    }
    slack.fail("auth.test", error="not xoxb-1-wrong-4714", times=1)
    report = await doctor(**secrets)
    _, out, err = await run({**doctor.settings, **secrets}, doctor.folder, "doctor")

    assert (report.code, len(report.states("failure")) >= 4) == (1, True)
    assert not re.search(r"47(14|15|16|17|18|19|20)", "".join([*doctor.words, out, err]))


async def test_a_check_that_breaks_is_a_failure_and_takes_no_other_down() -> None:
    async def breaks(_: CheckContext) -> list[Finding]:
        return [ok(Check.DATABASE_SCHEMA, str(dict[str, str]()["nothing"]))]

    async def works(_: CheckContext) -> list[Finding]:
        return [ok(Check.SETTINGS, "Well.")]

    progress: list[tuple[int, int]] = []
    checks = {Check.DATABASE_SCHEMA: breaks, Check.SETTINGS: works}
    broken, fine = await run_checks(cast("Any", None), checks, lambda done, of: progress.append((done, of)))

    assert (broken.check, broken.state, fine.state) == (Check.DATABASE_SCHEMA, FindingState.FAILURE, FindingState.OK)
    assert "KeyError" in broken.found
    assert progress == [(0, 2), (1, 2), (2, 2)]


async def test_slack_answers_with_what_nobody_expects(doctor: Doctor, slack: LocalSlack) -> None:
    slack.fail("conversations.info", status=502)
    report = await doctor()

    assert "channel.reachable" in report.states("skipped", "failure")


def test_the_docs_list_every_check_in_its_order() -> None:
    rows = re.findall(r"^\| `([a-z.]+)` \| [^|]+ \| [^|]+ \|$", DOCS, re.MULTILINE)

    assert rows == list(Check)
    assert list(CHECKS) == list(Check)


def test_the_scopes_it_wants_are_the_manifests() -> None:
    manifest = yaml.safe_load((ROOT / "manifest.yml").read_text())

    assert set(manifest["oauth_config"]["scopes"]["bot"]) == set(NEEDED)


def settings(**changes: str) -> Settings:
    values: dict[str, Any] = {
        "slack_bot_token": "xoxb-1", "slack_app_token": "xapp-1", "turso_organization": "acme", "turso_api_token": "x",
        "audit_key": "0123456789abcdef", **changes,
    }  # fmt: skip
    return Settings(**values)


@pytest.mark.parametrize(
    ("changes", "scopes", "checks"),
    [
        ({}, {"commands", "chat:write"}, []),
        ({}, None, []),
        ({}, {"commands"}, ["slack.scopes"]),
        ({}, {"commands", "chat:write", "files:read"}, ["slack.scopes"]),
        ({"database_url": "postgresql://bot@bot-acme.turso.io/x"}, {"commands", "chat:write"}, ["turso.lockout"]),
    ],
)
def test_what_serve_can_see_by_itself(changes: dict[str, str], scopes: set[str] | None, checks: list[str]) -> None:
    found = startup_findings(settings(**changes), None if scopes is None else frozenset(scopes))

    assert [finding.check for finding in found] == checks


async def test_serve_says_at_its_start_what_should_be_seen_to(doctor: Doctor, slack: LocalSlack) -> None:
    slack.workspace.scopes.append("files:read")
    async with BotProcess(doctor.folder, {**doctor.settings, "PORT": "0"}) as bot:
        lines = [line for line in bot.lines if '"check-up"' in line]

    assert ["files:read" in line for line in lines] == [True]
    assert all('"level": "warning"' in line and "fix" in line for line in lines)
