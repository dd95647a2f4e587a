"""Help names the groups that whoever asks may rotate."""

from pathlib import Path

import pytest

from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from tests.e2e.conftest import ALICE, MALLORY
from tests.process import BotProcess, run

pytestmark = [pytest.mark.modes("socket"), pytest.mark.databases("sqlite")]

USAGE = "/turso-rotate <group> [reason]"


@pytest.mark.parametrize("text", ["", " help"])
async def test_help_lists_the_groups_this_person_may_rotate(
    text: str, slack: LocalSlack, turso: LocalTurso, bot: BotProcess, settings: dict[str, str], tmp_path: Path
) -> None:
    grant = ("allow", "add", MALLORY.user_id, "--team", MALLORY.team_id, "--group", "pay*")
    granted, _, _ = await run(settings, tmp_path, *grant)
    await slack.types(MALLORY, f"/turso-rotate{text}")
    some = await slack.sees(MALLORY, USAGE, "You may rotate")
    await slack.types(ALICE, f"/turso-rotate{text}")
    all_of_them = await slack.sees(ALICE, USAGE, "You may rotate")

    assert granted == 0
    assert "You may rotate `payments`." in some.plain
    assert "`default`" in all_of_them.plain
    assert "`payments`" in all_of_them.plain
    assert (some.ephemeral_to, all_of_them.ephemeral_to) == (MALLORY.user_id, ALICE.user_id)
    assert turso.calls_to_rotate() == 0


async def test_help_tells_a_stranger_of_no_group(slack: LocalSlack, turso: LocalTurso, bot: BotProcess) -> None:
    await slack.types(MALLORY, "/turso-rotate help")
    told = await slack.sees(MALLORY, USAGE, "You are not on the allowlist for any group at Turso.")

    assert "`default`" not in told.plain
    assert turso.requests == []


async def test_help_says_so_when_turso_cannot_be_asked(slack: LocalSlack, turso: LocalTurso, bot: BotProcess) -> None:
    await turso.go_offline()
    typed = await slack.types(ALICE, "/turso-rotate help")
    await slack.sees(ALICE, USAGE, "Could not ask Turso which groups you may rotate.")

    assert (typed.status, typed.seconds < 1) == (200, True)
