"""An auditor reads everything and rotates nothing."""

from pathlib import Path

import pytest

from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from tests.e2e.conftest import ALICE, BOB, Trail
from tests.process import BotProcess, run

pytestmark = [pytest.mark.modes("socket"), pytest.mark.databases("sqlite")]


@pytest.mark.law(4)
async def test_an_auditor_alone_means_that_nobody_may_rotate(
    slack: LocalSlack, turso: LocalTurso, settings: dict[str, str], tmp_path: Path, trail: Trail
) -> None:
    for person in (ALICE, BOB):
        await run(settings, tmp_path, "allow", "remove", person.user_id)
    granted = await run(settings, tmp_path, "allow", "add", ALICE.user_id, "--role", "audit")
    async with BotProcess(tmp_path, settings) as bot:
        warned = await bot.logs("no grant in force: nobody may rotate")
        await slack.connected()
        await slack.types(ALICE, "/turso-rotate payments")
        await slack.sees(ALICE, "You are not on the allowlist for payments")

    assert (granted[0], "may read everything and rotate nothing" in granted[2]) == (0, True)
    assert "allow add" in warned["fix"]
    assert turso.calls_to_rotate() == 0
    assert await trail() == ["rotation.denied"]
