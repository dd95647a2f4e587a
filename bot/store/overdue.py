"""Find the rotations that are overdue, also behind rows that cannot be read."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, and_, bindparam, literal, or_, select, text

from bot.domain.errors import UnreadableRow
from bot.domain.models import Organization, Rotation
from bot.domain.readable import Readable
from bot.domain.states import State
from bot.store.rows import readable, rotation_of
from bot.store.sqltypes import LATEST, UtcTime, database_now
from bot.store.tables import rotations

_MAX_PAGES = 10
"""How many pages of overdue rotations are read at a time: after so many that hold rows which cannot be read, wait."""


def _is_over(end: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return the condition for an end that is past, or that never comes, such as what is no time."""
    return or_(end <= database_now(), end > literal(LATEST, UtcTime()))


OVERDUE = (
    # Exactly the condition of the partial index, and no condition that fits an index over all rotations, which SQLite
    # would take without statistics.
    select(rotations)
    .where(text("state IN ('requested', 'rotating')"))
    .where(rotations.c.organization.concat("") == bindparam("of_organization"))
    .where(
        or_(
            and_(rotations.c.state == State.REQUESTED, _is_over(rotations.c.expires_at)),
            and_(rotations.c.state == State.ROTATING, _is_over(rotations.c.lease_until)),
        )
    )
    .order_by(rotations.c.requested_at)
    .limit(bindparam("at_once", type_=Integer()))
    .offset(bindparam("skipped", type_=Integer()))
)


def read_overdue(connection: Connection, organization: Organization, at_once: int) -> Readable[Rotation]:
    """Read the oldest `at_once`, and read on past rows that cannot be read, which would starve the others."""
    values: list[Rotation] = []
    unreadable: list[UnreadableRow] = []
    chosen = {"of_organization": organization, "at_once": at_once}
    for page in range(_MAX_PAGES):
        rows = readable(connection.execute(OVERDUE, {**chosen, "skipped": page * at_once}), rotation_of)
        values += rows.values
        unreadable += rows.unreadable
        if not rows.unreadable or rows.found < at_once:
            break
    return Readable(values, unreadable)
