"""Create SQLAlchemy engines: pools for the running bot, and single connections for commands that may take long."""

import sqlite3
from contextlib import suppress
from typing import Any

from sqlalchemy import URL, Engine, NullPool, create_engine, event

from bot.store.sqlite_file import OpenedFile, file_url, refuse_missing_file
from bot.store.timeouts import LOCK_SECONDS, LONG_LOCK_SECONDS

_MILLISECONDS = int(LOCK_SECONDS * 1000)
_PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "recursive_triggers = ON")
_LIMITS = {
    "lock_timeout": _MILLISECONDS,
    "statement_timeout": 2 * _MILLISECONDS,
    "idle_in_transaction_session_timeout": 10 * _MILLISECONDS,
}
_LONG_LIMITS = {
    "lock_timeout": LONG_LOCK_SECONDS * 1000,
    "statement_timeout": 0,
    "idle_in_transaction_session_timeout": 0,
}


def pooled(url: URL, connections: int, *, read_only: bool, file: OpenedFile | None = None) -> Engine:
    """Create an engine for short transactions, on SQLite in that file alone; nothing is connected yet."""
    pool = {"pool_size": connections, "max_overflow": 0}
    if url.get_backend_name() == "sqlite":
        engine = _sqlite(url, LOCK_SECONDS, read_only=read_only, create=False, **pool)
        event.listen(engine, "connect", _set_pragmas)
        if file is not None:
            file.guard(engine, writes=not read_only)
        event.listen(engine, "do_connect", lambda *_: refuse_missing_file(url, create=False))
        return engine
    from bot.store import postgresql  # noqa: PLC0415 - takes 50 ms to import, which SQLite never needs

    kinds = postgresql.Transactions
    transactions = kinds.EACH_STATEMENT if read_only else kinds.READ_WRITE
    engine = postgresql.create(url, 2, _LIMITS, transactions, postgresql.DeadlineSession, **pool)
    postgresql.ping_seldom(engine)
    return engine


def unlimited(url: URL, *, read_only: bool) -> Engine:
    """Create an engine for one transaction of any length; one that only reads sees a single snapshot.

    One that writes creates the file of a new database.
    """
    if url.get_backend_name() == "sqlite":
        engine = _sqlite(url, LONG_LOCK_SECONDS, read_only=read_only, create=not read_only, poolclass=NullPool)
        event.listen(engine, "do_connect", lambda *_: refuse_missing_file(url, create=not read_only))
        if not read_only:
            event.listen(engine, "connect", _prefer_wal)
        return engine
    from bot.store import postgresql  # noqa: PLC0415 - as above

    transactions = postgresql.Transactions.SNAPSHOT if read_only else postgresql.Transactions.READ_WRITE
    return postgresql.create(url, 5, _LONG_LIMITS, transactions, poolclass=NullPool)


def _sqlite(url: URL, lock_seconds: float, *, read_only: bool, create: bool, **pool: Any) -> Engine:
    arguments = {"check_same_thread": False, "timeout": lock_seconds, "isolation_level": None}
    engine = create_engine(file_url(url, create=create), hide_parameters=True, connect_args=arguments, **pool)
    begin = "BEGIN" if read_only else "BEGIN IMMEDIATE"
    event.listen(engine, "connect", _read_any_text)
    # Python's driver begins too late, and leaves table definitions out of the transaction.
    event.listen(engine, "begin", lambda connection: connection.connection.dbapi_connection.execute(begin))
    return engine


def any_text(text: bytes) -> str:
    """Decode what SQLite has as text: one that is not UTF-8 spoils its own row only, and not the whole answer."""
    return text.decode("utf-8", "surrogateescape")


def _read_any_text(connection: Any, _: Any) -> None:
    connection.text_factory = any_text


def _set_pragmas(connection: Any, _: Any) -> None:
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _prefer_wal(connection: Any, _: Any) -> None:
    """Switch to the bot's journal mode now: while transactions are open, SQLite refuses without waiting."""
    with suppress(sqlite3.OperationalError):  # another process is doing it, or the file refuses more than this
        connection.execute("PRAGMA journal_mode = WAL")
