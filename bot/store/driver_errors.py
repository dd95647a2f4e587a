"""Translate what database drivers raise into errors that people can read."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy.exc

from bot.domain.errors import DatabaseError, DatabaseReadOnly, DatabaseUnavailable, SchemaMismatch

NO_ANSWER = "The database does not answer."
_SIGNS: tuple[tuple[type[DatabaseError], str, tuple[str, ...]], ...] = (
    (
        DatabaseReadOnly,
        "The database refuses writes.",
        ("readonly", "read-only", "permission denied", "disk is full", "no space left", "disk full"),
    ),
    (DatabaseUnavailable, "The database is locked by another process.", ("locked", "lock timeout")),
    (DatabaseUnavailable, "The database file cannot be opened.", ("unable to open", "not a database")),
    (
        DatabaseUnavailable,
        "The database rejected the login.",
        ("authentication failed", "no password supplied", "fatal:  role", "fatal:  database"),
    ),
    (
        SchemaMismatch,
        "The database's tables do not match its schema version.",
        ("no such table", "no such column", "undefinedtable", "undefinedcolumn", "already exists"),
    ),
)
_DRIVER_ERRORS = (sqlalchemy.exc.DBAPIError, sqlalchemy.exc.TimeoutError, sqlite3.Error, OSError)


@contextmanager
def translated_errors() -> Iterator[None]:
    """Raise a `DatabaseError` for each failure of the database in the context."""
    try:
        yield
    except Exception as error:
        if (translated := _translated(error)) is None:
            raise
        raise translated from error


def _translated(error: Exception) -> DatabaseError | None:
    """Return what to raise instead, or `None` if it is no failure of the database."""
    if isinstance(error, sqlalchemy.exc.IntegrityError) or not isinstance(error, _DRIVER_ERRORS):
        return None
    driver_error = getattr(error, "orig", error)
    message = f"{type(driver_error).__name__} {driver_error}".lower()
    for kind, words, signs in _SIGNS:
        if any(sign in message for sign in signs):
            return kind(words)
    return DatabaseUnavailable(NO_ANSWER)
