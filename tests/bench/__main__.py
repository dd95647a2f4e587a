"""Run every measurement on loopback: the measured processes, and from this one the people, Slack and Turso."""

import argparse
import asyncio
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tests.bench.acknowledgement import acknowledgements
from tests.bench.appends import appends
from tests.bench.databases import Databases, fits, postgresql, sqlite
from tests.bench.history import history
from tests.bench.memory import memory
from tests.bench.press import press
from tests.bench.report import MISSED, machine, save, title
from tests.bench.slow_turso import slow_turso
from tests.bench.startup import startup
from tests.bench.throughput import bolt_echoes, commands, errbot_rate
from tests.bench.verification import verification
from tests.postgres import PostgresServer, binaries

# A row with all its indexes on PostgreSQL, and again in the log of the one transaction that inserts it.
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
    """Of history and of the audit trail, each compared with 10^4."""
    commands: int
    """Before memory is compared; 0 leaves that out."""


QUICK = Size(times=60, each=20, rounds=1, rows=(100_000,), commands=0)
USUAL = Size(times=200, each=50, rounds=3, rows=(1_000_000,), commands=20_000)
LONG = replace(USUAL, rows=(1_000_000, 10_000_000), commands=100_000)


async def main(size: Size) -> None:
    """Run everything."""
    machine()
    server = PostgresServer(binaries(), fsync=True)  # as in production
    databases: dict[str, Databases] = {"SQLite": sqlite, "PostgreSQL": partial(postgresql, server)}
    try:
        server.start()
        await running_bot(databases, size)
        for rows in size.rows:
            await stored_rows(databases, rows)
        for name, lend in databases.items():
            with lend() as new_database:
                await appends(name, new_database(), size.each * 4)
    finally:
        server.destroy()


async def running_bot(databases: dict[str, Databases], size: Size) -> None:
    """Measure the bot as it runs."""
    with sqlite() as new_sqlite:
        await startup(new_sqlite, size.rounds)
        await acknowledgements(new_sqlite, size.times)
        bolt = await bolt_echoes(size.each)
        errbot = await errbot_rate(bolt[16].rate)
        for name, lend in databases.items():
            with lend() as new_database:
                await commands(name, new_database, size.each, bolt, errbot)
        await press(new_sqlite, size.times // 3)
        await slow_turso(new_sqlite())
        if size.commands:
            await memory(new_sqlite(), size.commands)


async def stored_rows(databases: dict[str, Databases], rows: int) -> None:
    """Measure what depends on the number of stored rows."""
    for name, lend in databases.items():
        if fits(f"History on {name}, {rows:,} rows", rows * _REQUEST_BYTES):
            with lend() as new_database:
                await history(name, new_database, rows)
        if fits(f"The audit trail on {name}, {rows:,} rows", rows * _EVENT_BYTES):
            with lend() as new_database:
                await verification(name, new_database, rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--quick", dest="size", action="store_const", const=QUICK, help="check that it works")
    sizes.add_argument("--long", dest="size", action="store_const", const=LONG, help="take hours, and 40 GB of disk")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the lines to FILE as JSON lines, too")
    options = parser.parse_args()
    asyncio.run(main(options.size or USUAL))
    title("Missed: " + ("; ".join(MISSED) or "nothing"))
    if options.output:
        save(options.output)
    sys.exit(1 if MISSED else 0)
