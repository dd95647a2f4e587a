"""Open SQLite files, in write-ahead mode and as durable as they can be."""

from typing import Any

from sqlalchemy import URL, Engine, create_engine, event

from bot.store.timeouts import LOCK_SECONDS

_PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "recursive_triggers = ON")


def prepare(url: URL, connections: int, begin: str) -> Engine:
    """Prepare an engine whose transactions start with `begin`, as SQLite's own driver starts them too late."""
    engine = create_engine(
        url,
        pool_size=connections,
        max_overflow=0,
        hide_parameters=True,
        connect_args={"check_same_thread": False, "timeout": LOCK_SECONDS, "isolation_level": None},
    )
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", lambda connection: connection.connection.dbapi_connection.execute(begin))
    return engine


def _set_up(connection: Any, _: Any) -> None:
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
