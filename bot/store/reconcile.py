"""Compare what the bot acts on and people read, rotations and grants, with the trail that can be verified."""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import JSON, ColumnElement, Connection, Row, Text, and_, case, cast, func, or_, select, type_coerce

from bot.domain.events import STATE_AFTER, Action
from bot.domain.states import State
from bot.store.tables import allowlist, audit_events, rotations

MOST = 100
"""So many rotations are named; with more it is no longer about one."""

_event, _asked = audit_events.alias("event"), audit_events.alias("asked")
_STATES = {str(action): str(state) for action, state in STATE_AFTER.items()}
_SAME = ("organization", "group", "team_id", "user_id")


def mismatches(connection: Connection) -> Iterator[str]:
    """Say what stands otherwise than the trail has it, or not at all: the first rotations, and every grant."""
    yield from _rotations(connection)
    yield from _lost(connection)
    yield from _grants(connection)


def _rotations(connection: Connection) -> Iterator[str]:
    here = rotations.c
    of_it = _event.c.rotation_id == here.id
    newest = _event.c.seq.desc()
    state = case(_STATES, value=_event.c.action)
    moved = select(state).where(of_it, _event.c.action.in_(_STATES)).order_by(newest).limit(1).scalar_subquery()
    judged = (
        select(_word(connection, "as"))
        .where(of_it, _event.c.action == str(Action.RESOLVED), here.state == str(State.UNKNOWN))
        .order_by(newest)
        .limit(1)
        .scalar_subquery()
    )
    otherwise = or_(*(here[name].is_distinct_from(_asked.c[name]) for name in _SAME))
    requests = and_(_asked.c.rotation_id == here.id, _asked.c.action == str(Action.REQUESTED))
    query = (
        select(here.id, here.state, here.resolved_as)
        .add_columns(otherwise.label("otherwise"), moved.label("moved"), judged.label("judged"))
        .select_from(rotations.outerjoin(_asked, requests))
        .where(or_(otherwise, here.state.is_distinct_from(moved), here.resolved_as.is_distinct_from(judged)))
        .limit(MOST)
    )
    for row in connection.execute(query):
        if row.otherwise:
            yield f"Rotation {row.id} is not what the trail says was asked for."
        elif row.state != row.moved:
            yield f"Rotation {row.id} is {row.state} here, but {row.moved} in the trail."
        else:
            ours, theirs = (judged or "by nobody" for judged in (row.resolved_as, row.judged))
            yield f"Rotation {row.id} is judged {ours} here, but {theirs} in the trail."


def _lost(connection: Connection) -> Iterator[str]:
    asked = _asked.c
    here = select(rotations.c.id).where(rotations.c.id == asked.rotation_id).exists()
    requests = asked.action == str(Action.REQUESTED)
    for row in connection.execute(select(asked.seq, asked.rotation_id).where(requests, ~here).limit(MOST)):
        yield f"Rotation {row.rotation_id}, which row {row.seq} of the trail asked for, is gone."


def _word(connection: Connection, name: str) -> ColumnElement[str]:
    detail = type_coerce(_event.c.detail, Text)
    if connection.dialect.name == "sqlite":
        return func.json_extract(detail, f"$.{name}", type_=Text)
    return func.json_extract_path_text(cast(detail, JSON), name, type_=Text)


def _grants(connection: Connection) -> Iterator[str]:
    given, ended = (_by_grant(connection, action) for action in (Action.GRANTED, Action.REVOKED))
    for grant in connection.execute(select(allowlist).order_by(allowlist.c.id)):
        words = _amiss(grant, given.pop(grant.id, None), ended.get(grant.id))
        if words is not None:
            yield f"Grant {grant.id} of {grant.user_id} {words}."
    for number, row in given.items():
        yield f"Grant {number} of {row.detail.get('user')}, which row {row.seq} of the trail gave, is gone."


def _by_grant(connection: Connection, action: Action) -> dict[object, Any]:
    events = audit_events.c
    query = select(events.seq, events.detail).where(events.action == str(action)).order_by(events.seq)
    return {row.detail.get("grant"): row for row in connection.execute(query)}


def _amiss(grant: Row[Any], given: Any, ended: Any) -> str | None:
    if given is None:
        return "was given by no row of the trail"
    if _differs(grant, given.detail):
        return f"is not what row {given.seq} of the trail gave"
    if grant.revoked_at is None and ended is not None:
        return f"is in force here, but row {ended.seq} of the trail revoked it"
    if grant.revoked_at is not None and ended is None:
        return "is revoked here, but by no row of the trail"
    return None


def _differs(grant: Row[Any], detail: Mapping[str, object]) -> bool:
    facts = {"user": grant.user_id, "team": grant.team_id, "pattern": grant.pattern, "note": grant.note}
    until = None if grant.until is None else grant.until.isoformat()
    facts |= {"role": grant.role, "until": until}
    return any(value != {"role": "rotate", "until": None, **detail}.get(name, value) for name, value in facts.items())
