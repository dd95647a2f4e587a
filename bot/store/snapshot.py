"""Read the database in one snapshot, for as long as that takes."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from sqlalchemy import URL, Connection
from sqlalchemy.exc import DBAPIError

from bot.store import schema
from bot.store.driver_errors import translated_errors
from bot.store.engines import unlimited


@contextmanager
def open_snapshot(url: URL) -> Iterator[Connection]:
    """Open a connection whose statements all see the same state, without a time limit.

    A schema of another version is refused; one whose guards are broken is not, because that is when it must be read.
    Raises `DatabaseError`; wrap what uses the connection in `translated_errors`.
    """
    with ExitStack() as stack:
        with translated_errors():
            engine = unlimited(url, read_only=True)
            stack.callback(engine.dispose)
            connection = engine.connect()
            stack.callback(_close, connection)
            schema.refuse_other_versions(connection)
        yield connection


def _close(connection: Connection) -> None:
    with suppress(DBAPIError):  # the connection is lost: there is nothing to roll back
        connection.close()
