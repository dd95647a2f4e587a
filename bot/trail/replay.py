"""Replay the rows of the trail about one rotation or grant, and compare what they make of it with what a table says."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from bot.domain.events import STATE_AFTER, Action
from bot.domain.periods import rfc3339
from bot.domain.secrets import mask
from bot.domain.states import MOVES, State
from bot.domain.text import escaped
from bot.trail.chain import detail_text, parse_detail

ROTATION_FIELDS = (
    "organization", "group", "team_id", "user_id", "channel_id", "reason", "databases", "requested_at", "expires_at",
    "state", "started_at", "ended_at", "detail", "resolved_as",
)  # fmt: skip
"""What people read of a rotation, by the names of the columns."""
GRANT_FIELDS = (
    "team_id", "user_id", "pattern", "role", "until", "note", "granted_at", "granted_by_team", "granted_by_user",
    "revoked_at", "revoked_by_team", "revoked_by_user",
)  # fmt: skip
"""What people read of a grant, and what the bot acts on."""

_REQUESTED, _ROTATING, _UNKNOWN = map(str, (State.REQUESTED, State.ROTATING, State.UNKNOWN))
_MOVES: Mapping[str, tuple[str, frozenset[str]]] = {
    str(action): (str(to), frozenset(str(state) for state, following in MOVES.items() if to in following))
    for action, to in STATE_AFTER.items()
}
"""The state after each action, and those after which it is legal; as text, because enums would double the time."""
REPLAYED = frozenset({*_MOVES, str(Action.RESOLVED)})
"""The actions that change what people read of a rotation."""
_SHOWN, _BEFORE = 60, 20
"""How much of a value is shown, and how much of that before the place where two values begin to differ."""


class Entry(NamedTuple):
    """A row of the trail without its seal; `at` and `detail` as canonical text, as they are stored."""

    seq: int
    at: str
    action: str
    team_id: str
    user_id: str
    organization: str
    group: str | None
    about: str | None
    """The rotation's id."""
    detail: str


class Replay:
    """What the rows say so far, and what is wrong with them."""

    __slots__ = ("_facts", "_row_of", "first", "known", "problems")

    def __init__(self) -> None:
        self.first: int | None = None
        """The number of the first row."""
        self.known = False
        """Whether a row began it: a request, or a grant."""
        self.problems: list[str] = []
        self._facts: dict[str, object] = {}
        self._row_of: dict[str, int] = {}

    @property
    def facts(self) -> Mapping[str, object]:
        """What the rows say of each field."""
        return self._facts

    def take(self, seq: int, facts: Mapping[str, object]) -> None:
        """Take what a row says."""
        self._facts.update(facts)
        self._row_of |= dict.fromkeys(facts, seq)

    def begin(self, seq: int, facts: Mapping[str, object]) -> None:
        """Take what the first row says."""
        self.known = True
        self.take(seq, facts)

    def row(self, name: str) -> int | None:
        """Return the number of the row that says so, if one does."""
        return self._row_of.get(name)


def replay_rotation(entries: Iterable[Entry]) -> Replay:
    """Replay the rows about one rotation, in their order."""
    replay = Replay()
    state: str | None = None
    for entry in entries:
        replay.first = replay.first or entry.seq
        if entry.action not in _MOVES:
            _resolve(replay, entry, state)
            continue
        to, legal = _MOVES[entry.action]
        if state not in legal if state else to != _REQUESTED:
            before = f"it was already {state}" if state else "no row before it requested it"
            replay.problems.append(f"row {entry.seq} of the trail records {entry.action}, but {before}")
        state = to
        if to == _REQUESTED:
            _request(replay, entry)
        elif to == _ROTATING:
            replay.take(entry.seq, {"state": to, "started_at": entry.at})
        else:  # an end
            ended = {"state": to, "ended_at": entry.at, "detail": entry.detail, "resolved_as": None}
            replay.take(entry.seq, ended)
    return replay


def _request(replay: Replay, entry: Entry) -> None:
    detail = parse_detail(entry.detail)
    if detail is None:
        replay.problems.append(f"the detail of row {entry.seq} of the trail cannot be read")
        return
    databases = detail.get("databases")
    requested: dict[str, object] = {
        "organization": entry.organization,
        "group": entry.group,
        "team_id": entry.team_id,
        "user_id": entry.user_id,
        "channel_id": detail.get("channel"),
        "reason": detail.get("reason"),
        "databases": None if databases is None else detail_text(databases),
        "requested_at": entry.at,
        "expires_at": _later(entry.at, detail.get("expires_in")),
        "state": _REQUESTED,
        "detail": "{}",
    }
    replay.begin(entry.seq, requested)


