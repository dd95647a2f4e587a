"""The statements that read pages of history, built once for each shape; each reads along indexes."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    CompoundSelect,
    FromClause,
    Label,
    Select,
    Subquery,
    Text,
    bindparam,
    func,
    literal_column,
    null,
    select,
    text,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.types import TypeEngine

from bot.domain.history import AccessPath
from bot.store.sqltypes import UtcTime, hidden
from bot.store.tables import NO_ROTATION, audit_events, rotations


@dataclass(frozen=True, slots=True)
class Shape:
    """What the text of a statement depends on; the values are parameters."""

    dialect: str
    paths: tuple[AccessPath, ...]
    limit: int
    """How many rows to read for each path from each table; in the text, or PostgreSQL plans for a tenth of all."""
    rotations: bool = True
    alone: bool = True
    group: bool = False
    person: bool = False
    outcome: bool = False
    oldest_first: bool = False


@cache
def page_statement(shape: Shape) -> CompoundSelect[Any]:
    """Return a statement that reads the first rows for each path from each table, in no order."""
    return union_all(*(select(part.subquery()) for part in _parts(shape)))


@cache
def names_statement(limit: int) -> CompoundSelect[Any]:
    """Return a statement that lists up to `limit` groups of each table, by jumping along an index from name to name."""
    return union_all(*(_names(source, limit) for source in (_ROTATIONS, _ALONE)))


def _null(name: str, kind: TypeEngine[Any]) -> Label[Any]:
    return null().cast(kind).label(name)


_r, _e = rotations.c, audit_events.c
_COMMON = ("organization", "team_id", "user_id", "group", "detail")
# The two tables that hold requests, with the same column names. Both databases optimise these subqueries away.
_ROTATION = select(
    *(_r[name] for name in _COMMON),
    _r.requested_at.label("at"),
    _r.state.label("status"),
    _r.id,
    _null("seq", BigInteger()),
    _r.reason,
    _r.ended_at,
    _r.resolved_as,
)
_EVENT = select(
    *(_e[name] for name in _COMMON),
    _e.at,
    _e.action.label("status"),
    _null("id", Text()),
    _e.seq,
    _null("reason", Text()),
    _null("ended_at", UtcTime()),
    _null("resolved_as", Text()),
).where(text(NO_ROTATION))


@dataclass(frozen=True, slots=True)
class _Source:
    """One of the two tables, and the column that orders rows of the same time."""

    rows: Select[Any]
    key: str


_ROTATIONS = _Source(_ROTATION, "id")
_ALONE = _Source(_EVENT, "seq")


def _parts(shape: Shape) -> Iterator[Select[Any]]:
    for source in (_ROTATIONS,) * shape.rotations + (_ALONE,) * shape.alone:
        for path in shape.paths:
            if path is not AccessPath.COVERED:
                yield _first(source, shape, path)
            elif shape.dialect == "sqlite":
                yield _first_of_each_by_key(source, shape)
            else:
                yield _first_of_each(source, shape)


def _first(source: _Source, shape: Shape, path: AccessPath) -> Select[Any]:
    rows = source.rows.subquery("requests")
    return _ordered(select(rows).where(*_conditions(rows, source, shape, path)), rows, source, shape)


def _first_of_each(source: _Source, shape: Shape) -> Select[Any]:
    """Select the first rows of each group, and of these the first."""
    groups = func.unnest(bindparam("names", type_=ARRAY(Text()))).table_valued("name", name="groups").render_derived()
    rows = source.rows.subquery("requests")
    query = select(rows).where(rows.c.group == groups.c.name, *_conditions(rows, source, shape, AccessPath.COVERED))
    each = _ordered(query, rows, source, shape).lateral("each")
    return _ordered(select(each).select_from(groups.join(each, true())), each, source, shape)


def _first_of_each_by_key(source: _Source, shape: Shape) -> Select[Any]:
    """Do the same in SQLite, which has no LATERAL: select the keys for each group, and then their rows."""
    groups = func.json_each(bindparam("names", type_=Text())).table_valued("value", name="groups")
    others, rows = source.rows.subquery("others"), source.rows.subquery("requests")
    query = select(others.c[source.key]).where(
        others.c.group == groups.c.value, *_conditions(others, source, shape, AccessPath.COVERED)
    )
    keys = _ordered(query, others, source, shape).correlate(groups)
    return _ordered(select(rows).select_from(groups.join(rows, rows.c[source.key].in_(keys))), rows, source, shape)


def _ordered(query: Select[Any], rows: FromClause, source: _Source, shape: Shape) -> Select[Any]:
    key = rows.c.at, rows.c[source.key]
    return query.order_by(*(part.asc() if shape.oldest_first else part.desc() for part in key)).limit(
        literal_column(str(shape.limit))
    )


def _conditions(rows: Subquery, source: _Source, shape: Shape, path: AccessPath) -> Iterator[ColumnElement[bool]]:
    yield rows.c.organization == hidden("organization")
    if path is AccessPath.OWN:
        yield rows.c.team_id == hidden("own_team")
        yield rows.c.user_id == hidden("own_user")
    elif shape.person:
        yield rows.c.user_id == hidden("person")
    if shape.group:
        yield rows.c.group == hidden("group")
    if shape.outcome:
        yield rows.c.status == hidden("status")
    key = rows.c.at, rows.c[source.key]
    yield tuple_(*key) < tuple_(*(hidden(f"below_{part.name}", part.type) for part in key))
    yield tuple_(*key) > tuple_(*(hidden(f"above_{part.name}", part.type) for part in key))


def _names(source: _Source, limit: int) -> Select[Any]:
    rows = source.rows.subquery("requests")
    named = select(rows.c.group).where(rows.c.organization == hidden("organization"), rows.c.group.is_not(None))
    named = named.order_by(rows.c.group).limit(literal_column("1"))
    first = select(named.scalar_subquery().label("name"), literal_column("1").label("number"))
    seen = first.cte(f"names_by_{source.key}", recursive=True)
    following = named.where(rows.c.group > seen.c.name).scalar_subquery()
    step = select(following, seen.c.number + 1).where(seen.c.name.is_not(None), seen.c.number < limit)
    found = seen.union_all(step)
    return select(found.c.name, literal_column(f"'{source.key}'").label("by")).where(found.c.name.is_not(None))
