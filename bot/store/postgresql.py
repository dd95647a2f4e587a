"""Connect to PostgreSQL, directly or through a pooler, over connections that are given up when it falls silent."""

import re
import select
import time
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self, TypeVar

import psycopg
import sqlalchemy.exc
from psycopg import sql
from psycopg.abc import AdaptContext, Buffer, PQGen
from psycopg.adapt import Loader
from psycopg.pq import Format
from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from bot.database_url import SECRET_PARAMETERS, connection_parameters, prepare_threshold, session_settings
from bot.store.sqltypes import UnreadableValue
from bot.store.timeouts import LOCK_SECONDS, deadline

T = TypeVar("T")


class Transactions(StrEnum):
    """How the transactions of an engine begin, whatever the server does by default."""

    READ_WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED"
    SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    EACH_STATEMENT = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY"
    """None begins: each statement is one, which saves two of three round trips. Only through a pooler one does."""


_PING_AFTER_SECONDS = 1.0
_READ_COMMITTED, _REPEATABLE_READ = psycopg.IsolationLevel.READ_COMMITTED, psycopg.IsolationLevel.REPEATABLE_READ
_ARRIVED = "turso_rotate.settings"
"""A setting without a meaning: a session that knows it got all the others too."""
_SETTINGS = {"timezone": "UTC", "default_transaction_isolation": "read committed"}
_DEFAULT_PATH = "(SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'search_path')"
_IS_OURS = sql.SQL("SELECT pg_backend_pid(), current_setting({}, true) IS NOT NULL").format(_ARRIVED)


class Session(psycopg.Connection[Any]):
    """A connection that knows whether its settings hold, or must be set in each transaction."""

    is_pooled = False
    """Whether a pooler stands between: each transaction may run in another session of the server."""

    @classmethod
    def opened(cls, arguments: Mapping[str, Any], transactions: Transactions) -> Self:
        """Connect, without the settings if a pooler refuses them."""
        try:
            session = cls.connect(**arguments)
        except psycopg.OperationalError as error:
            if "startup parameter" not in str(error):
                raise
            session = cls.connect(**{**arguments, "options": ""})
        try:
            session.detect_pooler()
        except psycopg.Error:
            session.close()
            raise
        if not session.is_pooled and transactions is not Transactions.EACH_STATEMENT:
            session.autocommit = False
            is_snapshot = transactions is Transactions.SNAPSHOT
            session.isolation_level = _REPEATABLE_READ if is_snapshot else _READ_COMMITTED
            session.read_only = is_snapshot or None
        return session

    def detect_pooler(self) -> None:
        """Detect whether a pooler dropped the settings, or hands transactions to sessions that others use."""
        pid, arrived = self.execute(_IS_OURS, prepare=False).fetchone() or (0, False)
        self.is_pooled = not arrived or pid != self.info.backend_pid
        if self.is_pooled:
            self.prepare_threshold = None


class DeadlineSession(Session):
    """A session that waits for its server until the deadline of the transaction, and then closes itself."""

    def detect_pooler(self) -> None:
        """Detect it, even if connecting has taken all the time there was."""
        # The next transaction can use what was connected.
        deadline.set(max(deadline.get(), time.monotonic() + LOCK_SECONDS))
        super().detect_pooler()

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """Wait for what was sent, until the deadline at most."""
        left = max(0.0, deadline.get() - time.monotonic())
        try:
            return super().wait(gen, interval, left if timeout is None else min(timeout, left))
        except psycopg.OperationalError:
            if deadline.get() <= time.monotonic():
                self.close()  # so that nothing else is sent before the answer to this has come
            raise


