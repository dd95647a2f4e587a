"""Translate what database drivers raise into errors that people can read."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy.exc

from bot.domain.errors import CommitUnconfirmed, DatabaseError, DatabaseReadOnly, DatabaseUnavailable, SchemaMismatch

NO_ANSWER = "The database does not answer."
UNCONFIRMED = "The database does not answer: it may have saved this or not."
DAMAGED = "The database file is damaged: restore a backup (docs/backup.md)."
_Meaning = tuple[type[DatabaseError], str]

_READ_ONLY = (DatabaseReadOnly, "The database refuses writes: it is read-only.")
_FULL = (DatabaseReadOnly, "The database refuses writes: its disk is full.")
_ROLE = (
    DatabaseReadOnly,
    "The database refuses this: its role lacks a right; docs/postgresql-role.sql grants what the bot needs.",
)
_NO_RIGHT = (DatabaseReadOnly, "The database refuses writes: its role, or the bot's account, lacks a right.")
_LOCKED = (
    DatabaseUnavailable,
    "The database is locked by another process; `fuser FILE` or `lsof FILE` shows which.",
)
_LOCKED_BY_SESSION = (
    DatabaseUnavailable,
    "The database is locked by another session; pg_stat_activity shows which, and pg_terminate_backend ends it.",
)
_CANNOT_OPEN = (DatabaseUnavailable, "The database file cannot be opened.")
_DAMAGED = (DatabaseUnavailable, DAMAGED)
_LOGIN = (DatabaseUnavailable, "The database rejected the login.")
_NO_CONNECT = (
    DatabaseUnavailable,
    "The bot's role may not connect to this database: GRANT CONNECT, and run docs/postgresql-role.sql.",
)
_NO_DATABASE = (DatabaseUnavailable, "There is no such database.")
_OTHER_TABLES = (SchemaMismatch, "The database's tables do not match its schema version.")
_MIXED = (
    DatabaseUnavailable,
    "A connection pooler mixes up the sessions of its clients: add prepare_threshold=none to DATABASE_URL.",
)
# The longest prefix counts. https://www.postgresql.org/docs/current/errcodes-appendix.html
_BY_SQLSTATE: dict[str, _Meaning] = {
    "08P01": (
        DatabaseUnavailable,
        "A connection pooler refuses transactions: let it pool by session or by transaction, not by statement.",
    ),
    "25006": _READ_ONLY,
    "26": _MIXED,
    "28": _LOGIN,
    "3D": _NO_DATABASE,
    "3F": _OTHER_TABLES,
    "40": (DatabaseUnavailable, "The database could not do this next to another change. Please try again."),
    "42501": _ROLE,
    "42703": _OTHER_TABLES,
    "42704": _OTHER_TABLES,
    "42710": _OTHER_TABLES,
    "42723": _OTHER_TABLES,
    "42883": _OTHER_TABLES,
    "42P01": _OTHER_TABLES,
    "42P05": _MIXED,
    "42P07": _OTHER_TABLES,
    "53100": _FULL,
    "53300": (DatabaseUnavailable, "The database accepts no more connections."),
    "55P03": _LOCKED_BY_SESSION,
    "57014": (DatabaseUnavailable, "The database took too long."),
}
_BY_SQLITE_CODE: dict[int, _Meaning] = {
    sqlite3.SQLITE_PERM: _NO_RIGHT,
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_CANTOPEN: _CANNOT_OPEN,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_IOERR: (DatabaseUnavailable, "The disk of the database reports errors."),
}
_UNPROVEN_SQLITE_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_IOERR})
"""What SQLite may say to a commit of which everything is on the disk, or will be."""
# Only where the driver gives no code: SQLite about its tables, and libpq about a connection that failed.
_BY_WORDS: tuple[tuple[str, _Meaning], ...] = (
    ("no such table", _OTHER_TABLES),
    ("no such column", _OTHER_TABLES),
    ("already exists", _OTHER_TABLES),
    ("authentication failed", _LOGIN),
    ("no password supplied", _LOGIN),
    ("fatal:  role", _LOGIN),
    ("fatal:  database", _NO_DATABASE),
    ("permission denied for database", _NO_CONNECT),
    ("too many connections", _BY_SQLSTATE["53300"]),
    ("no more connections", _BY_SQLSTATE["53300"]),
    ("read-only", _READ_ONLY),
    ("no space left", _FULL),
    ("permission denied", _NO_RIGHT),
)
_DRIVER_ERRORS = (sqlalchemy.exc.DBAPIError, sqlalchemy.exc.TimeoutError, sqlite3.Error, OSError)
_MAY_BE_COMMITTED = ("08", "40003", "57", "58", "XX")
"""What a server may say to a commit that it made, or that it will find made after a crash, by SQLSTATE."""


@contextmanager
def translated_errors() -> Iterator[None]:
    """Raise a `DatabaseError` for each failure of the database in the context."""
    try:
        yield
    except Exception as error:
        if (translated := _translated(error)) is None:
            raise
        raise translated from error


def lacks_right(error: DatabaseError) -> bool:
    """Return whether PostgreSQL, or a trigger there, refused for want of a right."""
    return _sqlstate(getattr(error.__cause__, "orig", error)) == "42501"


@contextmanager
def committing() -> Iterator[None]:
    """Raise `CommitUnconfirmed` for each failure in the context that does not prove that nothing was committed."""
    try:
        yield
    except Exception as error:
        if _proves_rollback(getattr(error, "orig", error)):
            raise
        raise CommitUnconfirmed(UNCONFIRMED) from error


def _proves_rollback(error: BaseException) -> bool:
    if isinstance(error, sqlite3.Error):
        return _sqlite_code(error) in {*_BY_SQLITE_CODE, sqlite3.SQLITE_CONSTRAINT} - _UNPROVEN_SQLITE_CODES
    state = _sqlstate(error)
    return bool(state) and not state.startswith(_MAY_BE_COMMITTED)


def _translated(error: Exception) -> DatabaseError | None:
    """Return what to raise instead, or `None` if it is no failure of the database."""
    if isinstance(error, sqlalchemy.exc.IntegrityError) or not isinstance(error, _DRIVER_ERRORS):
        return None
    driver_error = getattr(error, "orig", error)
    kind, words = _meaning(driver_error)
    translated = kind(words)
    if _sqlstate(driver_error) in {"", "42501"} and not isinstance(driver_error, sqlite3.Error):
        translated.cause = str(driver_error).partition("\n")[0]  # the rest may quote a row
    return translated


def _meaning(error: BaseException) -> _Meaning:
    if state := _sqlstate(error):
        known = [_BY_SQLSTATE.get(state[:length]) for length in (5, 2)]
    else:
        message = str(error).lower()
        known = [_BY_SQLITE_CODE.get(_sqlite_code(error)), *(each for sign, each in _BY_WORDS if sign in message)]
    return next(filter(None, known), (DatabaseUnavailable, NO_ANSWER))


def _sqlstate(error: BaseException) -> str:
    """Return PostgreSQL's code, if it sent one: libpq gives none for a connection that failed."""
    return getattr(error, "sqlstate", None) or ""


def _sqlite_code(error: BaseException) -> int:
    return getattr(error, "sqlite_errorcode", -1) & 0xFF
