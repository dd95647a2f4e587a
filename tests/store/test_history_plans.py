"""No choice that the interface offers makes a database scan or sort its history: the databases say so themselves."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import product
from typing import Any, TypeVar

import pytest
from sqlalchemy import URL, Connection, event

from bot.domain.events import Action
from bot.domain.history import RECORDED_ALONE, AccessPath, EntryKey, HistoryQuery, HistorySearch, RequestStatus
from bot.domain.models import Actor, GroupName, Organization, RotationId, TeamId, UserId
from bot.domain.policy import Visibility
from bot.store.database import Database, open_database
from bot.store.history import SqlHistory
from bot.store.migrations import exclusive_transaction
from bot.store.trail import SqlTrail
from bot.trail.chain import UNKEYED
from bot.trail.records import EventFilter
from tests.databases import load_url
from tests.synthetic.events import START
from tests.synthetic.rotations import Dataset, insert_requests

T = TypeVar("T")

MANY = 20_000
LIMIT = 5
MIXED, NOT_ANALYZED = Dataset(MANY, analyzed=True), Dataset(MANY)
UNIFORM = Dataset(MANY, uniform=True, analyzed=True)
FILLED = {
    "mixed-sqlite": ("sqlite", MIXED),
    "not analyzed-sqlite": ("sqlite", NOT_ANALYZED),  # which PostgreSQL does by itself
    "uniform-sqlite": ("sqlite", UNIFORM),
    "mixed-postgresql": ("postgresql", MIXED),
    "uniform-postgresql": ("postgresql", UNIFORM),
}
"""The databases and what is in them."""
READER = Actor(TeamId("T0"), UserId("U0"))
AUDITOR = Visibility(everything=True, patterns=(), actor=READER)
ROTATOR = Visibility(everything=False, patterns=("group*", "absent", "retired"), actor=READER)
NOBODY = Visibility(everything=False, patterns=(), actor=READER)
VISIBILITIES = AUDITOR, ROTATOR, NOBODY
GROUPS = [None, *map(GroupName, ("payments", "absent", "group7", "retired"))]
PEOPLE = [None, *map(UserId, ("U0", "UABSENT", "U7", "URETIRED"))]
STATUSES = [
    None,
    RequestStatus.SUCCEEDED,
    RequestStatus.FAILED,
    RequestStatus.DENIED,
    RequestStatus.REJECTED,
    RequestStatus.UNKNOWN,
    RequestStatus.EXPIRED,
]
ACTIONS = [None, Action.STARTED, Action.DENIED, Action.REJECTED, Action.GRANTED]
ALWAYS, HOUR, BEFORE = (None, None), (START, START + timedelta(hours=1)), (START - timedelta(days=9), START)
MIDDLE = START + timedelta(seconds=MANY / 2)
OLDER, NEWER = EntryKey(MIDDLE, "r00010000"), EntryKey(MIDDLE, "#10000")
PLACES = [(ALWAYS, None, None), (HOUR, None, None), (BEFORE, None, None), (ALWAYS, OLDER, None), (HOUR, None, NEWER)]
"""The periods and the neighbouring pages, paired so that both stand alone and together."""

FEW = {"sqlite": 20_000, "postgresql": 400}
"""Steps of SQLite's machine or rows that PostgreSQL reads; a page of one group takes a hundredth of it."""
BY_KEY = {"sqlite_autoindex_rotations_1", "INTEGER PRIMARY KEY", "pk_rotations"}
# A few groups' rows, a subquery's or the names found so far may be looked through, but no table.
NO_TABLE = re.compile(r"SCAN (groups VIRTUAL TABLE|CONSTANT ROW|names_by_|anon_)")


@dataclass(frozen=True)
class Went:
    """How a statement went."""

    named: bool
    """It named the groups along which another then read."""
    indexes: frozenset[str]
    faults: tuple[str, ...]
    """What else it read or sorted by, if not by an index."""
    read: int


class Explained:
    """A database that has each statement explained that is read through it."""

    def __init__(self, database: Database, kind: str, dataset: Dataset) -> None:
        self._database = database
        self._explain = _explain_sqlite if kind == "sqlite" else _explain_postgresql
        self._few = FEW[kind]
        # Where all is alike or nothing is counted, what is absent needs no second name.
        every = dataset == MIXED
        self.groups = GROUPS if every else GROUPS[:3]
        self.people = PEOPLE if every else PEOPLE[:3]
        self.statuses = STATUSES if every else STATUSES[:5]
        self.write, self.close, self.check_writable = database.write, database.close, database.check_writable
        self.went: list[Went] = []

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run the work, and then have its statements explained."""
        return await self._database.read(lambda connection: self._read(connection, work))

    def _read(self, connection: Connection, work: Callable[[Connection], T]) -> T:
        seen: list[tuple[str, Any]] = []

        def note(*said: Any) -> None:
            seen.append((said[2], said[3]))

        event.listen(connection, "before_cursor_execute", note)
        done = work(connection)
        event.remove(connection, "before_cursor_execute", note)
        self.went = [self._explain(connection, statement, values) for statement, values in seen]
        return done

    def problems(self, pages: frozenset[str] | None = None) -> Iterator[object]:
        """Name what the last work read otherwise than by an index, or by another one than a page's best."""
        for went in self.went:
            if went.faults or went.read > self._few or not went.indexes:
                yield went
            if went.named and not all(re.search(r"_group(_|$)", index) for index in went.indexes):
                yield went
            if pages is not None and not went.named and went.indexes - BY_KEY != pages:
                yield went, pages


