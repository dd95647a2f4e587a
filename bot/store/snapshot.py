"""Read the database as it stands at one moment, for as long as that takes."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event
from sqlalchemy.exc import DBAPIError

from bot.store import schema
from bot.store.database import explain

_PATIENCE_SECONDS = 30


@contextmanager
def open_snapshot(url: URL) -> Iterator[Connection]:
    """Open a connection of its own, with no limit of time, whose statements all see the same.

    A schema of another version is refused; a database that lost its guards is not, as that is when it must be read.
    Raises `DatabaseError`; what is done over the connection is to be `explained`.
    """
    with ExitStack() as stack:
        with explained():
            engine = _engine(url)
            stack.callback(engine.dispose)
            connection = engine.connect()
            stack.callback(_close, connection)
            schema.refuse_other_versions(connection)
        yield connection


@contextmanager
def explained() -> Iterator[None]:
    """Put the driver's failures into words. Raises `DatabaseError`."""
    try:
        yield
    except Exception as error:
        raise explain(error) or error from error


def _close(connection: Connection) -> None:
    with suppress(DBAPIError):  # it is lost, and there is nothing to take back
        connection.close()


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        arguments: dict[str, Any] = {"timeout": _PATIENCE_SECONDS, "isolation_level": None}
        engine = create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args=arguments)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
        return engine
    limits = f"-c lock_timeout={_PATIENCE_SECONDS}s -c statement_timeout=0 -c idle_in_transaction_session_timeout=0"
    arguments = {"connect_timeout": 5, "options": f"{limits} -c timezone=UTC"}
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args=arguments)
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
