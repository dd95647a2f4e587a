"""What a command says when the database failed it."""

from collections.abc import Iterator

import pytest

from bot.cli.database import _changed
from bot.domain.errors import CommitUnconfirmed, DatabaseError, KeyChanged, Unguarded

_MADE_FROM = {KeyChanged: (), Unguarded: (["audit_events_no_update"],)}


def kinds(of: type[DatabaseError]) -> Iterator[type[DatabaseError]]:
    """Yield the kind and all below it."""
    yield of
    for kind in of.__subclasses__():
        yield from kinds(kind)


@pytest.mark.parametrize("kind", [*kinds(DatabaseError)])
async def test_whatever_failed_it_is_said_that_nothing_was_changed_unless_that_is_in_doubt(
    kind: type[DatabaseError],
) -> None:
    failure = kind(*_MADE_FROM.get(kind, ("The database failed.",)))
    why = str(failure)

    async def change() -> None:
        raise failure

    with pytest.raises(kind) as raised:
        await _changed(change())

    assert str(raised.value) == (why if kind is CommitUnconfirmed else f"{why} Nothing was changed.")
