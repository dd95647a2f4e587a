"""Run the measurements and print them as ratios, which travel, beside figures, which do not."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import quantiles

from sqlalchemy import Connection, text

from bot.store.database import Database, open_database
from bot.store.migrations import migrate
from tests.bench.commands import acknowledge, bare, bot, load
from tests.bench.history import fill, first_pages
from tests.postgres import PostgresServer, binaries
from tests.store.conftest import load_url

ERRBOT_RATE = 280.0
"""A bare echo through errbot on such a machine, commands/s: the mark to beat with the whole work."""
MISSED: list[str] = []


def row(name: str, value: str, wanted: str, *, met: bool) -> None:
    """Print a line, and remember what was missed."""
    print(f"  {name:<46} {value:>30}   {wanted:<28} {'ok' if met else 'MISSED'}", flush=True)
    if not met:
        MISSED.append(name)


async def acks(database_url: str, times: int) -> None:
    """Compare acknowledgements one at a time with a default Bolt app's."""
    print("\nAcknowledgement, one command at a time (median)")
    for mode in ("http", "socket"):
        async with bare(mode) as slack:
            theirs = await acknowledge(slack, times, answered=False)
        async with bot(mode, f"{database_url}{mode}") as (slack, _):
            ours = await acknowledge(slack, times, answered=True)
        value = f"{ours * 1e3:.2f} ms / {theirs * 1e3:.2f} ms = {ours / theirs:.3f}"
        row(f"{mode}: the bot / a default Bolt app", value, "ratio at most 0.1", met=ours / theirs <= 0.1)


async def whole_work(name: str, fresh: Callable[[int], str], each: int) -> None:
    """Measure commands that were authorised, looked up, recorded, and answered by a card."""
    for parallel in (16, 32):
        async with bot("http", fresh(parallel)) as (slack, process):
            await load(slack, process, parallel, 5)
            seen = await load(slack, process, parallel, each)
        p99 = quantiles(seen.cards, n=100)[98] * 1e3
        print(f"\nThe whole work on {name}, {parallel} in parallel ({seen.megabytes:.0f} MB resident)")
        rate = f"{seen.rate:.0f}/s = {seen.rate / ERRBOT_RATE:.2f} errbot's echo"
        row("commands that became cards", rate, "above errbot's bare echo", met=seen.rate > ERRBOT_RATE)
        row("worst acknowledgement", f"{max(seen.acks) * 1e3:.1f} ms", "at most 100 ms", met=max(seen.acks) <= 0.1)
        worst = max(seen.cards)
        row("command to card, p99 and worst", f"{p99:.0f} ms, {worst * 1e3:.0f} ms", "no stall", met=worst < 1)


async def history(name: str, database_url: str, rows: int) -> None:
    """Compare first pages of history at 10^4 rows and at many."""
    print(f"\nFirst page of history on {name}, {rows:,} rows against 10,000 (median)")
    async with filled(database_url) as database:
        small = await first_pages(database)
        await grow(database_url, 10_001, rows)
        large = await first_pages(database)
    for wanted, taken in large.items():
        ratio = taken / small[wanted]
        value = f"{taken * 1e3:.2f} ms / {small[wanted] * 1e3:.2f} ms = {ratio:.2f}"
        row(wanted, value, "ratio at most 2", met=ratio <= 2)


@asynccontextmanager
async def filled(database_url: str) -> AsyncIterator[Database]:
    """Open a database with 10^4 events."""
    await asyncio.to_thread(migrate, load_url(database_url))
    await grow(database_url, 1, 10_000)
    database = open_database(load_url(database_url))
    yield database
    await database.close()


async def grow(database_url: str, first: int, last: int) -> None:
    """Insert events past the bot, whose limits of time would stop so large a transaction."""
    from bot.store.migrations import transaction  # noqa: PLC0415 - only here

    def work() -> None:
        with transaction(load_url(database_url)) as connection:
            fill(connection, first, last)
            _analyse(connection)

    await asyncio.to_thread(work)


def _analyse(connection: Connection) -> None:
    connection.execute(text("ANALYZE audit_events"))


async def main(*, quick: bool) -> None:
    """Run everything."""
    times, each, rows = (100, 15, 100_000) if quick else (300, 60, 1_000_000)
    server = PostgresServer(binaries("auto"))
    server.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            sqlite = f"sqlite:///{Path(folder)}/"
            await acks(f"{sqlite}acks-", times)
            await whole_work("SQLite", lambda parallel: f"{sqlite}work-{parallel}", each)
            await whole_work("PostgreSQL", lambda _: server.create_database(), each)
            await history("SQLite", f"{sqlite}history", rows)
            await history("PostgreSQL", server.create_database(), rows)
    finally:
        server.destroy()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute instead of several")
    asyncio.run(main(quick=parser.parse_args().quick))
    print("\nMissed: " + (", ".join(MISSED) or "nothing"))
    sys.exit(1 if MISSED else 0)