def create(
    url: URL,
    connect_seconds: int,
    limits: Mapping[str, object],
    transactions: Transactions,
    kind: type[Session] = Session,
    **pool: Any,
) -> Engine:
    """Create an engine whose transactions have these limits."""
    settings = {**session_settings(url), **_SETTINGS, **limits}
    given = {"application_name": "turso-rotate", **dict(connection_parameters(url))}
    longest = min(connect_seconds, int(given.get("connect_timeout", 0)) or connect_seconds)
    arguments = {
        **given,
        "connect_timeout": longest,
        "options": " ".join(f"-c {name}={_escaped(value)}" for name, value in {**settings, _ARRIVED: 1}.items()),
        "prepare_threshold": prepare_threshold(url),
        "autocommit": True,
    }
    engine = create_engine(url.set(query={}), hide_parameters=True, connect_args=arguments, **pool)
    path = sql.quote(settings["search_path"]) if "search_path" in settings else _DEFAULT_PATH
    # Others may have left temporary tables in the session, which would be found before the bot's.
    values = {name: sql.quote(str(value)) for name, value in settings.items()} | {
        "search_path": f"{path} || ', pg_temp'"
    }
    local = (f"set_config({sql.quote(name)}, {value}, true)" for name, value in values.items())
    begin = f"{transactions}; SELECT {', '.join(local)}"

    def begin_with_settings(session: Session) -> None:
        if session.is_pooled:
            session.execute(begin, prepare=False)  # then one message may hold several statements

    def connect(_: Any, __: Any, ___: Any, given: Mapping[str, Any]) -> Session:
        try:
            return kind.opened(given, transactions)
        except psycopg.OperationalError as error:
            if (words := _without_secrets(str(error), given)) == str(error):
                raise
            raise type(error)(words) from None

    event.listen(engine, "do_connect", connect)
    # A listener to the event "begin" would cost each statement of the engine a few microseconds.
    engine.dialect.do_begin = begin_with_settings  # type: ignore[method-assign, assignment]
    _read_any_time(engine)
    return engine


def ping_seldom(engine: Engine) -> None:
    """Find idle connections that died, without a ping before each transaction, which may be a third of its cost.

    A server that ends a session says so on its socket, which is silent otherwise. One that vanished without a word
    is found by a ping, which is sent only after an idle second.
    """

    def checkin(_: Any, record: ConnectionPoolEntry) -> None:
        record.info["idle_since"] = time.monotonic()

    def checkout(connection: Any, record: ConnectionPoolEntry, _: Any) -> None:
        since = record.info.get("idle_since")  # None: it is new
        if since is None or (time.monotonic() - since < _PING_AFTER_SECONDS and not _has_input(connection)):
            return
        try:
            engine.dialect.do_ping(connection)
        except Exception as error:
            raise sqlalchemy.exc.InvalidatePoolError from error

    event.listen(engine, "checkin", checkin)
    event.listen(engine, "checkout", checkout)


def _read_any_time(engine: Engine) -> None:
    """Let a time beyond Python's calendar, such as `infinity`, spoil its own row only, and not the whole answer."""

    def connect(connection: Any, _: ConnectionPoolEntry) -> None:
        for name in ("timestamptz", "date"):
            loader = connection.adapters.get_loader(psycopg.adapters.types[name].oid, Format.TEXT)
            connection.adapters.register_loader(name, _lenient(loader))

    event.listen(engine, "connect", connect)


def _lenient(loader: type[Any]) -> type[Loader]:
    """Return a loader that reads as `UnreadableValue` what the given one cannot read."""

    class Lenient(Loader):
        def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
            super().__init__(oid, context)
            self._load = loader(oid, context).load

        def load(self, data: Buffer) -> Any:
            try:
                return self._load(data)
            except psycopg.DataError:
                return UnreadableValue("is not a time", bytes(data).decode())

    return Lenient


def _without_secrets(words: str, given: Mapping[str, Any]) -> str:
    for secret in filter(None, map(given.get, ("password", *SECRET_PARAMETERS))):
        words = words.replace(str(secret), "[redacted]")
    return words


def _has_input(connection: Any) -> bool:
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _escaped(value: object) -> str:
    return re.sub(r"([\\\s])", r"\\\1", str(value))
