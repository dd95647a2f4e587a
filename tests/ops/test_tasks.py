"""SupervisedTasks is held, and bounded."""

import asyncio

import pytest

from bot.domain.errors import Overloaded
from bot.domain.refusals import Refusal
from bot.ops.tasks import SupervisedTasks


async def test_above_the_limit_people_are_told_and_far_above_it_nothing_is_begun() -> None:
    refused: list[Refusal] = []
    begun: list[int] = []
    end = asyncio.Event()

    async def works(number: int) -> None:
        begun.append(number)
        await end.wait()

    work = SupervisedTasks(limit=2, refused=refused.append)
    for number in range(2):
        work.admit()
        work.start(works(number))
    with pytest.raises(Overloaded):
        work.admit()
    for number in range(2, 9):  # each stands for a refusal that is said
        work.start(works(number))
    await asyncio.sleep(0)
    under_way = len(work)
    end.set()
    left = await work.finish(5)

    assert begun == [0, 1, 2, 3]
    assert under_way == 4
    assert refused == [Refusal.OVERLOADED] * 6
    assert left == 0
