"""History in SQL: pages of requests, in constant time, and the story of one."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from bot.domain.errors import UnreadableRow
from bot.domain.history import (
    RECORDED_ALONE,
    AccessPath,
    EntryKey,
    HistoryEntry,
    HistorySearch,
    RequestStatus,
    SearchResult,
    Story,
)
from bot.domain.models import Actor, GroupName, Organization, Rotation, RotationId, TeamId, UserId
from bot.domain.policy import Visibility
from bot.domain.readable import Readable
from bot.domain.states import State
from bot.store import history_statements
from bot.store.database import Database
from bot.store.history_statements import Shape
from bot.store.rows import fault_of_text, read_values, readable, rotation_of
from bot.store.sqltypes import EARLIEST, LATEST, database_now
from bot.store.tables import audit_events, rotations
from bot.store.trail import ROTATION_EVENTS, recorded_of

MAX_GROUPS = 200
"""How many groups a page is collected from."""
MAX_NAMES = 1000
"""How many names are read to find them: so many of rotations, and so many of what has none."""
MAX_PENDING = 100

_STATUSES = {str(action): status for status, action in RECORDED_ALONE.items()} | {
    str(state): RequestStatus(state) for state in State
}
_COLUMNS = {rotations: {"at": "requested_at", "status": "state"}, audit_events: {"status": "action"}}
"""What the columns are called where the two tables differ."""
_GLOB = frozenset("*?[")

_SELECT = select(rotations).where(rotations.c.organization == bindparam("of_organization"))
_ONE = _SELECT.where(rotations.c.id == bindparam("of_rotation"))
_PENDING = (
    _SELECT.where(rotations.c.team_id == bindparam("of_team"), rotations.c.user_id == bindparam("of_user"))
    .where(rotations.c.state == str(State.REQUESTED), rotations.c.expires_at > database_now())
    .order_by(rotations.c.requested_at, rotations.c.id)
    .limit(MAX_PENDING)
)


class SqlHistory:
    """The requests of one organization in one database."""

    def __init__(self, database: Database, organization: Organization) -> None:
        self._database = database
        self._organization = organization

    async def find(self, search: HistorySearch) -> SearchResult:
        """Read it in one statement, or in two if the groups must be found first."""
        return await self._database.read(lambda connection: self._find(connection, search))

    async def story(self, rotation_id: RotationId) -> Story | None:
        """Read the rotation last, so that it is not older than its events."""
        chosen = {"of_organization": self._organization, "of_rotation": rotation_id}

        def transaction(connection: Connection) -> Story | None:
            events = readable(connection.execute(ROTATION_EVENTS, chosen), recorded_of)
            row = connection.execute(_ONE, chosen).first()
            return None if row is None else Story(rotation_of(row), events.values, events.unreadable)

        return await self._database.read(transaction)

    async def pending(self, actor: Actor) -> Readable[Rotation]:
        """Compare with the database's clock; a hundred at most."""
        chosen = {"of_organization": self._organization, "of_team": actor.team_id, "of_user": actor.user_id}
        return await self._database.read(lambda connection: readable(connection.execute(_PENDING, chosen), rotation_of))

    async def groups(self, visibility: Visibility, limit: int) -> Sequence[GroupName]:
        """List those that the reader may see, found by jumping along an index."""
        if not (visibility.everything or visibility.patterns):
            return []
        named, _ = await self._database.read(self._names)
        return sorted([name for name in named if visibility.covers(name)][:limit])

    def _find(self, connection: Connection, search: HistorySearch) -> SearchResult:
        groups, crowded = self._groups(connection, search)
        paths = tuple(path for path in search.paths if path is not AccessPath.COVERED or groups)
        if not paths:
            return SearchResult([], more=False, crowded=crowded)
        shape = _shape(connection.dialect.name, paths, search)
        chosen = {**_chosen(search), "organization": self._organization}
        chosen["names"] = json.dumps(groups) if shape.dialect == "sqlite" else groups
        rows = connection.execute(history_statements.page_statement(shape), chosen).all()
        # The reader's own requests may be about a group that they may see anyway.
        found, lost = _requests(rows)
        keys = sorted(found, key=_rank, reverse=not shape.oldest_first)[: search.limit]
        shown = [found[key] for key in (reversed(keys) if shape.oldest_first else keys)]
        return SearchResult(
            [each for each in shown if isinstance(each, HistoryEntry)],
            len(found) + len(lost) > search.limit,
            crowded,
            [*(each for each in shown if isinstance(each, UnreadableRow)), *lost],
            (max(keys, key=_rank), min(keys, key=_rank)) if keys else None,
        )

    def _groups(self, connection: Connection, search: HistorySearch) -> tuple[list[str], bool]:
        """Return the groups to search, exact names first, and whether there are more."""
        if AccessPath.COVERED not in search.paths:
            return [], False
        patterns = search.visibility.patterns
        names = dict.fromkeys(pattern for pattern in patterns if not _GLOB.intersection(pattern))
        crowded = False
        if len(names) < len(patterns):
            named, crowded = self._names(connection)
            names |= dict.fromkeys(name for name in named if search.visibility.covers(name))
        return list(names)[:MAX_GROUPS], crowded or len(names) > MAX_GROUPS

    def _names(self, connection: Connection) -> tuple[list[GroupName], bool]:
        """Return the groups that have a history, those with rotations first, and whether there are more."""
        query = history_statements.names_statement(MAX_NAMES + 1)
        rows = connection.execute(query, {"organization": self._organization}).all()
        by_rotation = [row.name for row in rows if row.by == "id" and not fault_of_text(row.name)]
        by_refusal = [row.name for row in rows if row.by == "seq" and not fault_of_text(row.name)]
        names = dict.fromkeys(by_rotation[:MAX_NAMES] + by_refusal[:MAX_NAMES])
        return list(names), max(len(by_rotation), len(by_refusal)) > MAX_NAMES


