"""Rotations and grants agree with the trail, or `audit verify` says where they differ."""

import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from bot.domain.allowlist import Allowlist
from bot.domain.events import Action
from bot.domain.grants import Role
from bot.domain.models import Databases, Rotation
from bot.domain.states import State
from bot.store.trail_reader import open_trail
from bot.trail.replay import GRANT_FIELDS, ROTATION_FIELDS
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
        answer = event_about(late, Action.SUCCEEDED, {"explanation": "Turso confirmed it.", "status": 200})
        await self.store.rotations.move(late.id, expected=State.UNKNOWN, event=answer, claim="c1")
        self.judged = await self.ends("judged", State.UNKNOWN)
        for judgement in (State.FAILED, State.SUCCEEDED):
            event = event_about(self.judged, Action.RESOLVED, {"as": str(judgement), "note": "seen"})
            await self.store.resolutions.resolve(self.judged.id, judgement, event)
        await self.store.claim(await self.store.request("rotating"), (await self.store.grants.all()).grants[0].id)

    async def ends(self, group: str, end: State) -> Rotation:
        """Let a rotation end."""
        new = replace(self.store.new(group), databases=Databases(1, ("ledger",)))
        rotation = (await self.store.rotations.open(new)).rotation
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


EVERY_FIELD = {
    "done": {
        "state": ("'cancelled'", '"cancelled" here, but "succeeded" in row N of the trail'),
        "requested_at": ("expires_at", "TIME here, but TIME in row N of the trail"),
        "team_id": ("'T0OTHER'", '"T0OTHER" here, but "T012AB3CD" in row N of the trail'),
    },
    "failed": {
        "expires_at": ("requested_at", "TIME here, but TIME in row N of the trail"),
        "started_at": ("expires_at", "TIME here, but TIME in row N of the trail"),
        "organization": ("'other'", '"other" here, but "acme" in row N of the trail'),
        "resolved_as": ("'succeeded'", '"succeeded" here, but nothing in row N of the trail'),
    },
    "late": {
        "reason": ("'none of your business'", '"none of your business" here, but "why" in row N of the trail'),
        "channel_id": ("'C0ELSEWHERE'", '"C0ELSEWHERE" here, but "C0INCIDENT" in row N of the trail'),
        "user_id": ("'U0OTHER'", '"U0OTHER" here, but "U0ALICE01" in row N of the trail'),
        "ended_at": ("expires_at", "TIME here, but TIME in row N of the trail"),
        "detail.status": ("""replace(detail, '200', '204')""", "204 here, but 200 in row N of the trail"),
        "databases.count": ("""replace(databases, '1', '2')""", "2 here, but 1 in row N of the trail"),
    },
    "judged": {
        "resolved_as": ("'failed'", '"failed" here, but "succeeded" in row N of the trail'),
        "detail.note": ("replace(detail, 'seen', 'guessed')", '"guessed" here, but "seen" in row N of the trail'),
    },
    "rotating": {"started_at": ("NULL", "nothing here, but TIME in row N of the trail")},
    "waits": {
        "ended_at": ("expires_at", "TIME here, but no row of the trail says so"),
        "group": ("'other'", '"other" here, but "waits" in row N of the trail'),
    },
}
EVERY_FIELD_OF_GRANTS = {
    1: {
        "team_id": ("'T0OTHER'", '"T0OTHER" here, but "T012AB3CD" in row N of the trail'),
        "until": ("NULL", "nothing here, but TIME in row N of the trail"),
        "note": ("'off call'", '"off call" here, but "on call" in row N of the trail'),
        "granted_by_team": ("'T0OTHER'", '"T0OTHER" here, but "cli" in row N of the trail'),
        "granted_by_user": ("'nobody'", '"nobody" here, but "root" in row N of the trail'),
        "granted_at": ("until", "TIME here, but TIME in row N of the trail"),
        "revoked_at": ("granted_at", "TIME here, but no row of the trail says so"),
    },
    2: {
        "pattern": ("'prod-*'", '"prod-*" here, but "old-*" in row N of the trail'),
        "revoked_at": ("NULL", "nothing here, but TIME in row N of the trail"),
        "revoked_by_team": ("'T0OTHER'", '"T0OTHER" here, but "cli" in row N of the trail'),
        "revoked_by_user": ("'nobody'", '"nobody" here, but "root" in row N of the trail'),
    },
    3: {
        "user_id": ("'U0MALLORY'", '"U0MALLORY" here, but "U0ALICE01" in row N of the trail'),
        "role": ("'rotate'", '"rotate" here, but "audit" in row N of the trail'),
    },
}  # fmt: skip


