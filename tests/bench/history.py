"""What a page of history costs at 10^4 and at many rows, in Slack and on the terminal."""

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
from tests.bench.databases import NewDatabase
from tests.bench.report import ratio, title
from tests.databases import load_url
from tests.synthetic.events import START
from tests.synthetic.rotations import Dataset, insert_requests

READER = Actor(TeamId("T0"), UserId("U0"))
AUDITOR = Visibility(everything=True, patterns=(), actor=READER)
ROTATOR = Visibility(everything=False, patterns=("group*", "absent", "retired"), actor=READER)
NOBODY = Visibility(everything=False, patterns=(), actor=READER)
BUSY, RARE, OLD, ABSENT = map(GroupName, ("payments", "group7", "retired", "absent"))
BUSY_USER, USER, OLD_USER, ABSENT_USER = map(UserId, ("U0", "U7", "URETIRED", "UABSENT"))
HOUR = (START + timedelta(minutes=10), START + timedelta(minutes=70))
MIDDLE = EntryKey(START + timedelta(seconds=5000), "r00005000")

SEARCHES = {
    "auditor": HistorySearch(AUDITOR, HistoryQuery()),
    "auditor, the page in the middle": HistorySearch(AUDITOR, HistoryQuery(), before=MIDDLE),
    "auditor, the newer page": HistorySearch(AUDITOR, HistoryQuery(), after=MIDDLE),
    "auditor, a busy group": HistorySearch(AUDITOR, HistoryQuery(BUSY)),
    "auditor, a retired group": HistorySearch(AUDITOR, HistoryQuery(OLD)),
    "auditor, an absent group": HistorySearch(AUDITOR, HistoryQuery(ABSENT)),
    "auditor, a busy person": HistorySearch(AUDITOR, HistoryQuery(person=BUSY_USER)),
    "auditor, a person who left": HistorySearch(AUDITOR, HistoryQuery(person=OLD_USER)),
    "auditor, an absent person": HistorySearch(AUDITOR, HistoryQuery(person=ABSENT_USER)),
    "auditor, the usual outcome": HistorySearch(AUDITOR, HistoryQuery(outcome=RequestStatus.SUCCEEDED)),
    "auditor, a rare old outcome": HistorySearch(AUDITOR, HistoryQuery(outcome=RequestStatus.UNKNOWN)),
    "auditor, an absent outcome": HistorySearch(AUDITOR, HistoryQuery(outcome=RequestStatus.EXPIRED)),
    "auditor, denied": HistorySearch(AUDITOR, HistoryQuery(outcome=RequestStatus.DENIED)),
    "auditor, rejected, rare and old": HistorySearch(AUDITOR, HistoryQuery(outcome=RequestStatus.REJECTED)),
    "auditor, an hour": HistorySearch(AUDITOR, HistoryQuery(), *HOUR),
    "auditor, a pair without rows": HistorySearch(AUDITOR, HistoryQuery(RARE, USER)),
    "auditor, all filters": HistorySearch(AUDITOR, HistoryQuery(BUSY, BUSY_USER, RequestStatus.SUCCEEDED), *HOUR),
    "auditor, all filters, absent": HistorySearch(AUDITOR, HistoryQuery(BUSY, BUSY_USER, RequestStatus.UNKNOWN)),
    "rotator": HistorySearch(ROTATOR, HistoryQuery()),
    "rotator, the page in the middle": HistorySearch(ROTATOR, HistoryQuery(), before=MIDDLE),
    "rotator, another person": HistorySearch(ROTATOR, HistoryQuery(person=USER)),
    "rotator, a rare old outcome": HistorySearch(ROTATOR, HistoryQuery(outcome=RequestStatus.UNKNOWN)),
    "rotator, an absent outcome": HistorySearch(ROTATOR, HistoryQuery(outcome=RequestStatus.CANCELLED)),
    "rotator, their own requests": HistorySearch(ROTATOR, HistoryQuery(person=BUSY_USER)),
    "not on the allowlist": HistorySearch(NOBODY, HistoryQuery()),
    "not on the allowlist, an absent outcome": HistorySearch(NOBODY, HistoryQuery(outcome=RequestStatus.EXPIRED)),
}
FILTERS = {
    "everything": EventFilter(),
    "a busy group": EventFilter(BUSY),
    "a retired group": EventFilter(OLD),
    "an absent group": EventFilter(ABSENT),
    "a busy user": EventFilter(user_id=BUSY_USER),
    "an absent user": EventFilter(user_id=ABSENT_USER),
    "an action": EventFilter(action=Action.DENIED),
    "a rare old action": EventFilter(action=Action.REJECTED),
    "an absent action": EventFilter(action=Action.EXPIRED),
    "an hour": EventFilter(since=HOUR[0], until=HOUR[1]),
    "a pair without rows": EventFilter(user_id=BUSY_USER, action=Action.STARTED),
    "all filters": EventFilter(BUSY, BUSY_USER, Action.DENIED, *HOUR),
}

Read = Callable[[], Awaitable[object]]
FEW = 10_000


async def history(name: str, new_database: NewDatabase, rows: int) -> None:
    """Compare pages at 10^4 rows and at many."""
    async with filled(new_database(), FEW) as few, filled(new_database(), rows) as many:
        pages = await first_pages(few, many)
    title(f"First page of history on {name}, {rows:,} rows against {FEW:,} (medians)")
    for page, (small, large) in pages.items():
        ratio(page, large, small, 2)
    small, large = max(pages.values(), key=lambda page: page[1] / page[0])
    ratio("the worst ratio of all", large, small)
    small, large = max(pages.values(), key=lambda page: page[1])
    ratio("the slowest page", large, small)


def reads(database: Database) -> dict[str, Read]:
    """Return everything that is measured, by name."""
    history, trail = SqlHistory(database, Organization("acme")), SqlTrail(database, UNKEYED)
    searches = {name: partial(history.find, search) for name, search in SEARCHES.items()}
    lists = {f"audit list, {name}": partial(trail.page, wanted, limit=50) for name, wanted in FILTERS.items()}
    return {**searches, **lists, "the groups to choose from": partial(history.groups, AUDITOR, 100)}


async def first_pages(few: Database, many: Database, rounds: int = 60) -> dict[str, tuple[float, float]]:
    """Read each page of both in turn, so that both run under the same load; return the median seconds."""
    both = reads(few), reads(many)
    taken: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in both[0]}
    for _ in range(rounds):
        for name, times in taken.items():
            for read, seconds in zip((both[0][name], both[1][name]), times, strict=True):
                began = time.perf_counter()
                await read()
                seconds.append(time.perf_counter() - began)
    return {name: (median(small), median(large)) for name, (small, large) in taken.items()}


@asynccontextmanager
async def filled(database_url: str, rows: int) -> AsyncIterator[Database]:
    """Open a database with so many rotations and as many events."""
    url = load_url(database_url)

    def fill() -> None:
        migrate(url)
        with exclusive_transaction(url) as connection:
            insert_requests(connection, Dataset(rows))

    await asyncio.to_thread(fill)
    database = open_database(url)
    try:
        yield database
    finally:
        await database.close()
