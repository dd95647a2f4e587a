"""Read what a card says of its group's past, and whether that still holds."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, func, not_, select, text

from bot.domain.events import Action
from bot.domain.models import Actor, GroupName, GroupWorld, HandRotation, Organization, TeamId, UserId
from bot.domain.states import State
from bot.store.rows import attempt, readable, rotation_of
from bot.store.sqltypes import database_now
from bot.store.tables import CHANGES_WORLD, audit_events, rotations

MAX_WAITING = 20
"""How many requests that wait for confirmation are read of one group."""
_MAX_NOTES = 100
_REACHED_TURSO = (State.ROTATING, State.SUCCEEDED, State.UNKNOWN)

# Statements are built once: SQLAlchemy recognises them by identity, which takes a fifth of the time.
_columns, _events = rotations.c, audit_events.c
_IN_GROUP = (_columns.organization == bindparam("of_organization"), _columns.group == bindparam("of_group"))
OPEN_IN_GROUP = (
    text("state IN ('requested', 'rotating')"),  # exactly the condition of the partial index
    *_IN_GROUP,
    _columns.state == str(State.REQUESTED),
    _columns.expires_at > database_now(),
)
"""The conditions for the group's requests that wait for confirmation."""
OF_PERSON = (_columns.team_id == bindparam("of_team"), _columns.user_id == bindparam("of_user"))
"""The conditions for one person's requests."""
_WAITING = (
    select(rotations).where(*OPEN_IN_GROUP, not_(and_(*OF_PERSON))).order_by(_columns.requested_at).limit(MAX_WAITING)
)
_LAST = (
    select(rotations)
    .where(*_IN_GROUP, _columns.state.in_(_REACHED_TURSO), _columns.started_at.is_not(None))
    .order_by(_columns.started_at.desc())
    .limit(1)
)
_RUNNING = select(_columns.id).where(*_IN_GROUP, _columns.state == State.ROTATING)
_CHANGES_WORLD = (
    _events.organization == bindparam("of_organization"),
    _events.group == bindparam("of_group"),
    text(CHANGES_WORLD),
)
_NUMBER = select(func.coalesce(func.max(_events.seq), 0)).where(*_CHANGES_WORLD)
_NOTED = (
    select(_events.seq, _events.at, _events.team_id, _events.user_id, _events.detail)
    .where(*_CHANGES_WORLD, _events.action == str(Action.NOTED))
    .order_by(_events.seq.desc())
    .limit(_MAX_NOTES)
)
_starting = rotations.alias("starting")
_GONE = (
    select(_events.seq)
    .outerjoin(_starting, _starting.c.id == _events.rotation_id)
    .where(*_CHANGES_WORLD, _events.seq > bindparam("of_world"), _starting.c.state.is_distinct_from(str(State.FAILED)))
    .limit(1)
)


def world_number(connection: Connection, organization: Organization, group: GroupName) -> int:
    """Return the number of the newest event that changed the group's world, or 0."""
    return int(connection.execute(_NUMBER, _group(organization, group)).scalar_one())


def world_is_gone(connection: Connection, organization: Organization, group: GroupName, number: int) -> bool:
    """Return whether the group is being rotated, or was since that event."""
    chosen = {**_group(organization, group), "of_world": number}
    return any(connection.execute(statement, chosen).first() is not None for statement in (_RUNNING, _GONE))


def world_for(connection: Connection, organization: Organization, group: GroupName, reader: Actor) -> GroupWorld:
    """Read what the reader's card says of the group's past.

    Raises `UnreadableRow` if that is about the rotation that is running, which nobody can go past.
    """
    chosen = {**_group(organization, group), "of_team": reader.team_id, "of_user": reader.user_id}
    last = connection.execute(_LAST, chosen).first()
    known = readable([] if last is None else [last], rotation_of)
    if last is not None and last.state == State.ROTATING and known.unreadable:
        raise known.unreadable[0]
    noted = readable(connection.execute(_NOTED, chosen), lambda row: attempt("Row", row.seq, lambda: _by_hand(row)))
    return GroupWorld(
        last=next(iter(known), None),
        by_hand=max(noted, key=lambda rotation: rotation.at, default=None),
        waiting=tuple(readable(connection.execute(_WAITING, chosen), rotation_of)),
    )


def _group(organization: Organization, group: GroupName) -> dict[str, Any]:
    return {"of_organization": organization, "of_group": group}


def _by_hand(row: Row[Any]) -> HandRotation:
    try:
        at = datetime.fromisoformat(str(row.detail.get("rotated_at"))).astimezone(UTC)
    except (ValueError, OverflowError):
        at = row.at.astimezone(UTC)  # what another version or the owner wrote must not fail a card
    return HandRotation(at, Actor(TeamId(row.team_id), UserId(row.user_id)), str(row.detail.get("note", "")))
