"""Law 6 against the database's owner: what is done to the rows with the guards taken away, verification finds."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from sqlalchemy import URL

from bot.domain.events import Action, Event
from bot.domain.models import GroupName, RotationId
from bot.store.trail import SqlTrail
from bot.store.trail_reader import open_trail
from bot.trail.chain import Row, Seal
from bot.trail.diagnose import ChainFault
from bot.trail.report import VerifyOptions
from bot.trail.verify import verify
from tests.process import run
from tests.store import shell
from tests.store.attack import attack, rewrite
from tests.store.conftest import ACME, ALICE, Store
from tests.synthetic.events import sealed

KEY = "correct horse battery staple"
KEYED, UNKEYED, OTHER = Seal(KEY.encode()), Seal(), Seal(b"wrong pony capacitor nail")
ROWS = 24
Rows = Sequence[Row]
_INSERTED = (
    'INSERT INTO audit_events (seq, at, action, team_id, user_id, organization, "group", rotation_id, detail, '
    "prev_hash, hash) SELECT {place}, at, action, team_id, 'U0MALLORY', organization, \"group\", rotation_id, detail, "
    "prev_hash, {hash} FROM audit_events WHERE seq = {place} + 1"
)


async def write(store: Store, seal: Seal) -> None:
    """Leave a trail in which each column is used and some are NULL."""
    trail = SqlTrail(store.database, seal)
    for number in range(1, ROWS + 1):
        group, rotation = (GroupName("payments"), RotationId(f"r{number}")) if number % 4 else (None, None)
        detail = {"reason": "key leaked 🔑", "seconds": 0.12}
        await trail.append(Event(Action.DENIED, ALICE, ACME, group, rotation, detail, f"delivery{number}"))


def rows_of(url: URL) -> list[Row]:
    with open_trail(url) as reading:
        return list(reading.rows())


def found(url: URL, seal: Seal) -> tuple[ChainFault, int]:
    with open_trail(url) as reading:
        finding = verify(reading.rows(), VerifyOptions(seal)).diagnosis
    assert finding is not None
    return finding.fault, finding.seq


def moved(by: int, first: int) -> list[str]:
    """Give the rows from `first` on other numbers."""
    return [
        f"UPDATE audit_events SET seq = -seq WHERE seq >= {first}",  # noqa: S608 - the attacker's
        f"UPDATE audit_events SET seq = {by} - seq WHERE seq < 0",  # noqa: S608 - the same
    ]


def swapped(one: int, other: int) -> list[str]:
    return [
        f"UPDATE audit_events SET seq = {after} WHERE seq = {before}"  # noqa: S608 - the attacker's
        for before, after in ((one, -1), (other, one), (-1, other))
    ]


def inserted(rows: Rows, seal: Seal | None) -> list[str]:
    row = rows[4]._replace(user_id="U0MALLORY", delivery=None)
    hash_ = row.hash if seal is None else seal.hash(row)
    return [*moved(1, 5), _INSERTED.format(place=5, hash=f"'{hash_}'")]


def made_anew(rows: Rows, seal: Seal, first: int = 1) -> list[str]:
    """Change row 5 and compute each hash from `first` on as somebody with that seal can."""
    changed = [row._replace(user_id="U0MALLORY") if row.seq == 5 else row for row in rows[first - 1 :]]
    return rewrite(sealed(changed, seal, rows[first - 1].prev_hash))


DEEDS: dict[str, tuple[Callable[[Rows], list[str]], str]] = {
    "a byte changed": (
        lambda _: ["UPDATE audit_events SET user_id = 'U0ALICE02' WHERE seq = 5"], "Row 5: changed.",
    ),
    "a row deleted": (lambda _: ["DELETE FROM audit_events WHERE seq = 5"], "Row 5: missing."),
    "a row deleted and the rest renumbered": (
        lambda _: ["DELETE FROM audit_events WHERE seq = 5", *moved(-1, 6)], "Row 5: missing.",
    ),
    "neighbours swapped": (lambda _: swapped(5, 6), "Row 5: reordered."),
    "far ones swapped": (lambda _: swapped(5, 19), "Row 5: reordered."),
    "one inserted": (lambda rows: inserted(rows, None), "Row 5: inserted."),
    "one inserted with the hash that anybody can compute": (lambda rows: inserted(rows, UNKEYED), "Row 5: inserted."),
}  # fmt: skip
ONLY_KEYED: dict[str, tuple[Callable[[Rows], list[str]], str]] = {
    "all made anew without the key": (lambda rows: made_anew(rows, UNKEYED), "Row 1: not sealed with the key."),
    "the rest made anew without the key": (
        lambda rows: made_anew(rows, UNKEYED, first=5), "Row 5: not sealed with the key.",
    ),
    "all made anew with another key": (lambda rows: made_anew(rows, OTHER), "Row 1: wrong key."),
}  # fmt: skip


async def audit_verify(store: Store, folder: Path, key: str | None, *options: str) -> tuple[int, str, str]:
    """Run the real command."""
    settings = {"DATABASE_URL": store.url.render_as_string(hide_password=False)}
    return await run(settings | ({"AUDIT_KEY": key} if key else {}), folder, "audit", "verify", *options)


@pytest.mark.parametrize(
    ("key", "deed"),
    [(key, deed) for key in (None, KEY) for deed in (DEEDS if key is None else DEEDS | ONLY_KEYED)],
    ids=lambda value: value.replace(" ", "-") if value not in {None, KEY} else "keyed" if value else "unkeyed",
)
@pytest.mark.law(6)
async def test_a_deed_is_named(key: str | None, deed: str, store: Store, tmp_path: Path) -> None:
    seal = KEYED if key else UNKEYED
    await write(store, seal)
    tamper, words = (DEEDS | ONLY_KEYED)[deed]
    await asyncio.to_thread(attack, store.url, *tamper(await asyncio.to_thread(rows_of, store.url)))
    code, out, err = await audit_verify(store, tmp_path, key)

    assert (code, out[: len(words)], err) == (1, words, "")


@pytest.mark.parametrize("seal", [UNKEYED, KEYED], ids=["unkeyed", "keyed"])
@pytest.mark.law(6)
async def test_a_byte_in_any_column_is_found(store: Store, seal: Seal) -> None:
    """From the last row to the first, so that each time the newest deed is the first bad row."""
    await write(store, seal)
    postgresql = store.url.get_backend_name() == "postgresql"
    last_byte = 'substr("{0}", 1, length("{0}") - 1) || \'g\''
    changes = {
        "seq": "seq + 100",
        "at": "at + interval '1 microsecond'" if postgresql else "substr(at, 1, 25) || '1Z'",
        "detail": "replace(detail, '0.12', '0.13')",
        "delivery": "NULL",
    }
    changed = []
    for column, seq in zip(Row._fields, range(ROWS, 0, -2), strict=True):
        row = seq - 1 if seq % 4 == 0 else seq  # where nothing is NULL
        value = changes.get(column, last_byte.format(column))
        await asyncio.to_thread(attack, store.url, f'UPDATE audit_events SET "{column}" = {value} WHERE seq = {row}')  # noqa: S608 - the attacker's
        changed.append((await asyncio.to_thread(found, store.url, seal), row))

    assert len(changed) == len(Row._fields)
    assert [seq for (_, seq), row in changed] == [row for _, row in changed]
    assert {fault for (fault, _), _ in changed} <= {ChainFault.CHANGED, ChainFault.MISSING}


@pytest.mark.law(6)
async def test_nothing_for_null_and_null_for_nothing_are_found(store: Store) -> None:
    await write(store, UNKEYED)
    await asyncio.to_thread(attack, store.url, "UPDATE audit_events SET \"group\" = '' WHERE seq = 8")
    late = await asyncio.to_thread(found, store.url, UNKEYED)
    await asyncio.to_thread(attack, store.url, "UPDATE audit_events SET rotation_id = NULL WHERE seq = 5")

    assert late == (ChainFault.CHANGED, 8)
    assert await asyncio.to_thread(found, store.url, UNKEYED) == (ChainFault.CHANGED, 5)


@pytest.mark.parametrize("key", [None, KEY], ids=["unkeyed", "keyed"])
async def test_a_cut_tail_is_shown_by_an_anchor_and_said_not_to_be_without(
    key: str | None, store: Store, tmp_path: Path
) -> None:
    await write(store, KEYED if key else UNKEYED)
    head = str(await store.trail.head())
    await asyncio.to_thread(attack, store.url, "DELETE FROM audit_events WHERE seq > 20")
    without = await audit_verify(store, tmp_path, key)
    anchored = await audit_verify(store, tmp_path, key, "--anchor", head)

    assert without[0] == 0
    assert "Sound: 20 rows, 1 to 20" in without[1]
    assert "Without a head noted earlier, rows cut off at the end would go undetected: --anchor SEQ:HASH" in without[1]
    assert (anchored[0], anchored[2]) == (1, "")
    assert anchored[1].startswith("Row 21: cut off. An anchor names row 24, but what is here ends with row 20.")


async def test_an_unkeyed_chain_made_anew_is_shown_by_an_anchor_and_said_not_to_be_without(
    store: Store, tmp_path: Path
) -> None:
    await write(store, UNKEYED)
    head = str(await store.trail.head())
    await asyncio.to_thread(attack, store.url, *made_anew(await asyncio.to_thread(rows_of, store.url), UNKEYED))
    without = await audit_verify(store, tmp_path, None)
    anchored = await audit_verify(store, tmp_path, None, "--anchor", head)

    assert without[0] == 0
    assert "Without a key, a fully rewritten chain would go undetected." in without[1]
    assert anchored[0] == 1
    assert anchored[1].startswith(f"Row {ROWS}: rewritten.")


async def test_guards_that_are_gone_are_told_though_the_rows_are_sound(store: Store, tmp_path: Path) -> None:
    await write(store, KEYED)
    on = "" if store.url.get_backend_name() == "sqlite" else " ON audit_events"
    await asyncio.to_thread(attack, store.url)
    shell.run(store.url, f"DROP TRIGGER audit_events_no_update{on}")
    code, out, _ = await audit_verify(store, tmp_path, KEY)

    assert code == 1
    assert out.startswith(f"Sound: {ROWS} rows")
    assert "missing, disabled, changed or added: audit_events_no_update." in out


STRANGE = {
    "sqlite": [
        ("user_id = CAST(x'55ff' AS TEXT)", "bytes that are no text"),
        ("user_id = CAST(user_id AS BLOB)", "bytes for text"),
        ("at = at || char(0)", "a control behind the end"),
        ("detail = detail || char(10)", "a line break behind the detail"),
        ("hash = NULL", "no hash"),
        ("organization = 5", "a number for text"),
        ("seq = 'five'", "text for a number"),
        ("seq = NULL", "no number"),
    ],
    "postgresql": [
        ("at = 'infinity'", "a time that never comes"),
        ("at = at - interval '4051 years'", "the same time before our era"),
        ("detail = detail || chr(10)", "a line break behind the detail"),
        ("hash = NULL", "no hash"),
        ("organization = NULL", "NULL where there is none"),
        ("seq = NULL", "no number"),
    ],
}
LOOSE = {
    "sqlite": ["ALTER TABLE audit_events RENAME TO strict", "CREATE TABLE audit_events AS SELECT * FROM strict"],
    "postgresql": [
        "ALTER TABLE audit_events DROP CONSTRAINT pk_audit_events",
        *(f"ALTER TABLE audit_events ALTER COLUMN {name} DROP NOT NULL" for name in ("seq", "hash", "organization")),
    ],
}


async def test_what_the_bot_never_writes_is_found_and_breaks_nothing(store: Store, tmp_path: Path) -> None:
    """The table is made anew without types and constraints; each deed is undone before the next."""
    await write(store, KEYED)
    kind = store.url.get_backend_name()
    await asyncio.to_thread(shell.run, store.url, *LOOSE[kind], "CREATE TABLE kept AS SELECT * FROM audit_events")
    seen = {}
    for deed, name in STRANGE[kind]:
        await asyncio.to_thread(attack, store.url, f"UPDATE audit_events SET {deed} WHERE seq = 5")  # noqa: S608 - the attacker's
        seen[name] = await asyncio.to_thread(found, store.url, KEYED)
        undo = ("DELETE FROM audit_events", "INSERT INTO audit_events SELECT * FROM kept")
        await asyncio.to_thread(attack, store.url, *undo)
    await asyncio.to_thread(attack, store.url, "UPDATE audit_events SET hash = NULL WHERE seq = 5")

    code, out, err = await audit_verify(store, tmp_path, KEY)

    assert {name: fault for name, (fault, seq) in seen.items() if seq not in {1, 5}} == {}
    assert {fault for fault, _ in seen.values()} <= {ChainFault.CHANGED, ChainFault.MISSING, ChainFault.INSERTED}
    assert (code, out.startswith("Row 5: "), err) == (1, True, "")
