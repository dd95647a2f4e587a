"""Rows that hold what the bot never writes: the others are read and settled, and these are named."""

import pytest

from bot.domain.errors import UnreadableRow
from bot.domain.history import HistoryQuery, HistorySearch
from bot.domain.models import Rotation
from bot.domain.policy import Visibility
from bot.domain.recording import OutcomeRecorder
from bot.store.history import SqlHistory
from tests.store.attack import attack
from tests.store.conftest import ACME, ALICE, Store

pytestmark = pytest.mark.fault("F53")

EVERYWHERE = [
    "detail = 'no JSON'",
    "detail = ''",
    "detail = '[]'",
    "detail = 'null'",
    f"detail = '{'[' * 100_000}'",
    "state = 'paused'",
    "resolved_as = 'perhaps'",
]
KINDS = {
    "sqlite": [
        *EVERYWHERE,
        "requested_at = '2026-02-31T00:00:00.000000Z'",
        "requested_at = '2026-01-01T00:00:00'",
        "reason = x'00ff'",
        "reason = CAST(x'70ff' AS TEXT)",
    ],
    "postgresql": [*EVERYWHERE, "ended_at = 'infinity'", "ended_at = '0044-03-15 BC'", "reason = NULL"],
}
"""What history cannot show."""
MORE_KINDS = {
    "sqlite": [
        *KINDS["sqlite"][5:],
        "expires_at = 'yesterday'",
        "world = 'round'",
        "databases = '{}'",
        'databases = \'{"count": 1, "names": 2}\'',
    ],
    "postgresql": [
        *KINDS["postgresql"][5:],
        "expires_at = 'infinity'",
        "expires_at = '-infinity'",
        "databases = '{}'",
        'databases = \'{"count": 1, "names": 2}\'',
    ],
}
"""What cannot be settled."""
UNCHECKED = {
    "sqlite": ["PRAGMA ignore_check_constraints = ON"],
    "postgresql": [
        "ALTER TABLE rotations DROP CONSTRAINT IF EXISTS ck_rotations_state",
        "ALTER TABLE rotations DROP CONSTRAINT IF EXISTS ck_rotations_resolved_as",
        "ALTER TABLE rotations ALTER COLUMN reason DROP NOT NULL",
        "ALTER TABLE allowlist DROP CONSTRAINT IF EXISTS ck_allowlist_role",
    ],
}
EVERYTHING = HistorySearch(Visibility(everything=True, patterns=(), actor=ALICE), HistoryQuery(), limit=1000)


def spoil(store: Store, *statements: str) -> None:
    """Do what only the owner of the database can."""
    attack(store.url, *UNCHECKED[store.url.get_backend_name()], *statements)


async def spoiled(store: Store, kinds: dict[str, list[str]]) -> list[Rotation]:
    """Open overdue requests, and spoil each in another way."""
    ways = kinds[store.url.get_backend_name()]
    requests = [await store.request(f"group-{number}", seconds=-1) for number in range(len(ways))]
    changes = zip(ways, requests, strict=True)
    spoil(store, *(f"UPDATE rotations SET {way} WHERE id = '{each.id}'" for way, each in changes))  # noqa: S608 - the owner's
    return requests


async def test_one_bad_row_does_not_hold_up_the_others(store: Store) -> None:
    first = await store.request("first", seconds=-1)
    bad = await spoiled(store, {each: [way for way in ways if "state" not in way] for each, ways in MORE_KINDS.items()})
    last = await store.request("last", seconds=-1)
    failed: dict[str, Exception] = {}

    settled = [each.id async for each in OutcomeRecorder(store.rotations).tidy(failed.__setitem__)]

    assert settled == [first.id, last.id]
    assert sorted(failed) == sorted(f"Rotation {each.id}" for each in bad)
    for each in bad:
        with pytest.raises(UnreadableRow, match=f"Rotation {each.id} cannot be read: "):
            await store.rotations.get(each.id)
        assert await store.actions(each) == ["rotation.requested"]


async def test_history_shows_the_others_and_names_the_bad_ones(store: Store) -> None:
    first = await store.request("first")
    bad = await spoiled(store, KINDS)
    last = await store.request("last")
    history = SqlHistory(store.database, ACME)

    found = await history.find(EVERYTHING)
    mine = await history.pending(ALICE)

    assert [entry.rotation_id for entry in found.entries] == [last.id, first.id]
    assert sorted(each.key for each in found.unreadable) == sorted(f"Rotation {each.id}" for each in bad)
    assert list(mine) == [first, last]
