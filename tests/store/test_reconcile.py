"""Rotations and grants agree with the trail, or `audit verify` says where they differ."""

import re
from datetime import date
from pathlib import Path

import pytest

from bot.domain.allowlist import Allowlist
from bot.domain.events import Action
from bot.domain.grants import Role
from bot.domain.models import Rotation
from bot.domain.states import State
from bot.store.trail_reader import open_trail
from tests.process import run
from tests.store.attack import attack
from tests.store.conftest import ACME, ALICE, OPERATOR, Store, event_about

FORGOTTEN = "DELETE FROM rotations WHERE \"group\" = 'failed'"


class Recorded:
    """A database in which everything that can happen was recorded."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.judged: Rotation | None = None

    async def fill(self) -> None:
        """Let everything happen once."""
        allowlist = Allowlist(self.store.grants, OPERATOR, ACME)
        await allowlist.add(ALICE, "*", last_day=date(2999, 1, 31), note="on call")
        await allowlist.add(ALICE, "old-*")
        await allowlist.add(ALICE, None, role=Role.AUDIT)
        await allowlist.remove(ALICE, "old-*")
        await self.store.request("waits")
        await self.store.move(await self.store.request("cancelled"), State.REQUESTED, State.CANCELLED)
        for group, end in (("done", State.SUCCEEDED), ("failed", State.FAILED), ("unknown", State.UNKNOWN)):
            await self.ends(group, end)
        late = await self.ends("late", State.UNKNOWN)
        await self.store.move(late, State.UNKNOWN, State.SUCCEEDED, "c1")
        self.judged = await self.ends("judged", State.UNKNOWN)
        for judgement in (State.FAILED, State.SUCCEEDED):
            event = event_about(self.judged, Action.RESOLVED, {"as": str(judgement), "note": "seen"})
            await self.store.resolutions.resolve(self.judged.id, judgement, event)
        await self.store.claim(await self.store.request("rotating"), (await self.store.grants.all()).grants[0].id)

    async def ends(self, group: str, end: State) -> Rotation:
        """Let a rotation end."""
        rotation = await self.store.request(group)
        await self.store.claim(rotation, (await self.store.grants.all()).grants[0].id)
        await self.store.move(rotation, State.ROTATING, end, "c1")
        return rotation

    def mismatches(self) -> list[str]:
        """Compare."""
        with open_trail(self.store.url) as reading:
            return reading.mismatches()


@pytest.fixture
async def recorded(store: Store) -> Recorded:
    recorded = Recorded(store)
    await recorded.fill()
    return recorded


def test_what_happened_agrees_with_the_trail(recorded: Recorded) -> None:
    assert recorded.mismatches() == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("rotations SET state = 'cancelled' WHERE \"group\" = 'done'", "is cancelled here, but succeeded in the trail"),
        ("rotations SET state = 'failed' WHERE \"group\" = 'rotating'", "is failed here, but rotating in the trail"),
        ("rotations SET state = 'expired' WHERE \"group\" = 'waits'", "is expired here, but requested in the trail"),
        ("rotations SET user_id = 'U0OTHER' WHERE \"group\" = 'late'", "differs from its request in the trail"),
        ("rotations SET \"group\" = 'other' WHERE \"group\" = 'late'", "differs from its request in the trail"),
        (
            "rotations SET resolved_as = 'failed' WHERE resolved_as IS NOT NULL",
            "is judged failed here, but judged succeeded",
        ),
        ("rotations SET resolved_as = NULL", "is not judged here, but judged succeeded in the trail"),
        (
            "rotations SET resolved_as = 'failed' WHERE \"group\" = 'unknown'",
            "is judged failed here, but not judged in the trail",
        ),
        ("allowlist SET pattern = 'prod-*' WHERE pattern = 'old-*'", "differs from row 2 of the trail"),
        ("allowlist SET user_id = 'U0MALLORY' WHERE id = 1", "differs from row 1 of the trail"),
        ("allowlist SET until = NULL WHERE id = 1", "differs from row 1 of the trail"),
        ("allowlist SET role = 'rotate' WHERE role = 'audit'", "differs from row 3 of the trail"),
        ("allowlist SET revoked_at = NULL", "is not revoked here, but in row 4 of the trail"),
        ("allowlist SET revoked_at = granted_at WHERE id = 1", "is revoked here, but in no row of the trail"),
    ],
)
def test_a_change_past_the_trail_is_reported(recorded: Recorded, change: str, words: str) -> None:
    attack(recorded.store.url, f"UPDATE {change}")
    (found,) = recorded.mismatches()

    assert words in found


def test_what_the_trail_does_not_have_and_what_is_missing_is_reported(recorded: Recorded) -> None:
    renumbered = "UPDATE allowlist SET id = 77 WHERE id = 1"
    attack(recorded.store.url, renumbered, "DELETE FROM outbox", FORGOTTEN)

    gone, appeared, lost = recorded.mismatches()
    assert re.fullmatch(r"Rotation \w+, requested in row \d+ of the trail, is missing\.", gone)
    assert appeared == "Grant 77 of U0ALICE01 is recorded in no row of the trail."
    assert lost == "Grant 1 of U0ALICE01, recorded in row 1 of the trail, is missing."


async def test_audit_verify_says_so(recorded: Recorded, tmp_path: Path) -> None:
    settings = {"DATABASE_URL": recorded.store.url.render_as_string(hide_password=False)}
    before = await run(settings, tmp_path, "audit", "verify")
    attack(recorded.store.url, "UPDATE rotations SET state = 'cancelled' WHERE \"group\" IN ('done', 'failed')")
    after = await run(settings, tmp_path, "audit", "verify")

    assert before[0] == 0
    assert after[0] == 1
    assert "Sound:" in after[1]
    assert "Rotations or grants in the database do not match the trail:\n- Rotation" in after[1]
    assert after[1].count("is cancelled here") == 2