def _explain_sqlite(connection: Connection, statement: str, values: Any) -> Went:
    plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
    found = [re.search(r"USING (?:COVERING )?(?:INDEX (\w+)|(INTEGER PRIMARY KEY))", line) for line in plan]
    faults = [line for line in plan if line.startswith("SCAN") and not NO_TABLE.match(line)]
    if "groups" not in statement:
        faults += [line for line in plan if "TEMP B-TREE" in line]
    steps = [0]
    driver: Any = connection.connection.driver_connection
    driver.set_progress_handler(lambda: steps.append(steps.pop() + 1), 100)
    connection.exec_driver_sql(statement, values).all()
    driver.set_progress_handler(None, 0)
    indexes = frozenset(each[1] or each[2] for each in found if each)
    return Went("RECURSIVE" in statement, indexes, tuple(faults), 100 * steps[0])


def _explain_postgresql(connection: Connection, statement: str, values: Any) -> Went:
    explain = f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}"
    nodes = list(_nodes(connection.exec_driver_sql(explain, values).scalar_one()[0]["Plan"]))
    tables = [node for node in nodes if "Relation Name" in node]
    each = (node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) for node in tables)
    faults = [node["Node Type"] for node in tables if not node["Node Type"].endswith(("Index Scan", "Index Only Scan"))]
    indexes = frozenset(node["Index Name"] for node in tables if "Index Name" in node)
    return Went("RECURSIVE" in statement, indexes, tuple(faults), round(sum(each)))


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from _nodes(part)


def _best(search: HistorySearch) -> frozenset[str]:
    """Name the indexes that are made for the search."""
    ending = search.query.outcome
    sources = [("ix_rotations", "state")] if ending not in RECORDED_ALONE else []
    sources += [("ix_audit_events_no_rotation", "action")] if ending is None or ending in RECORDED_ALONE else []
    return frozenset("_".join((name, *_choice(search, path, what))) for name, what in sources for path in search.paths)


def _choice(search: HistorySearch, path: AccessPath, what: str) -> list[str]:
    query = search.query
    chosen = {
        "group": query.group is not None or path is AccessPath.COVERED,
        "user_id": query.person is not None or path is AccessPath.OWN,
        what: query.outcome is not None,
    }
    return [name for name, here in chosen.items() if here] or ["all"]


@pytest.fixture(params=list(FILLED.values()), ids=list(FILLED))
async def explained(request: pytest.FixtureRequest) -> AsyncIterator[Explained]:
    kind, dataset = request.param
    url = load_url(request.getfixturevalue("sqlite_url" if kind == "sqlite" else "postgres_url"))
    await asyncio.to_thread(_fill, url, dataset)
    database = open_database(url)
    yield Explained(database, kind, dataset)
    await database.close()


def _fill(url: URL, dataset: Dataset) -> None:
    with exclusive_transaction(url) as connection:
        insert_requests(connection, dataset)


async def test_everything_is_read_along_the_indexes_made_for_it(explained: Explained) -> None:
    problems = [problem for part in (_pages, _home_tab, _audit_list) async for problem in part(explained)]

    assert problems == []


async def _pages(explained: Explained) -> AsyncIterator[object]:
    history = SqlHistory(explained, Organization("acme"))
    choices = product(VISIBILITIES, explained.groups, explained.people, explained.statuses, PLACES)
    for visibility, group, person, status, (period, before, after) in choices:
        search = HistorySearch(visibility, HistoryQuery(group, person, status), *period, before, after, LIMIT)
        if search.paths:
            await history.find(search)
            for problem in explained.problems(_best(search)):
                yield search, problem


async def _home_tab(explained: Explained) -> AsyncIterator[object]:
    """Read what the Home tab shows besides a page."""
    history = SqlHistory(explained, Organization("acme"))
    for rotation in ("r00000001", "absent"):
        await history.story(RotationId(rotation))
        for problem in explained.problems():
            yield "story", rotation, problem
    for user in filter(None, PEOPLE):
        await history.pending(Actor(TeamId("T0"), user))
        for problem in explained.problems():
            yield "pending", user, problem
    for visibility in (AUDITOR, ROTATOR):
        await history.groups(visibility, 100)
        for problem in explained.problems():
            yield "groups", visibility, problem


async def _audit_list(explained: Explained) -> AsyncIterator[object]:
    trail = SqlTrail(explained, UNKEYED)
    last = (await trail.page(EventFilter(until=MIDDLE), limit=1))[0]
    choices = product(explained.groups, explained.people, ACTIONS, (ALWAYS, HOUR, BEFORE), (None, last))
    for group, user, action, period, before in choices:
        wanted = EventFilter(group, user, action, *period)
        await trail.page(wanted, limit=LIMIT, before=before)
        chosen = [name for name, value in (("group", group), ("user_id", user), ("action", action)) if value]
        best = frozenset({"_".join(("ix_audit_events", *(chosen or ["all"])))})
        for problem in explained.problems(best):
            yield wanted, problem
