"""Notice that a SQLite file was removed, replaced or restored while the bot has it open."""

import os
import sqlite3
from typing import Any

from sqlalchemy import Connection, Engine, event

from bot.domain.errors import DatabaseUnavailable

_REPLACED = (
    "The database file was removed or replaced while the bot was running. Put it back, or restart the bot to use the "
    "one that is there now."
)
_LOG_REMOVED = (
    "The database's write-ahead log (the file that ends in -wal) was removed or replaced while the bot was running. "
    "Stop the bot without killing it, which saves what it can, and look at the database before you start it again."
)
_WENT_BACK = (
    "The database went back in time while the bot was running: row {} of the audit trail is gone, or another one. If "
    "it was restored on purpose, restart the bot."
)
_HEAD = "SELECT seq, hash FROM audit_events ORDER BY seq DESC LIMIT 1"
_HASH = "SELECT hash FROM audit_events WHERE seq = ?"

_Identity = tuple[int, int]


class OpenedFile:
    """The file that this process opened first; its engines refuse to begin in another.

    SQLite would go on in the file that was removed, and lose everything without a word.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._log_path = f"{path}-wal"
        self._file: _Identity | None = None
        self._log: _Identity | None = None
        self._head: tuple[int, str] | None = None

    def guard(self, engine: Engine, *, writes: bool) -> None:
        """Guard the transactions of an engine; call it after what begins them was set up."""
        # A new connection would make the file that is gone anew, or read the log that is gone as an empty one.
        event.listen(engine, "do_connect", lambda *_: self._require_files())
        event.listen(engine, "connect", lambda *_: self._opened())
        event.listen(engine, "begin", lambda connection: self._begun(connection, writes=writes))
        event.listen(engine, "commit", lambda _: self._require_files())
        event.listen(engine, "close", lambda *_: self._closing())

    def _opened(self) -> None:
        self._file = self._file or _identity(self._path)

    def _closing(self) -> None:
        """Expect another log from now on if this one is intact: SQLite removes it with the last connection."""
        if _identity(self._log_path) == self._log:
            self._log = None

    def _begun(self, connection: Connection, *, writes: bool) -> None:
        if writes:
            self._log = self._log or _identity(self._log_path)  # a writer has opened it by now
        self._require_files()
        self._require_trail(connection.connection.dbapi_connection)

    def _require_files(self) -> None:
        if self._file is not None and _identity(self._path) != self._file:
            raise DatabaseUnavailable(_REPLACED)
        if self._log is not None and _identity(self._log_path) != self._log:
            raise DatabaseUnavailable(_LOG_REMOVED)

    def _require_trail(self, driver: Any) -> None:
        """Check that the newest row that was seen is still there, and see which one is newest now."""
        seen = self._head
        try:
            head = driver.execute(_HEAD).fetchone()
            if head == seen:
                return
            if seen is not None and driver.execute(_HASH, seen[:1]).fetchone() != seen[1:]:
                raise DatabaseUnavailable(_WENT_BACK.format(seen[0]))
            self._head = head
        except sqlite3.Error:
            return  # no tables yet, or a failure that the transaction itself will meet


def _identity(path: str) -> _Identity | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - half as fast with a Path, and before each transaction
    except OSError:
        return None
    return found.st_dev, found.st_ino