def _resolve(replay: Replay, entry: Entry, state: str | None) -> None:
    """Take a judgement, which changes no state, and which a late answer replaces."""
    before, detail = parse_detail(replay.facts.get("detail")), parse_detail(entry.detail)
    if state != _UNKNOWN or before is None or detail is None:
        replay.problems.append(f"row {entry.seq} of the trail judges it, but it was not unknown")
        return
    judged = {**before, "resolved_by": entry.user_id, "note": detail.get("note")}
    replay.take(entry.seq, {"resolved_as": detail.get("as"), "detail": detail_text(judged)})


def replay_grant(entries: Iterable[Entry]) -> Replay:
    """Replay the rows about one grant, in their order."""
    replay = Replay()
    for entry in entries:
        replay.first = replay.first or entry.seq
        begins = entry.action == Action.GRANTED
        if replay.known if begins else not replay.known or "revoked_at" in replay.facts:
            before = "was granted" if begins else "was revoked" if replay.known else "was not granted"
            replay.problems.append(f"row {entry.seq} of the trail records {entry.action}, but it {before} before")
        if begins:
            _grant(replay, entry, parse_detail(entry.detail) or {})
        else:
            by = {"revoked_by_team": entry.team_id, "revoked_by_user": entry.user_id}
            replay.take(entry.seq, {"revoked_at": entry.at, **by})
    return replay


def _grant(replay: Replay, entry: Entry, detail: Mapping[str, object]) -> None:
    granted: dict[str, object] = {
        "team_id": detail.get("team"),
        "user_id": detail.get("user"),
        "pattern": detail.get("pattern"),
        "role": detail.get("role"),
        "until": _later(detail.get("until"), 0),
        "note": detail.get("note"),
        "granted_at": entry.at,
        "granted_by_team": entry.team_id,
        "granted_by_user": entry.user_id,
    }
    replay.begin(entry.seq, granted)


def differences(here: Mapping[str, object], replay: Replay) -> Iterator[str]:
    """Describe what is wrong with the rows, and in which fields a table differs from them: the ends of sentences."""
    yield from replay.problems
    if not replay.known or here == replay.facts:
        return
    for name, found in here.items():
        recorded = replay.facts.get(name)
        if found != recorded:
            yield from _difference(name, found, recorded, replay.row(name))


def _difference(name: str, found: object, recorded: object, row: int | None) -> Iterator[str]:
    """Name the members of a detail that differ, rather than the whole."""
    here, there = (parse_detail(each) if name in {"detail", "databases"} else None for each in (found, recorded))
    if here is None or there is None or here == there:
        yield _sentence(name, found, recorded, row)
        return
    for member in sorted({*here, *there}):
        if here.get(member) != there.get(member):
            yield _sentence(f"{name}.{member}", here.get(member), there.get(member), row)


def _sentence(name: str, found: object, recorded: object, row: int | None) -> str:
    here, there = shown(found), shown(recorded)
    place = next((at for at, (one, other) in enumerate(zip(here, there, strict=False)) if one != other), 0)
    here, there = _cut(here, place), _cut(there, place)
    where = "no row of the trail says so" if row is None else f"{there} in row {row} of the trail"
    return f"{escaped(name)[:_SHOWN]} is {here} here, but {where}"


def shown(value: object) -> str:
    """Return a value on one line, without what looks like a secret; text in quotes."""
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, default=repr)
    return f'"{escaped(mask(text))}"' if isinstance(value, str) else escaped(mask(text))


def _cut(text: str, place: int) -> str:
    first = max(0, place - _BEFORE) if len(text) > _SHOWN else 0
    return f"{'…' * bool(first)}{text[first : first + _SHOWN]}{'…' * (len(text) > first + _SHOWN)}"


def _later(at: Any, seconds: Any) -> str | None:
    """Return a moment some seconds later, as it is stored."""
    try:
        return rfc3339(datetime.fromisoformat(at) + timedelta(seconds=seconds))
    except (TypeError, ValueError, OverflowError):
        return None
