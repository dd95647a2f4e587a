"""The outbox: every errand is run by one replica at a time, and forgotten by none."""

import asyncio

import pytest

from bot.models import Errand, State
from bot.ports import Letter
from bot.store import outbox
from tests.store.conftest import Store


async def _errands_due(store: Store, rotations: int) -> None:
    for number in range(rotations):
        await store.moved(await store.rotating(f"group-{number}"), State.SUCCEEDED)
    store.by_hand("UPDATE outbox SET due_at = created_at")


async def test_two_takers_never_take_the_same(store: Store) -> None:
    await _errands_due(store, 5)

    async def take_all() -> list[int]:
        taken = []
        while (letter := await store.outbox.take(60)) is not None:
            taken.append(letter.id)
        return taken

    first, second = await asyncio.gather(take_all(), take_all())

    assert sorted(first + second) == sorted(set(first + second))
    assert len(first + second) == 10
    assert not await store.outbox.any_due()


async def test_the_writer_has_a_head_start(store: Store) -> None:
    rotation = await store.rotating()
    await store.moved(rotation, State.FAILED)

    letters = await store.outbox.of(rotation.id)

    assert [letter.errand for letter in letters] == [Errand.CARD, Errand.ANNOUNCEMENT]
    assert await store.outbox.take(60) is None
    [(due, created)] = await store.rows("SELECT due_at, created_at FROM outbox LIMIT 1")
    assert due > created  # type: ignore[operator]
    assert outbox.HEAD_START_SECONDS > 0


async def test_an_errand_put_off_comes_back(store: Store) -> None:
    await _errands_due(store, 1)
    letter = await _take(store)

    await store.outbox.put_off(letter, -1)

    again = await _take(store)
    assert {letter.attempts, again.attempts} <= {1, 2}
    assert await store.outbox.any_due()


async def test_an_errand_done_is_gone(store: Store) -> None:
    await _errands_due(store, 1)
    letter = await _take(store)

    await store.outbox.done(letter)

    assert letter.id not in [left.id for left in await store.outbox.of(letter.rotation_id)]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_taker_passes_by_what_another_is_taking(store: Store) -> None:
    await _errands_due(store, 1)
    blocked = asyncio.get_running_loop().create_future()

    letters = await asyncio.gather(*(store.outbox.take(60) for _ in range(8)))
    blocked.cancel()

    taken = [letter.id for letter in letters if letter is not None]
    assert len(taken) == len(set(taken)) <= 2


async def _take(store: Store) -> Letter:
    letter = await store.outbox.take(60)
    assert letter is not None
    return letter
