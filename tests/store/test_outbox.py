"""The outbox: every errand is run by one replica at a time, and forgotten by none."""

import asyncio

from bot.models import Rotation, State
from bot.ports import Letter
from tests.store import shell
from tests.store.conftest import Store


async def test_two_takers_never_take_the_same(store: Store) -> None:
    for number in range(10):
        await _settled(store, f"group-{number}")
    _all_due(store)

    first, second = await asyncio.gather(_take_all(store), _take_all(store))

    assert sorted(first + second) == sorted({*first, *second})
    assert len(first + second) == 10
    assert not await store.outbox.any_due()


async def test_who_wrote_an_errand_may_try_it_first(store: Store) -> None:
    rotation = await _settled(store)

    assert len(await store.outbox.of(rotation.id)) == 1
    assert not await store.outbox.any_due()
    assert await store.outbox.take(60) is None


async def test_an_errand_comes_back_until_it_is_done(store: Store) -> None:
    rotation = await _settled(store)
    _all_due(store)

    await store.outbox.put_off(await _taken(store), 60)
    put_off = await store.outbox.take(60)
    await store.outbox.put_off((await store.outbox.of(rotation.id))[0], -1)
    again = await _taken(store)
    await store.outbox.done(again)

    assert put_off is None
    assert again.attempts == 2
    assert await store.outbox.of(rotation.id) == []


async def _settled(store: Store, group: str = "payments") -> Rotation:
    rotation = await store.request(group)
    cancelled = await store.move(rotation, State.REQUESTED, State.CANCELLED)
    assert cancelled is not None
    return cancelled


def _all_due(store: Store) -> None:
    shell.run(store.url, "UPDATE outbox SET due_at = created_at")


async def _taken(store: Store) -> Letter:
    letter = await store.outbox.take(60)
    assert letter is not None
    return letter


async def _take_all(store: Store) -> list[int]:
    taken = []
    while (letter := await store.outbox.take(60)) is not None:
        taken.append(letter.id)
    return taken
