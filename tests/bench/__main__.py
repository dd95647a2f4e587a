"""Run every measurement, on loopback: the real process here, what types and what answers there."""

import argparse
import asyncio
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tests.bench.appends import appending
from tests.bench.databases import Lends, fits, postgresql, sqlite
from tests.bench.endurance import endurance
from tests.bench.history import history
from tests.bench.live import acks, clicks, echoes, frameworks, whole_work
from tests.bench.report import MISSED, keep, machine, title
from tests.bench.slow import slow_turso
from tests.bench.startup import starts
from tests.bench.verify import chain
from tests.postgres import PostgresServer, binaries

# Of a row with all its indexes on the hungrier database, and again for the log of the one transaction that fills it.
_REQUEST_BYTES, _EVENT_BYTES = 4000, 2000


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    times: int
    """Of what is measured one at a time."""
    each: int
    """Commands of each of 16 people in parallel."""
    rounds: int
    """Starts."""
    rows: tuple[int, ...]
    """Of history and of the audit trail, each against 10^4."""
    commands: int
    """Before memory is looked at; 0: it is not."""


QUICK = Size(times=60, each=20, rounds=1, rows=(100_000,), commands=0)
USUAL = Size(times=200, each=50, rounds=3, rows=(1_000_000,), commands=20_000)
LONG = replace(USUAL, rows=(1_000_000, 10_000_000), commands=100_000)


async def main(size: Size) -> None:
    """Run everything."""
    machine()
    server = PostgresServer(binaries(), fsync=True)  # those who rotate may lose power
    databases: dict[str, Lends] = {"SQLite": sqlite, "PostgreSQL": partial(postgresql, server)}
    try:
        server.start()
        await live(databases, size)
        for rows in size.rows:
            await stored(databases, rows)
        for name, lends in databases.items():
            with lends() as fresh:
                await appending(name, fresh(), size.each * 4)
    finally:
        server.destroy()


async def live(databases: dict[str, Lends], size: Size) -> None:
    """Measure the running bot."""
    with sqlite() as fresh:
        await starts(fresh, size.rounds)
        await acks(fresh, size.times)
        echo = await echoes(size.each)
        mark = await frameworks()
        for name, lends in databases.items():
            with lends() as empty:
                await whole_work(name, empty, size.each, echo, mark)
        await clicks(fresh, size.times // 3)
        await slow_turso(fresh())
        if size.commands:
            await endurance(fresh(), size.commands)


async def stored(databases: dict[str, Lends], rows: int) -> None:
    """Measure what depends on how much there is to read."""
    for name, lends in databases.items():
        if fits(f"History on {name}, {rows:,} rows", rows * _REQUEST_BYTES):
            with lends() as fresh:
                await history(name, fresh, rows)
        if fits(f"The audit trail on {name}, {rows:,} rows", rows * _EVENT_BYTES):
            with lends() as fresh:
                await chain(name, fresh, rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--quick", dest="size", action="store_const", const=QUICK, help="see that it works")
    sizes.add_argument("--long", dest="size", action="store_const", const=LONG, help="an hour, and some gigabytes")
    parser.add_argument("--output", type=Path, metavar="FILE", help="keep the lines, as JSON lines")
    asked = parser.parse_args()
    asyncio.run(main(asked.size or USUAL))
    title("Missed: " + ("; ".join(MISSED) or "nothing"))
    if asked.output:
        keep(asked.output)
    sys.exit(1 if MISSED else 0)
