"""Law 4: who started and decided what, against the grants in the trail and the commands that gave and took them."""

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase

from tests.torture.facts import Facts, Row
from tests.torture.laws.violation import Violation

_DECISIONS = ("rotation.started", "rotation.cancelled")


def granted_at_the_claim(facts: Facts) -> Iterator[Violation]:
    """Find starts whose grant was not given before, to that person, for that group, or was revoked before."""
    for row in facts.rows:
        if row.action != "rotation.started":
            continue
        grant = json.loads(row.detail).get("grant")
        given = [each for each in facts.rows if each.seq < row.seq and _is_about(each, grant)]
        if not given or given[-1].action != "allowlist.granted" or not _covers(given[-1], row):
            yield Violation(4, f"it started without a grant in force ({grant})", row.rotation_id, row.time, row.user_id)
        elif _was_taken(facts, row):
            what = "it started after the command that took the grants had ended"
            yield Violation(4, what, row.rotation_id, row.time, row.user_id)


def decided_by_the_requester(facts: Facts) -> Iterator[Violation]:
    """Find decisions about somebody else's request, and requests of people who never had a grant."""
    allowed = {(grant.team_id, grant.user_id) for grant in facts.grants}
    owners = {rotation.id: (rotation.team_id, rotation.user_id) for rotation in facts.rotations}
    for row in facts.rows:
        actor = (row.team_id, row.user_id)
        if row.action in _DECISIONS and owners.get(str(row.rotation_id)) != actor:
            yield Violation(4, f"{row.user_id} decided somebody else's request", row.rotation_id, row.time, row.user_id)
        if row.action == "rotation.requested" and actor not in allowed:
            yield Violation(4, f"{row.user_id}, who never had a grant, opened it", row.rotation_id, row.time)


def _is_about(row: Row, grant: object) -> bool:
    return row.action.startswith("allowlist.") and json.loads(row.detail).get("grant") == grant


def _covers(grant: Row, started: Row) -> bool:
    detail = json.loads(grant.detail)
    same = (detail["team"], detail["user"], detail["role"]) == (started.team_id, started.user_id, "rotate")
    return same and fnmatchcase(str(started.group), detail["pattern"])


def _was_taken(facts: Facts, started: Row) -> bool:
    """Return whether the last thing done to the person's grants, and over before the start, was to take them."""
    mine = [each for each in facts.grant_changes if each.person == started.user_id and each.at <= started.time]
    return bool(mine) and mine[-1].done and not mine[-1].given and mine[-1].ended < started.time
