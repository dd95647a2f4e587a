"""What the bot acts on and shows is what the trail says, or `audit verify` names it."""

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
from tests.store import shell
from tests.store.conftest import ACME, ALICE, OPERATOR, Store, event_about

UNGUARDED = {
    "sqlite": ("DROP TRIGGER rotations_same_request", "DROP TRIGGER allowlist_revoked_once"),
    "postgresql": ("ALTER TABLE rotations DISABLE TRIGGER ALL", "ALTER TABLE allowlist DISABLE TRIGGER ALL"),
}
DELETABLE = {"sqlite": ("DROP TRIGGER rotations_no_delete",), "postgresql": ()}
FORGOTTEN = "DELETE FROM rotations WHERE \"group\" = 'failed'"


class Book:
    """A trail of everything that can happen, and what stands beside it."""

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
            await self.store.judgements.resolve(self.judged.id, judgement, event)
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
async def book(store: Store) -> Book:
    book = Book(store)
    await book.fill()
    return book


def test_everything_that_happens_is_as_the_trail_has_it(book: Book) -> None:
    assert book.mismatches() == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("rotations SET state = 'cancelled' WHERE \"group\" = 'done'", "is cancelled here, but succeeded in the trail"),
        ("rotations SET state = 'failed' WHERE \"group\" = 'rotating'", "is failed here, but rotating in the trail"),
        ("rotations SET state = 'expired' WHERE \"group\" = 'waits'", "is expired here, but requested in the trail"),
        ("rotations SET user_id = 'U0OTHER' WHERE \"group\" = 'late'", "is not what the trail says was asked for"),
        ("rotations SET \"group\" = 'other' WHERE \"group\" = 'late'", "is not what the trail says was asked for"),
        ("rotations SET resolved_as = 'failed' WHERE resolved_as IS NOT NULL", "is judged failed here, but succeeded"),
        ("rotations SET resolved_as = NULL", "is judged by nobody here, but succeeded in the trail"),
        ("rotations SET resolved_as = 'failed' WHERE \"group\" = 'unknown'", "is judged failed here, but by nobody"),
        ("allowlist SET pattern = 'prod-*' WHERE pattern = 'old-*'", "is not what row 2 of the trail gave"),
        ("allowlist SET user_id = 'U0MALLORY' WHERE id = 1", "is not what row 1 of the trail gave"),
        ("allowlist SET until = NULL WHERE id = 1", "is not what row 1 of the trail gave"),
        ("allowlist SET role = 'rotate' WHERE role = 'audit'", "is not what row 3 of the trail gave"),
        ("allowlist SET revoked_at = NULL", "is in force here, but row 4 of the trail revoked it"),
        ("allowlist SET revoked_at = granted_at WHERE id = 1", "is revoked here, but by no row of the trail"),
    ],
)
def test_what_was_changed_beside_the_trail_is_named(book: Book, change: str, words: str) -> None:
    shell.run(book.store.url, *UNGUARDED[book.store.url.get_backend_name()], f"UPDATE {change}")
    (found,) = book.mismatches()

    assert words in found


def test_what_appeared_beside_the_trail_and_what_is_gone_is_named(book: Book) -> None:
    renumbered = "UPDATE allowlist SET id = 77 WHERE id = 1"
    guards = UNGUARDED[book.store.url.get_backend_name()]
    shell.run(book.store.url, *guards, *DELETABLE[book.store.url.get_backend_name()], renumbered, FORGOTTEN)

    gone, appeared, lost = book.mismatches()
    assert re.fullmatch(r"Rotation \w+, which row \d+ of the trail asked for, is gone\.", gone)
    assert appeared == "Grant 77 of U0ALICE01 was given by no row of the trail."
    assert lost == "Grant 1 of U0ALICE01, which row 1 of the trail gave, is gone."


async def test_audit_verify_says_so(book: Book, tmp_path: Path) -> None:
    settings = {"DATABASE_URL": book.store.url.render_as_string(hide_password=False)}
    before = await run(settings, tmp_path, "audit", "verify")
    shell.run(book.store.url, "UPDATE rotations SET state = 'cancelled' WHERE \"group\" IN ('done', 'failed')")
    after = await run(settings, tmp_path, "audit", "verify")

    assert before[0] == 0
    assert after[0] == 1
    assert "Sound:" in after[1]
    assert "What the bot acts on and shows is not what the trail has:\n- Rotation" in after[1]
    assert after[1].count("is cancelled here") == 2
