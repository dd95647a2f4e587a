"""A violation of a law, with its evidence."""

from dataclasses import dataclass

from tests.torture.facts import Facts

LAWS = {
    0: "No bug shows in the log",
    1: "Record first",
    2: "One confirmation, at most one call",
    3: "Only the truth",
    4: "Deny by default",
    5: "Every attempt leaves a row",
    6: "Rows never change",
    7: "No secret leaves",
    8: "Slack gets its answer within 3 seconds",
    9: "Every card is settled",
    10: "A restart loses nothing",
}
_AROUND_SECONDS = 3.0


@dataclass(frozen=True)
class Violation:
    """What was broken, and of which rotation if it is of one."""

    law: int
    what: str
    rotation_id: str | None = None
    at: float | None = None
    """Where to look, in unix seconds."""
    person: str | None = None

    def __str__(self) -> str:
        of = "" if self.rotation_id is None else f" [rotation {self.rotation_id}]"
        return f"Law {self.law}, {LAWS[self.law].lower()}: {self.what}{of}"


def evidence(facts: Facts, violation: Violation) -> list[str]:
    """Return what is known about it: rows, Turso's log, what people did and saw, and the troubles at that time."""
    rows = facts.stories.get(violation.rotation_id or "", ())
    group = next((row.group for row in rows), None)
    times = [row.time for row in rows] + ([violation.at] if violation.at is not None else [])
    if not times:
        return []
    since, until = min(times) - _AROUND_SECONDS, max(times) + _AROUND_SECONDS
    lines = [(row.time, f"row {row.seq}: {row.action} by {row.user_id} {row.detail}") for row in rows]
    for call in facts.calls:
        if since <= call.at <= until and group == call.group:
            seen = (
                "unreadable" if not call.readable else "nothing running" if call.seen is None else call.seen.rotation_id
            )
            lines.append((call.at, f"Turso: {call.group} → {call.status}, rotated: {call.performed}, running: {seen}"))
    for said in facts.said:
        if violation.rotation_id is not None and violation.rotation_id in (*said.rotations, *said.buttons):
            to = said.to or said.channel
            lines.append((said.at, f"{to} sees message {said.message}: {' '.join(said.text.split())[:160]}"))
    for act in facts.acts:
        if since <= act.at <= until and (
            (violation.rotation_id or "-") in act.what or (violation.person == act.person and violation.at == act.at)
        ):
            how = f"acknowledged in {act.seconds:.2f} s" if act.acknowledged else "not acknowledged"
            lines.append((act.at, f"{act.person}: {act.what} → {how} {act.answer[:80]} {act.delivery[:12]}"))
    for trouble in facts.troubles:
        if trouble.at <= until and trouble.ended >= since:
            where = "" if trouble.replica is None else f" of replica {trouble.replica}"
            lines.append((trouble.at, f"trouble: {trouble.what}{where}, for {trouble.ended - trouble.at:.1f} s"))
    return [f"{at - facts.quiet_since:+9.3f} s  {line}" for at, line in sorted(lines)]
