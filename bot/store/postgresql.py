"""Connect to PostgreSQL, over connections that are given up when their server falls silent."""

import select
import time
from typing import Any, TypeVar

import psycopg
import sqlalchemy.exc
from psycopg.abc import PQGen
from sqlalchemy import URL, Dialect, Engine, create_engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from bot.store.timeouts import LOCK_SECONDS, deadline

T = TypeVar("T")

_REST_SECONDS = 1.0
_MILLISECONDS = int(LOCK_SECONDS * 1000)


def prepare(url: URL, connections: int, **options: Any) -> Engine:
    """Prepare an engine; nothing is connected yet."""
    engine = create_engine(
        url,
        pool_size=connections,
        max_overflow=0,
        hide_parameters=True,
        connect_args={
            "connect_timeout": 2,
            "application_name": "turso-rotate",
            "options": f"-c lock_timeout={_MILLISECONDS} -c statement_timeout={2 * _MILLISECONDS} "
            f"-c idle_in_transaction_session_timeout={10 * _MILLISECONDS} -c timezone=UTC",
            "keepalives_idle": 10,
            "tcp_user_timeout": 5000,
        },
        **options,
    )
    event.listen(engine, "do_connect", _connect)
    _ping_seldom(engine)
    return engine


class _Patient(psycopg.Connection[Any]):
    """A connection that waits for its server until the deadline of the transaction, and then ends itself."""

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        left = max(0.0, deadline.get() - time.monotonic())
        try:
            return super().wait(gen, interval, left if timeout is None else min(timeout, left))
        except psycopg.OperationalError:
            if deadline.get() <= time.monotonic():
                self.close()  # so that nobody asks it anything before the answer to this is there
            raise


def _connect(_: Dialect, __: ConnectionPoolEntry, arguments: Any, options: Any) -> _Patient:
    return _Patient.connect(*arguments, **options)


def _ping_seldom(engine: Engine) -> None:
    """Find connections that died at rest without a ping before each transaction, which may be a third of its cost.

    A server that ends a session says so on its socket, which is silent otherwise; one that vanished without a word
    is found by a ping, made only after a rest.
    """

    def rest(_: Any, record: ConnectionPoolEntry) -> None:
        record.info["rests_since"] = time.monotonic()

    def wake(connection: Any, record: ConnectionPoolEntry, _: Any) -> None:
        since = record.info.get("rests_since")  # none: it is new
        if since is None or (time.monotonic() - since < _REST_SECONDS and not _is_heard(connection)):
            return
        try:
            engine.dialect.do_ping(connection)
        except Exception as error:
            raise sqlalchemy.exc.InvalidatePoolError from error

    event.listen(engine, "checkin", rest)
    event.listen(engine, "checkout", wake)


def _is_heard(connection: Any) -> bool:
    """Say whether something waits to be read on a connection at rest."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