def rewriting(table: str, row: str, fields: dict[str, tuple[str, str]]) -> str:
    """Set every field of a row at once."""
    columns = ", ".join(f'"{name.partition(".")[0]}" = {value}' for name, (value, _) in fields.items())
    return f"UPDATE {table} SET {columns} WHERE {row}"  # noqa: S608 - the attacker's


def told(sentences: list[str]) -> list[str]:
    """Leave out which rotation, which time and which row."""
    texts = (re.sub(r'"2\d{3}-[^"]*Z"', "TIME", sentence.partition(": ")[2]) for sentence in sentences)
    return sorted(re.sub(r"row \d+", "row N", text) for text in texts)


@pytest.mark.fault("F54")
def test_every_field_that_people_read_is_compared(recorded: Recorded) -> None:
    url = recorded.store.url
    attack(
        url,
        *(rewriting("rotations", f"\"group\" = '{group}'", fields) for group, fields in EVERY_FIELD.items()),
        *(rewriting("allowlist", f"id = {number}", fields) for number, fields in EVERY_FIELD_OF_GRANTS.items()),
    )
    expected = [
        f"{name} is {words}."
        for fields in (*EVERY_FIELD.values(), *EVERY_FIELD_OF_GRANTS.values())
        for name, (_, words) in fields.items()
    ]

    assert told(recorded.mismatches()) == sorted(expected)
    covered = {name.partition(".")[0] for fields in EVERY_FIELD.values() for name in fields}
    assert covered == set(ROTATION_FIELDS)
    assert {name for fields in EVERY_FIELD_OF_GRANTS.values() for name in fields} == set(GRANT_FIELDS)


def test_what_the_trail_does_not_have_and_what_is_missing_is_reported(recorded: Recorded) -> None:
    attack(recorded.store.url, "UPDATE allowlist SET id = 77 WHERE id = 1", "DELETE FROM outbox", FORGOTTEN)

    gone, appeared, lost = recorded.mismatches()
    assert re.fullmatch(r'Rotation "\w+", recorded in row \d+ of the trail, is missing\.', gone)
    assert appeared == 'Grant 77 of "U0ALICE01" is recorded in no row of the trail.'
    assert lost == 'Grant 1 of "U0ALICE01", recorded in row 1 of the trail, is missing.'


async def test_audit_verify_says_so(recorded: Recorded, tmp_path: Path) -> None:
    settings = {"DATABASE_URL": recorded.store.url.render_as_string(hide_password=False)}
    before = await run(settings, tmp_path, "audit", "verify")
    attack(recorded.store.url, "UPDATE rotations SET state = 'cancelled' WHERE \"group\" IN ('done', 'failed')")
    after = await run(settings, tmp_path, "audit", "verify")

    assert before[0] == 0
    assert after[0] == 1
    assert "Sound:" in after[1]
    assert "Rotations or grants in the database do not match the trail:\n- Rotation" in after[1]
    assert after[1].count('state is "cancelled" here, but') == 2


@pytest.mark.fault("F53")
@pytest.mark.databases("sqlite")
def test_what_is_not_utf8_on_either_side_is_reported_and_stops_nothing(recorded: Recorded) -> None:
    garbled = """UPDATE {} SET user_id = CAST(x'55ff' AS TEXT) WHERE "group" IN ('waits', 'late', 'rotating')"""
    attack(recorded.store.url, garbled.format("audit_events"))
    of_the_trail = recorded.mismatches()
    attack(recorded.store.url, garbled.format("rotations"))

    assert len(of_the_trail) == 3
    assert recorded.mismatches() == []