def _shape(dialect: str, paths: tuple[AccessPath, ...], search: HistorySearch) -> Shape:
    query = search.query
    return Shape(
        dialect,
        paths,
        limit=search.limit + 1,
        rotations=query.outcome not in RECORDED_ALONE,
        alone=query.outcome is None or query.outcome in RECORDED_ALONE,
        group=query.group is not None,
        person=query.person is not None,
        outcome=query.outcome is not None,
        oldest_first=search.after is not None and search.before is None,
    )


def _chosen(search: HistorySearch) -> dict[str, Any]:
    query, reader = search.query, search.visibility.actor
    below = [(search.until or LATEST, "", 0), *([search.before.rank] if search.before else [])]
    above = [(search.since or EARLIEST, "", 0), *([search.after.rank] if search.after else [])]
    return {
        **dict(zip(("below_at", "below_id", "below_seq"), min(below), strict=True)),
        **dict(zip(("above_at", "above_id", "above_seq"), max(above), strict=True)),
        "group": query.group,
        "person": query.person,
        "status": None if query.outcome is None else str(RECORDED_ALONE.get(query.outcome, query.outcome)),
        "own_team": reader.team_id,
        "own_user": reader.user_id,
    }


def _requests(rows: Iterable[Row[Any]]) -> tuple[dict[EntryKey, HistoryEntry | UnreadableRow], list[UnreadableRow]]:
    """Return what was found by its key, and what cannot be read to the point of having none."""
    found: dict[EntryKey, HistoryEntry | UnreadableRow] = {}
    lost: dict[str, UnreadableRow] = {}
    for row in rows:
        key = EntryKey(row.at, str(row.id) if row.seq is None else f"#{row.seq}")
        try:
            found[key] = _entry(key, row)
        except UnreadableRow as error:
            if isinstance(row.at, datetime):
                found[key] = error
            else:
                lost[error.key] = error
    return found, list(lost.values())


def _entry(key: EntryKey, row: Row[Any]) -> HistoryEntry:
    """Read a request. Raises `UnreadableRow`."""
    alone = row.seq is not None
    table, number = (audit_events, row.seq) if alone else (rotations, row.id)
    named = {_COLUMNS[table].get(name, name): value for name, value in row._mapping.items()}  # noqa: SLF001 - public
    values = ((column, named[column.name]) for column in table.columns if column.name in named)
    return read_values(table, number, values, lambda: _readable_entry(key, row, alone=alone))


def _readable_entry(key: EntryKey, row: Row[Any], *, alone: bool) -> HistoryEntry:
    detail: Mapping[str, object] = row.detail
    return HistoryEntry(
        key=key,
        actor=Actor(TeamId(row.team_id), UserId(row.user_id)),
        group=None if row.group is None else GroupName(row.group),
        status=_STATUSES[row.status],
        reason=_text(detail, "reason", "typed", "note") if alone else row.reason,
        explanation=_text(detail, "explanation", "why"),
        seconds=None if row.ended_at is None else max(0.0, (row.ended_at - row.at).total_seconds()),
        rotation_id=None if alone else RotationId(row.id),
        resolved_as=None if row.resolved_as is None else State(row.resolved_as),
    )


def _rank(key: EntryKey) -> tuple[datetime, str, int]:
    return key.rank


def _text(detail: Mapping[str, object], *names: str) -> str:
    """Return the first of these facts that is present."""
    return next((value for name in names if isinstance(value := detail.get(name), str)), "")
