"""Compare rotations and grants, which the bot acts on and people read, with the trail that can be verified."""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import JSON, ColumnElement, Connection, Row, Text, and_, case, cast, func, or_, select, type_coerce

from bot.domain.events import STATE_AFTER, Action
from bot.domain.states import State
from bot.store.tables import allowlist, audit_events, rotations

MAX_REPORTED = 100
"""How many mismatches are reported; with more it is no longer about single rotations."""

_event, _request = audit_events.alias("event"), audit_events.alias("request")
_STATES = {str(action): str(state) for action, state in STATE_AFTER.items()}
_SAME = ("organization", "group", "team_id", "user_id")


def mismatches(connection: Connection) -> Iterator[str]:
    """Describe what differs from the trail or is missing on either side: the first rotations, and every grant."""
    yield from _changed_rotations(connection)
    yield from _missing_rotations(connection)
    yield from _grants(connection)


def _changed_rotations(connection: Connection) -> Iterator[str]:
    here = rotations.c
    belongs = _event.c.rotation_id == here.id
    newest_first = _event.c.seq.desc()
    state = case(_STATES, value=_event.c.action)
    moved = select(state).where(belongs, _event.c.action.in_(_STATES)).order_by(newest_first).limit(1).scalar_subquery()
    resolved = (
        select(_detail_text(connection, "as"))
        .where(belongs, _event.c.action == str(Action.RESOLVED), here.state == str(State.UNKNOWN))
        .order_by(newest_first)
        .limit(1)
        .scalar_subquery()
    )
    differs = or_(*(here[name].is_distinct_from(_request.c[name]) for name in _SAME))
    requested = and_(_request.c.rotation_id == here.id, _request.c.action == str(Action.REQUESTED))
    query = (
        select(here.id, here.state, here.resolved_as)
        .add_columns(differs.label("differs"), moved.label("moved"), resolved.label("resolved"))
        .select_from(rotations.outerjoin(_request, requested))
        .where(or_(differs, here.state.is_distinct_from(moved), here.resolved_as.is_distinct_from(resolved)))
        .limit(MAX_REPORTED)
    )
    return map(_rotation_mismatch, connection.execute(query))


def _rotation_mismatch(row: Row[Any]) -> str:
    if row.differs:
        return f"Rotation {row.id} differs from its request in the trail."
    if row.state != row.moved:
        return f"Rotation {row.id} is {row.state} here, but {row.moved} in the trail."
    here, there = (f"judged {state}" if state else "not judged" for state in (row.resolved_as, row.resolved))
    return f"Rotation {row.id} is {here} here, but {there} in the trail."


def _missing_rotations(connection: Connection) -> Iterator[str]:
    request = _request.c
    here = select(rotations.c.id).where(rotations.c.id == request.rotation_id).exists()
    query = select(request.seq, request.rotation_id).where(request.action == str(Action.REQUESTED), ~here)
    for row in connection.execute(query.limit(MAX_REPORTED)):
        yield f"Rotation {row.rotation_id}, requested in row {row.seq} of the trail, is missing."


def _detail_text(connection: Connection, name: str) -> ColumnElement[str]:
    detail = type_coerce(_event.c.detail, Text)
    if connection.dialect.name == "sqlite":
        return func.json_extract(detail, f"$.{name}", type_=Text)
    return func.json_extract_path_text(cast(detail, JSON), name, type_=Text)


def _grants(connection: Connection) -> Iterator[str]:
    granted, revoked = (_by_grant(connection, action) for action in (Action.GRANTED, Action.REVOKED))
    for grant in connection.execute(select(allowlist).order_by(allowlist.c.id)):
        problem = _grant_mismatch(grant, granted.pop(grant.id, None), revoked.get(grant.id))
        if problem is not None:
            yield f"Grant {grant.id} of {grant.user_id} {problem}."
    for number, row in granted.items():
        yield f"Grant {number} of {row.detail.get('user')}, recorded in row {row.seq} of the trail, is missing."


def _by_grant(connection: Connection, action: Action) -> dict[object, Any]:
    events = audit_events.c
    query = select(events.seq, events.detail).where(events.action == str(action)).order_by(events.seq)
    return {row.detail.get("grant"): row for row in connection.execute(query)}


def _grant_mismatch(grant: Row[Any], granted: Any, revoked: Any) -> str | None:
    if granted is None:
        return "is recorded in no row of the trail"
    if _differs(grant, granted.detail):
        return f"differs from row {granted.seq} of the trail"
    if grant.revoked_at is None and revoked is not None:
        return f"is not revoked here, but in row {revoked.seq} of the trail"
    if grant.revoked_at is not None and revoked is None:
        return "is revoked here, but in no row of the trail"
    return None


def _differs(grant: Row[Any], detail: Mapping[str, object]) -> bool:
    facts = {"user": grant.user_id, "team": grant.team_id, "pattern": grant.pattern, "note": grant.note}
    until = None if grant.until is None else grant.until.isoformat()
    facts |= {"role": grant.role, "until": until}
    return any(value != {"role": "rotate", "until": None, **detail}.get(name, value) for name, value in facts.items())
