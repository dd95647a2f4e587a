"""Torture the bot, and look for broken laws: exit 0 if there is none, 1 if there are, 2 if asked wrongly."""

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.postgres import PostgresServer, binaries
from tests.torture.evidence import evidence
from tests.torture.facts import Facts
from tests.torture.laws import violations
from tests.torture.mistakes import MISTAKES
from tests.torture.run import RunConfig, torture
from tests.torture.schedule import FAMILIES

DATABASES = ("sqlite", "postgresql")
_MOST_EVIDENCE = 60
"""Lines for each violation."""
_THREADS = 64
"""For reads of a database that stands still: each keeps one waiting."""


def run_configs(arguments: Sequence[str]) -> list[RunConfig]:
    """Read the command line. Exits with 2 if it makes no sense."""
    parser = argparse.ArgumentParser("python -m tests.torture", description=__doc__)
    parser.add_argument("--seconds", type=_positive, default=120, help="how long the torture lasts (default: 120)")
    parser.add_argument("--seed", type=int, help="who does what and what goes wrong (default: another one each time)")
    parser.add_argument("--database", choices=(*DATABASES, "both"), default="both", help="both: side by side (default)")
    parser.add_argument("--mode", choices=("http", "socket"), help="how Slack reaches the bot (default: by the seed)")
    parser.add_argument(
        "--faults", nargs="*", choices=FAMILIES, default=FAMILIES, help="only these kinds (default: all)"
    )
    parser.add_argument("--plan", action="store_true", help="print the faults that would come, and end")
    parser.add_argument(
        "--mistake", action="append", default=[], choices=MISTAKES, help="plant it into the bot, to see it found"
    )
    options = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(10_000) if options.seed is None else options.seed
    databases = DATABASES if options.database == "both" else (options.database,)
    runs = [
        RunConfig(
            seed,
            options.seconds,
            each,
            options.mode or ("http", "socket")[(seed + DATABASES.index(each)) % 2],
            tuple(options.mistake),
            tuple(options.faults),
        )
        for each in databases
    ]
    if options.plan:
        with _quiet_if_nobody_reads():
            for run in runs:
                _print_plan(run)
        sys.exit(0)
    return runs


async def main(runs: Sequence[RunConfig]) -> list[Facts]:
    """Run on each database, side by side."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS))
    server = PostgresServer(binaries()) if any(run.database == "postgresql" for run in runs) else None
    try:
        if server is not None:
            await asyncio.to_thread(server.start)
        with tempfile.TemporaryDirectory(prefix="torture-") as folder:
            async with asyncio.TaskGroup() as group:
                running = [group.create_task(_run(run, Path(folder), server)) for run in runs]
            return [task.result() for task in running]
    finally:
        if server is not None:
            server.destroy()


async def _run(run: RunConfig, folder: Path, server: PostgresServer | None) -> Facts:
    home = folder / run.database
    home.mkdir()
    return await torture(run, home, server if run.database == "postgresql" else None, say=_say)


def report(run: RunConfig, facts: Facts) -> int:
    """Print what was found; return how many violations there are."""
    found = violations(facts)
    ends = [rotation.state for rotation in facts.rotations]
    counts = ", ".join(f"{ends.count(state)} {state}" for state in sorted(set(ends)))
    print(
        f"{run.database} ({run.mode}): {len(facts.user_actions)} commands and presses, "
        f"{len(facts.calls)} calls at Turso, {len(facts.faults)} faults, {len(facts.rows)} rows. "
        f"Rotations: {counts or 'none'}."
    )
    for number, violation in enumerate(found, 1):
        print(f"\n{number}. {violation}")
        for line in evidence(facts, violation)[:_MOST_EVIDENCE]:
            print(f"     {line}")
    return len(found)


def _print_plan(run: RunConfig) -> None:
    print(f"{run.database} ({run.mode}), seed {run.seed}:")
    for planned in sorted((each for family in run.plan for each in family), key=lambda each: each.at):
        print(f"{planned.at:8.2f} s  {planned.name}, {planned.lasts:.2f} s, replica {planned.replica}")


@contextmanager
def _quiet_if_nobody_reads() -> Iterator[None]:
    """End without a traceback if what reads the output, `head` for example, has ended."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at the end
        sys.exit(0)


def _say(text: str) -> None:
    if sys.stderr.isatty():
        print(f"{time.strftime('%X')} {text}", file=sys.stderr)


def _positive(text: str) -> float:
    if (seconds := float(text)) <= 0:
        raise ValueError
    return seconds


if __name__ == "__main__":
    chosen = run_configs(sys.argv[1:])
    print(f"Seed {chosen[0].seed}; again: make torture ARGS='--seconds {chosen[0].seconds:g} --seed {chosen[0].seed}'")
    sys.stdout.flush()
    began = time.monotonic()
    count = sum(report(*each) for each in zip(chosen, asyncio.run(main(chosen)), strict=True))
    print(f"\n{count or 'No'} violation{'' if count == 1 else 's'} in {time.monotonic() - began:.0f} s.")
    sys.exit(1 if count else 0)
