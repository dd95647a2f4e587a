"""Laws 1 and 2: what reached Turso, against what the trail had committed by then."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from tests.torture.facts import Call, Facts, Row
from tests.torture.laws.violation import Violation
from tests.torture.laws.words import STATE_AFTER

_CLOCK_SECONDS = 0.1
"""How far the database's clock and this process's may be apart: they are on one machine."""
_LIMITED = 429
_CHANGES_WORLD = ("rotation.started", "rotation.noted")


def calls_of(facts: Facts) -> dict[str | None, list[Call]]:
    """Return the calls for each rotation; those that belong to none are under `None`.

    What Turso itself read in the database as the call arrived decides. Where it could not read, the times of the rows
    do: at most one rotation of a group runs at a time.
    """
    found: dict[str | None, list[Call]] = defaultdict(list)
    for call in facts.calls:
        running = call.running.rotation_id if call.running else None if call.readable else _running_at(facts, call)
        found[running].append(call)
    return found


def recorded_first(facts: Facts) -> Iterator[Violation]:
    """Find calls without the committed row of a start, and starts that are no longer there in the end."""
    rows = {row.seq: row for row in facts.rows}
    for call in calls_of(facts).get(None, ()):
        yield Violation(1, f"Turso was called for {call.group} while no start was recorded", None, call.at)
    for call in facts.calls:
        if call.running and rows.get(call.running.started.seq) != call.running.started:
            what = f"the start that Turso saw as row {call.running.started.seq} is no longer in the trail"
            yield Violation(1, what, call.running.rotation_id, call.at)


def called_once(facts: Facts) -> Iterator[Violation]:
    """Find rotations that started or were called twice, not counting what Turso itself answered with 429."""
    for rotation_id, story in facts.stories.items():
        if sum(row.action == "rotation.started" for row in story) > 1:
            yield Violation(2, "it started more than once", rotation_id)
    for each, calls in calls_of(facts).items():
        answered = [call for call in calls if call.status != _LIMITED]
        if each is not None and len(answered) > 1:
            yield Violation(2, f"Turso was called {len(answered)} times", each)


def world_held(facts: Facts) -> Iterator[Violation]:
    """Find starts on a card whose group had been started or noted since, unless that start had failed by then."""
    for started in facts.rows:
        if started.action != "rotation.started":
            continue
        story = facts.stories[str(started.rotation_id)]
        asked = next((row.seq for row in story if row.action == "rotation.requested"), 0)
        for row in facts.rows[asked : started.seq - 1]:
            if row.group != started.group or row.action not in _CHANGES_WORLD or row.seq <= asked:
                continue
            if row.action == "rotation.noted" or _state_before(facts, row, started) != "failed":
                what = f"row {row.seq} had changed the world that its card described"
                yield Violation(2, what, started.rotation_id)


def _state_before(facts: Facts, start: Row, later: Row) -> str:
    """Return in which state the rotation of a start was when a later row was written."""
    states = [
        STATE_AFTER[row.action]
        for row in facts.stories[str(start.rotation_id)]
        if row.seq < later.seq and row.action in STATE_AFTER
    ]
    return states[-1]


def _running_at(facts: Facts, call: Call) -> str | None:
    """Return the rotation of the group that had started and not ended."""
    for rotation_id, story in facts.stories.items():
        if story[0].group == call.group and _runs(story, call.at):
            return rotation_id
    return None


def _runs(story: Sequence[Row], at: float) -> bool:
    began = next((row.time for row in story if row.action == "rotation.started"), None)
    ended = next((row.time for row in story if STATE_AFTER.get(row.action) in {"succeeded", "failed", "unknown"}), None)
    return began is not None and began - _CLOCK_SECONDS <= at and (ended is None or at <= ended + _CLOCK_SECONDS)
