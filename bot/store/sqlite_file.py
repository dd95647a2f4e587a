"""Open a SQLite file that is there, and notice that it was removed, replaced or restored while the bot has it open."""

import os
import sqlite3
import stat
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, event

from bot.database_url import database_file
from bot.domain.errors import DatabaseUnavailable

_CREATE = "to create a new database, run turso-rotate migrate."

_REPLACED = (
    "The database file was removed or replaced while the bot was running. Put it back, or restart the bot to use the "
    "one that is there now."
)
_SHARED_REMOVED = (
    "The database's shared memory (the file that ends in -shm) was removed or replaced while the bot was running. Put "
    "it back; or kill the bot (SIGKILL), because stopping it may discard what other commands have written since."
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

    def __init__(self, url: URL) -> None:
        path = _path(url)
        real = os.path.realpath(path)  # next to this one SQLite keeps the others
        self._path = path
        self._sides: Mapping[str, str] = {f"{real}-wal": _LOG_REMOVED, f"{real}-shm": _SHARED_REMOVED}
        self._file: _Identity | None = None
        self._opened_sides: dict[str, _Identity] = {}
        self._head: tuple[int, str] | None = None

    def guard(self, engine: Engine, *, writes: bool) -> None:
        """Guard the transactions of an engine; call it after what begins them was set up."""
        # A new connection would read the log that is gone as an empty one.
        event.listen(engine, "do_connect", lambda *_: self._require_files())
        event.listen(engine, "connect", lambda *_: self._opened())
        event.listen(engine, "begin", lambda connection: self._begun(connection, writes=writes))
        event.listen(engine, "commit", lambda _: self._require_files())
        event.listen(engine, "close", lambda *_: self._closing())

    def _opened(self) -> None:
        self._file = self._file or _identity(self._path)

    def _closing(self) -> None:
        """Expect others from now on where these are intact: SQLite removes them with the last connection."""
        self._opened_sides = {path: seen for path, seen in self._opened_sides.items() if _identity(path) != seen}

    def _begun(self, connection: Connection, *, writes: bool) -> None:
        if writes:  # a writer has opened them by now
            found = {path: self._opened_sides.get(path) or _identity(path) for path in self._sides}
            self._opened_sides = {path: identity for path, identity in found.items() if identity}
        self._require_files()
        self._require_trail(connection.connection.dbapi_connection)

    def _require_files(self) -> None:
        if self._file is not None and _identity(self._path) != self._file:
            raise DatabaseUnavailable(_REPLACED)
        for path, seen in tuple(self._opened_sides.items()):
            if _identity(path) != seen:
                raise DatabaseUnavailable(self._sides[path])

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


def file_url(url: URL, *, create: bool) -> URL:
    """Return a URL with which SQLite opens the real file, and creates it only if it may."""
    given = url.query.get("mode")
    mode = "ro" if given == "ro" else "rwc" if create and given != "rw" else "rw"
    name = quote(os.fsencode(os.path.realpath(_path(url))))
    return URL.create("sqlite", database=f"file:{name}", query={"mode": mode, "uri": "true"})


def refuse_missing_file(url: URL, *, create: bool) -> None:
    """Check what is at the path before SQLite opens it. Raises `DatabaseUnavailable`.

    Next to a file that is missing or empty, SQLite discards the log: that of the running bot, if its file was only
    moved away for a moment.
    """
    path = _path(url)
    log = f"{os.path.realpath(path)}-wal"
    has_log = _size(log) > 0  # before the file: another process may be creating both
    try:
        found = os.stat(path)  # noqa: PTH116 - as below
    except (FileNotFoundError, NotADirectoryError):
        found = None
    except OSError:
        return  # SQLite says that it cannot open it
    if found is not None and not stat.S_ISREG(found.st_mode):
        raise DatabaseUnavailable(f"{path} is not a regular file: correct DATABASE_URL.")
    if found is not None and found.st_size:
        return
    what = f"There is no file {path}" if found is None else f"The file {path} is empty"
    if not create:
        raise DatabaseUnavailable(f"{what}: {_CREATE}")
    if found is None and url.query.get("mode") in {"ro", "rw"}:
        raise DatabaseUnavailable(f"{what}, and mode={url.query['mode']} in DATABASE_URL lets nobody create it.")
    if has_log:
        raise DatabaseUnavailable(f"{what}, but its log {log} is not. Put the file back, or move the log away too.")


def _path(url: URL) -> str:
    return os.path.abspath(database_file(url))  # noqa: PTH100 - keeps links


def _size(path: str) -> int:
    with suppress(OSError):
        return os.stat(path).st_size  # noqa: PTH116 - as below
    return 0


def _identity(path: str) -> _Identity | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - half as fast with a Path, and before each transaction
    except OSError:
        return None
    return found.st_dev, found.st_ino
