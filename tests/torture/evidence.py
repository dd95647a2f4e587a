"""What is known about a violation: rows, Turso's log, what people did and saw, and the troubles at that time."""

from collections.abc import Iterator

from tests.torture.facts import Call, Facts
from tests.torture.laws.violation import Violation

_AROUND_SECONDS = 3.0
_Line = tuple[float, str]


def evidence(facts: Facts, violation: Violation) -> list[str]:
    """Return lines in the order of time, in seconds since the quiet began."""
    rows = facts.stories.get(violation.rotation_id or "", ())
    times = [row.time for row in rows] + ([] if violation.at is None else [violation.at])
    if not times:
        return []
    since, until = min(times) - _AROUND_SECONDS, max(times) + _AROUND_SECONDS
    lines: list[_Line] = [(row.time, f"row {row.seq}: {row.action} by {row.user_id} {row.detail}") for row in rows]
    group = next((row.group for row in rows), None)
    lines += [(call.at, _told(call)) for call in facts.calls if since <= call.at <= until and call.group == group]
    lines += [*_read(facts, violation), *_done(facts, violation), *_troubles(facts, since, until)]
    return [f"{at - facts.quiet_since:+9.3f} s  {line}" for at, line in sorted(lines)]


def _told(call: Call) -> str:
    running = "unreadable" if not call.readable else call.seen.rotation_id if call.seen else "nothing"
    return f"Turso: {call.group} → {call.status}, rotated: {call.performed}, running by the database: {running}"


def _read(facts: Facts, violation: Violation) -> Iterator[_Line]:
    for said in facts.said:
        if violation.rotation_id in (*said.rotations, *said.buttons):
            text = " ".join(said.text.split())[:160]
            yield said.at, f"{said.to or said.channel} sees message {said.message}: {text}"


def _done(facts: Facts, violation: Violation) -> Iterator[_Line]:
    for act in facts.acts:
        is_about = violation.rotation_id is not None and violation.rotation_id in act.what
        if is_about or (act.person, act.at) == (violation.person, violation.at):
            how = f"acknowledged in {act.seconds:.2f} s" if act.acknowledged else "not acknowledged"
            yield act.at, f"{act.person}: {act.what} → {how} {act.answer[:80]} {act.delivery[:12]}"


def _troubles(facts: Facts, since: float, until: float) -> Iterator[_Line]:
    for trouble in facts.troubles:
        if trouble.at <= until and trouble.ended >= since:
            where = "" if trouble.replica is None else f" of replica {trouble.replica}"
            yield trouble.at, f"trouble: {trouble.kind}{where} {trouble.what}, for {trouble.ended - trouble.at:.1f} s"
