"""What is known about a violation: rows, Turso's log, what people did and saw, and the faults at that time."""

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
    lines += [*_read(facts, violation), *_done(facts, violation), *_faults(facts, since, until)]
    return [f"{at - facts.quiet_since:+9.3f} s  {line}" for at, line in sorted(lines)]


def _told(call: Call) -> str:
    running = "unreadable" if not call.readable else call.running.rotation_id if call.running else "nothing"
    return f"Turso: {call.group} → {call.status}, rotated: {call.performed}, running by the database: {running}"


def _read(facts: Facts, violation: Violation) -> Iterator[_Line]:
    for version in facts.messages:
        if violation.rotation_id in (*version.rotations, *version.buttons):
            text = " ".join(version.text.split())[:160]
            yield version.at, f"{version.to or version.channel} sees message {version.message}: {text}"


def _done(facts: Facts, violation: Violation) -> Iterator[_Line]:
    for action in facts.user_actions:
        is_about = violation.rotation_id is not None and violation.rotation_id in action.what
        if is_about or (action.person, action.at) == (violation.person, violation.at):
            how = f"acknowledged in {action.seconds:.2f} s" if action.acknowledged else "not acknowledged"
            yield action.at, f"{action.person}: {action.what} → {how} {action.answer[:80]} {action.delivery[:12]}"


def _faults(facts: Facts, since: float, until: float) -> Iterator[_Line]:
    for fault in facts.faults:
        if fault.at <= until and fault.ended >= since:
            where = "" if fault.replica is None else f" of replica {fault.replica}"
            yield fault.at, f"fault: {fault.kind}{where} {fault.what}, for {fault.ended - fault.at:.1f} s"
