"""Laws 5 and 6: every attempt has its row, and rows are as they were written."""

import hashlib
import hmac
import json
from collections.abc import Iterator

from tests.torture.facts import Facts, Row, UserAction
from tests.torture.laws.violation import Violation
from tests.torture.laws.words import MOVES, STATE_AFTER

_GENESIS = "0" * 64
_WORK_SECONDS = 5.0
"""How long it may take until what was acknowledged is recorded and answered."""
_AFTERMATH_SECONDS = 3.0
"""How long after a fault the bot may still suffer from it."""


def every_user_action_left_one(facts: Facts) -> Iterator[Violation]:
    """Find what was acknowledged and left no row, nor an answer where that is enough, while the bot was well."""
    recorded = {row.delivery for row in facts.rows}
    for action in facts.user_actions:
        if not action.acknowledged or action.answer or action.delivery in recorded or _was_disturbed(facts, action):
            continue
        if action.leaves_row or not _was_answered(facts, action):
            what = f"{action.what!r} by {action.person} left no row" + ("" if action.leaves_row else " and no answer")
            yield Violation(5, what, None, action.at, action.person)


def numbered_and_chained(facts: Facts) -> Iterator[Violation]:
    """Find the first gap, and the first row without the hash that the documents define."""
    last = _GENESIS
    for number, row in enumerate(facts.rows, 1):
        if row.seq != number:
            yield Violation(5, f"row {number} is missing", None, row.time)
            return
        if row.prev_hash != last or row.hash != digest(row, facts.key):
            yield Violation(6, f"row {row.seq} does not follow from the row before it", row.rotation_id, row.time)
            return
        last = row.hash


def never_changed(facts: Facts) -> Iterator[Violation]:
    """Find what was seen once, and was different or gone later."""
    for change in facts.changes:
        yield Violation(6, f"{change.table} {change.key} was {change.was}, and then {change.now}")
    for each in facts.unexpected:
        if each.startswith("audit verify"):
            yield Violation(6, each)


def states_as_recorded(facts: Facts) -> Iterator[Violation]:
    """Find rotations in another state than their last row says, and moves that are not legal."""
    for rotation in facts.rotations:
        state = None
        for row in facts.stories.get(rotation.id, ()):
            if row.action not in STATE_AFTER:
                continue
            to = STATE_AFTER[row.action]
            if to not in MOVES.get(state, set()):
                yield Violation(6, f"row {row.seq} moves it from {state} to {to}", rotation.id, row.time)
            state = to
        if state != rotation.state:
            yield Violation(6, f"it is {rotation.state}, but its last row says {state}", rotation.id)
    for rotation_id in facts.stories.keys() - {rotation.id for rotation in facts.rotations}:
        if any(row.action in STATE_AFTER for row in facts.stories[rotation_id]):
            yield Violation(6, "the trail tells of it, but it is gone", rotation_id)


def digest(row: Row, key: bytes | None) -> str:
    """Compute the hash of a row as docs/audit-trail.md describes it."""
    actor = {"team_id": row.team_id, "user_id": row.user_id}
    head = {"seq": row.seq, "at": row.at, "action": row.action, "actor": actor, "organization": row.organization}
    middle = {"group": row.group, "rotation_id": row.rotation_id}
    end = {"delivery": row.delivery, "prev_hash": row.prev_hash}
    form = f'{_json(head | middle)[:-1]},"detail":{row.detail},{_json(end)[1:]}'
    data = b"\x01" + form.encode()
    return hashlib.sha256(data).hexdigest() if key is None else hmac.new(key, data, "sha256").hexdigest()


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _was_disturbed(facts: Facts, action: UserAction) -> bool:
    since, until = action.at - _AFTERMATH_SECONDS, action.at + _WORK_SECONDS
    return (
        facts.fault_between(since, until, "replica", replica=action.replica)
        or facts.fault_between(since, until, "database")
        or (not action.leaves_row and facts.fault_between(since, until, "slack"))
        or any(each.at <= until and each.ended >= action.at and each.spoils(action.what) for each in facts.faults)
    )


def _was_answered(facts: Facts, action: UserAction) -> bool:
    return any(
        version.to == action.person and action.at <= version.at <= action.at + _WORK_SECONDS
        for version in facts.messages
    )
