"""Compare rotations and grants, which the bot acts on and people read, with the trail that can be verified."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from sqlalchemy import Connection

from bot.domain.events import Action
from bot.store.streaming import stream, time_text
from bot.trail.chain import parse_detail
from bot.trail.replay import (
    GRANT_FIELDS,
    REPLAYED,
    ROTATION_FIELDS,
    Entry,
    Replay,
    differences,
    replay_grant,
    replay_rotation,
    shown,
)

MAX_REPORTED = 100
"""How many mismatches are reported; with more it is no longer about single rotations."""

_TIMES = frozenset({"at", "requested_at", "expires_at", "started_at", "ended_at", "until", "granted_at", "revoked_at"})
_ENTRY = ("seq", "at", "action", "team_id", "user_id", "organization", "group", "rotation_id", "detail")
_NONE: tuple[None, Iterator[Entry]] = (None, iter(()))
_Found = tuple[Any, ...]


def mismatches(connection: Connection) -> Iterator[str]:
    """Describe what differs from the trail or is missing on either side: rotations in constant memory, then grants."""
    yield from _rotations(connection)
    yield from _grants(connection)


def _rotations(connection: Connection) -> Iterator[str]:
    # By bytes, on both sides, whatever the database sorts by.
    binary = "" if connection.dialect.name == "sqlite" else ' COLLATE "C"'
    moves = f"WHERE rotation_id IS NOT NULL AND action IN ({_quoted(REPLAYED)}) ORDER BY rotation_id{binary}, seq"
    rotations = _select(connection, "rotations", ("id", *ROTATION_FIELDS), f"ORDER BY id{binary}")
    here = stream(connection, rotations, "here", tuple)
    there = stream(connection, _select(connection, "audit_events", _ENTRY, moves), "there", Entry._make)
    for number, row, replay in _joined(here, there):
        if row is None:
            yield f"Rotation {shown(number)}, recorded in row {replay.first} of the trail, is missing."
        elif replay.first is None:
            yield f"Rotation {shown(number)} is recorded in no row of the trail."
        else:
            fields = dict(zip(ROTATION_FIELDS, row[1:], strict=True))
            yield from (f"Rotation {shown(number)}: {each}." for each in differences(fields, replay))


def _joined(here: Iterable[_Found], there: Iterable[Entry]) -> Iterator[tuple[object, _Found | None, Replay]]:
    """Pair each rotation with the rows about it; both come in the order of the ids."""
    groups = groupby(there, key=lambda entry: entry.about)
    about, entries = next(groups, _NONE)
    for row in here:
        while about is not None and about != row[0] and _rank(about) < _rank(row[0]):
            yield about, None, replay_rotation(entries)
            about, entries = next(groups, _NONE)
        if about == row[0]:
            yield about, row, replay_rotation(entries)
            about, entries = next(groups, _NONE)
        else:
            yield row[0], row, Replay()
    while about is not None:
        yield about, None, replay_rotation(entries)
        about, entries = next(groups, _NONE)


def _rank(value: Any) -> tuple[bool, bytes]:
    """Return a key that sorts as the databases do: by bytes, what is no text last."""
    return (True, value) if isinstance(value, bytes) else (False, str(value).encode("utf-8", "surrogateescape"))


def _grants(connection: Connection) -> Iterator[str]:
    """Compare grants, which are few: operators add them one by one."""
    recorded = _by_grant(connection)
    grants = _select(connection, "allowlist", ("id", *GRANT_FIELDS), "ORDER BY id")
    for number, *fields in stream(connection, grants, "grants", tuple):
        here, entries = dict(zip(GRANT_FIELDS, fields, strict=True)), recorded.pop(number, None)
        name = f"Grant {number} of {shown(here['user_id'])}"
        if entries is None:
            yield f"{name} is recorded in no row of the trail."
        else:
            yield from (f"{name}: {each}." for each in differences(here, replay_grant(entries)))
    for number, entries in recorded.items():
        user = (parse_detail(entries[0].detail) or {}).get("user")
        yield f"Grant {shown(number)} of {shown(user)}, recorded in row {entries[0].seq} of the trail, is missing."


def _by_grant(connection: Connection) -> dict[object, list[Entry]]:
    found: defaultdict[object, list[Entry]] = defaultdict(list)
    condition = f"WHERE action IN ({_quoted((Action.GRANTED, Action.REVOKED))}) ORDER BY seq"
    for entry in stream(connection, _select(connection, "audit_events", _ENTRY, condition), "granted", Entry._make):
        number = (parse_detail(entry.detail) or {}).get("grant")
        found[number if isinstance(number, int) else None].append(entry)
    return found


def _select(connection: Connection, table: str, columns: Iterable[str], rest: str) -> str:
    names = (time_text(connection, name) if name in _TIMES else f'"{name}"' for name in columns)
    return f"SELECT {', '.join(names)} FROM {table} {rest}"  # noqa: S608 - names above


def _quoted(actions: Iterable[str]) -> str:
    return ", ".join(f"'{action}'" for action in sorted(actions))
