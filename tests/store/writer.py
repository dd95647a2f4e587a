"""One more replica that appends to the audit trail: `python -m tests.store.writer URL KEY TASKS EACH`."""

import asyncio
import sys

from bot.domain.events import Action, Event
from bot.domain.models import GroupName
from bot.store.database import Database, open_database
from bot.store.trail import SqlTrail
from bot.trail.chain import Seal
from tests.databases import load_url
from tests.store.conftest import ACME, ALICE


async def append(database: Database, seal: Seal, tasks: int, each: int) -> None:
    """Append in parallel, each task its events one after another."""
    trail = SqlTrail(database, seal)

    async def writes(task: int) -> None:
        for number in range(each):
            detail = {"reason": f"task {task} 🔑 {number}"}
            await trail.append(Event(Action.DENIED, ALICE, ACME, GroupName(f"group{task}"), detail=detail))

    await asyncio.gather(*(writes(task) for task in range(tasks)))


async def main(url: str, key: str, tasks: str, each: str) -> None:
    """Append in this process."""
    database = open_database(load_url(url))
    try:
        await append(database, Seal(key.encode()), int(tasks), int(each))
    finally:
        await database.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
