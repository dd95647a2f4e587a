"""History: what the first page costs at 10^4 and at many rows, for auditors, rotators, and on the terminal."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from statistics import median

from bot.domain.events import Action
from bot.domain.history import EntryKey, HistoryQuery, HistorySearch, RequestStatus
from bot.domain.models import Actor, GroupName, Organization, TeamId, UserId
from bot.domain.policy import Visibility
from bot.store.database import Database, open_database
from bot.store.history import SqlHistory
from bot.store.migrations import exclusive_transaction, migrate
from bot.store.trail import SqlTrail
from bot.trail.chain import UNKEYED
from bot.trail.records import EventFilter
from tests.bench.fill import START
from tests.bench.report import ratio, title
from tests.bench.requests import Past, requests
from tests.databases import load_url

READER = Actor(TeamId("T0"), UserId("U0"))
AUDITOR = Visibility(everything=True, patterns=(), actor=READER)
ROTATOR = Visibility(everything=False, patterns=("group*", "absent", "retired"), actor=READER)
NOBODY = Visibility(everything=False, patterns=(), actor=READER)
BUSY, RARE, OLD, NONE = map(GroupName, ("payments", "group7", "retired", "absent"))
BUSY_ONE, ONE, OLD_ONE, NO_ONE = map(UserId, ("U0", "U7", "URETIRED", "UABSENT"))
HOUR = (START + timedelta(minutes=10), START + timedelta(minutes=70))
MIDDLE = EntryKey(START + timedelta(seconds=5000), "r00005000")

SEARCHES = {
    "auditor": HistorySearch(AUDITOR, HistoryQuery()),
    "auditor, the page in the middle": HistorySearch(AUDITOR, HistoryQuery(), before=MIDDLE),
    "auditor, the newer page": HistorySearch(AUDITOR, HistoryQuery(), after=MIDDLE),
    "auditor, a busy group": HistorySearch(AUDITOR, HistoryQuery(BUSY)),
    "auditor, a retired group": HistorySearch(AUDITOR, HistoryQuery(OLD)),
    "auditor, an absent group": HistorySearch(AUDITOR, HistoryQuery(NONE)),
    "auditor, a busy person": HistorySearch(AUDITOR, HistoryQuery(person=BUSY_ONE)),
    "auditor, a person who left": HistorySearch(AUDITOR, HistoryQuery(person=OLD_ONE)),
    "auditor, nobody": HistorySearch(AUDITOR, HistoryQuery(person=NO_ONE)),
    "auditor, the usual outcome": HistorySearch(AUDITOR, HistoryQuery(outcome=RequestStatus.SUCCEEDED)),
    "auditor, a rare old outcome": HistorySearch(AUDITOR, HistoryQuery(outcome=RequestStatus.UNKNOWN)),
    "auditor, an absent outcome": HistorySearch(AUDITOR, HistoryQuery(outcome=RequestStatus.EXPIRED)),
    "auditor, denied": HistorySearch(AUDITOR, HistoryQuery(outcome=RequestStatus.DENIED)),
    "auditor, rejected, rare and old": HistorySearch(AUDITOR, HistoryQuery(outcome=RequestStatus.REJECTED)),
    "auditor, an hour": HistorySearch(AUDITOR, HistoryQuery(), *HOUR),
    "auditor, two that never met": HistorySearch(AUDITOR, HistoryQuery(RARE, ONE)),
    "auditor, all at once": HistorySearch(AUDITOR, HistoryQuery(BUSY, BUSY_ONE, RequestStatus.SUCCEEDED), *HOUR),
    "auditor, all at once, absent": HistorySearch(AUDITOR, HistoryQuery(BUSY, BUSY_ONE, RequestStatus.UNKNOWN)),
    "rotator": HistorySearch(ROTATOR, HistoryQuery()),
    "rotator, the page in the middle": HistorySearch(ROTATOR, HistoryQuery(), before=MIDDLE),
    "rotator, somebody else": HistorySearch(ROTATOR, HistoryQuery(person=ONE)),
    "rotator, a rare old outcome": HistorySearch(ROTATOR, HistoryQuery(outcome=RequestStatus.UNKNOWN)),
    "rotator, an absent outcome": HistorySearch(ROTATOR, HistoryQuery(outcome=RequestStatus.CANCELLED)),
    "rotator, their own": HistorySearch(ROTATOR, HistoryQuery(person=BUSY_ONE)),
    "nobody in particular": HistorySearch(NOBODY, HistoryQuery()),
    "nobody in particular, an absent outcome": HistorySearch(NOBODY, HistoryQuery(outcome=RequestStatus.EXPIRED)),
}
FILTERS = {
    "everything": EventFilter(),
    "a busy group": EventFilter(BUSY),
    "a retired group": EventFilter(OLD),
    "an absent group": EventFilter(NONE),
    "a busy user": EventFilter(user_id=BUSY_ONE),
    "an absent user": EventFilter(user_id=NO_ONE),
    "an action": EventFilter(action=Action.DENIED),
    "a rare old action": EventFilter(action=Action.REJECTED),
    "an absent action": EventFilter(action=Action.EXPIRED),
    "an hour": EventFilter(since=HOUR[0], until=HOUR[1]),
    "two that never met": EventFilter(user_id=BUSY_ONE, action=Action.STARTED),
    "all at once": EventFilter(BUSY, BUSY_ONE, Action.DENIED, *HOUR),
}

Look = Callable[[], Awaitable[object]]
FEW = 10_000


async def history(name: str, fresh: Callable[[], str], rows: int) -> None:
    """Compare first pages at 10^4 rows and at many."""
    async with filled(fresh(), FEW) as few, filled(fresh(), rows) as many:
        pages = await first_pages(few, many)
    title(f"First page of history on {name}, {rows:,} rows against {FEW:,} (medians)")
    for wanted, (small, large) in pages.items():
        ratio(wanted, large, small, 2)
    small, large = max(pages.values(), key=lambda page: page[1] / page[0])
    ratio("the worst ratio of all", large, small)
    small, large = max(pages.values(), key=lambda page: page[1])
    ratio("the slowest page", large, small)


def looks(database: Database) -> dict[str, Look]:
    """Name all that is measured."""
    history, trail = SqlHistory(database, Organization("acme")), SqlTrail(database, UNKEYED)
    found = {name: partial(history.find, search) for name, search in SEARCHES.items()}
    listed = {f"audit list, {name}": partial(trail.page, wanted, limit=50) for name, wanted in FILTERS.items()}
    return {**found, **listed, "the groups to choose from": partial(history.groups, AUDITOR, 100)}


async def first_pages(few: Database, many: Database, rounds: int = 60) -> dict[str, tuple[float, float]]:
    """Read each page of both in turn, again and again, so that all see the same machine; median seconds."""
    both = looks(few), looks(many)
    taken: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in both[0]}
    for _ in range(rounds):
        for name, times in taken.items():
            for look, seen in zip((both[0][name], both[1][name]), times, strict=True):
                began = time.perf_counter()
                await look()
                seen.append(time.perf_counter() - began)
    return {name: (median(small), median(large)) for name, (small, large) in taken.items()}


@asynccontextmanager
async def filled(database_url: str, rows: int) -> AsyncIterator[Database]:
    """Open a database with so many rotations and events, inserted past the bot, whose limits of time forbid that."""
    url = load_url(database_url)

    def work() -> None:
        migrate(url)
        with exclusive_transaction(url) as connection:
            requests(connection, Past(rows))

    await asyncio.to_thread(work)
    database = open_database(url)
    try:
        yield database
    finally:
        await database.close()
