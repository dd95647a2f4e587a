"""Connect to PostgreSQL, directly or through a pooler, over connections that are given up when it falls silent."""

import re
import select
import time
from collections.abc import Mapping
from typing import Any, Self, TypeVar

import psycopg
import sqlalchemy.exc
from psycopg import sql
from psycopg.abc import PQGen
from sqlalchemy import URL, Connection, Dialect, Engine, create_engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from bot.database_url import connection_parameters, prepare_threshold, session_settings
from bot.store.timeouts import LOCK_SECONDS, deadline

T = TypeVar("T")

READ_WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED"
READ_ONLY = f"{READ_WRITE} READ ONLY"
SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
EACH_STATEMENT = ""

_PING_AFTER_SECONDS = 1.0
_ARRIVED = "turso_rotate.settings"
"""A setting without a meaning: a session that knows it got all the others too."""
_SETTINGS = {"timezone": "UTC", "default_transaction_isolation": "read committed"}
_IS_OURS = sql.SQL("SELECT pg_backend_pid(), current_setting({}, true) IS NOT NULL").format(_ARRIVED)


class Session(psycopg.Connection[Any]):
    """A connection that knows whether its settings hold, or must be set in each transaction."""

    is_pooled = False
    """Whether a pooler stands between: each transaction may run in another session of the server."""

    @classmethod
    def opened(cls, arguments: Mapping[str, Any]) -> Self:
        """Connect, without the settings if a pooler refuses them."""
        try:
            session = cls.connect(**arguments)
        except psycopg.OperationalError as error:
            if "startup parameter" not in str(error):
                raise
            session = cls.connect(**{**arguments, "options": ""})
        try:
            session._look_around()
        except psycopg.Error:
            session.close()
            raise
        return session

    def _look_around(self) -> None:
        """Find out whether a pooler dropped the settings, or hands transactions to sessions that others use."""
        pid, arrived = self.execute(_IS_OURS, prepare=False).fetchone() or (0, False)
        self.is_pooled = not arrived or pid != self.info.backend_pid
        if self.is_pooled:
            self.prepare_threshold = None


class DeadlineSession(Session):
    """A session that waits for its server until the deadline of the transaction, and then closes itself."""

    def _look_around(self) -> None:
        # Connecting may have taken all the time there was. The next transaction can use what was connected.
        deadline.set(max(deadline.get(), time.monotonic() + LOCK_SECONDS))
        super()._look_around()

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        left = max(0.0, deadline.get() - time.monotonic())
        try:
            return super().wait(gen, interval, left if timeout is None else min(timeout, left))
        except psycopg.OperationalError:
            if deadline.get() <= time.monotonic():
                self.close()  # so that nothing else is sent before the answer to this has come
            raise


def create(url: URL, connect_seconds: int, limits: Mapping[str, object], begin: str, **options: Any) -> Engine:
    """Create an engine whose transactions begin with `begin`, and under these limits; an empty one is no transaction.

    A reader whose statements are transactions of their own saves two of three round trips. Through a pooler it needs
    a transaction all the same, for its limits.
    """
    kind: type[Session] = options.pop("kind", Session)
    settings = {**session_settings(url), **_SETTINGS, **limits}
    given = {"application_name": "turso-rotate", **dict(connection_parameters(url))}
    longest = min(connect_seconds, int(given.get("connect_timeout", 0)) or connect_seconds)
    arguments = {
        **given,
        "connect_timeout": longest,
        "options": " ".join(f"-c {name}={_escaped(value)}" for name, value in {**settings, _ARRIVED: 1}.items()),
        "prepare_threshold": prepare_threshold(url),
        "autocommit": True,  # of the driver: transactions begin below
    }
    engine = create_engine(url.set(query={}), hide_parameters=True, connect_args=arguments, **options)
    _begin_transactions(engine, begin, settings)
    event.listen(engine, "do_connect", lambda _, __, ___, given: kind.opened(given))
    return engine


def _begin_transactions(engine: Engine, begin: str, settings: Mapping[str, object]) -> None:
    """Begin in one round trip, whatever the session would do by default."""
    local = (f"set_config({_quoted(name)}, {_quoted(value)}, true)" for name, value in settings.items())
    pooled = f"{begin or READ_ONLY}; SELECT {', '.join(local)}"

    def begin_transaction(connection: Connection) -> None:
        if statement := pooled if is_pooled(connection) else begin:
            # Without parameters, psycopg uses the protocol in which one message can hold several statements.
            connection.exec_driver_sql(statement, execution_options={"no_parameters": True})

    event.listen(engine, "begin", begin_transaction)


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


def _has_input(connection: Any) -> bool:
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def is_pooled(connection: Connection) -> bool:
    """Return whether a pooler stands between the bot and the server."""
    return getattr(connection.connection.dbapi_connection, "is_pooled", False)


def _escaped(value: object) -> str:
    return re.sub(r"([\\\s])", r"\\\1", str(value))


def _quoted(value: object) -> str:
    return sql.quote(str(value))
