"""Connect to PostgreSQL, over connections that are given up when their server falls silent."""

import select
import time
from typing import Any, TypeVar

import psycopg
import sqlalchemy.exc
from psycopg.abc import AdaptContext, Buffer, PQGen
from psycopg.adapt import Loader
from psycopg.pq import Format
from sqlalchemy import Dialect, Engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from bot.store.sqltypes import Garbage
from bot.store.timeouts import deadline

T = TypeVar("T")

_PING_AFTER_SECONDS = 1.0


class _DeadlineConnection(psycopg.Connection[Any]):
    """A connection that waits for its server until the deadline of the transaction, and then closes itself."""

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        left = max(0.0, deadline.get() - time.monotonic())
        try:
            return super().wait(gen, interval, left if timeout is None else min(timeout, left))
        except psycopg.OperationalError:
            if deadline.get() <= time.monotonic():
                self.close()  # so that nothing else is sent before the answer to this has come
            raise


def observe_deadlines(engine: Engine) -> None:
    """Let every connection of the engine give up at the deadline of its transaction."""

    def connect(_: Dialect, __: ConnectionPoolEntry, arguments: Any, options: Any) -> _DeadlineConnection:
        return _DeadlineConnection.connect(*arguments, **options)

    event.listen(engine, "do_connect", connect)


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


def read_any_time(engine: Engine) -> None:
    """Let a time beyond Python's calendar, such as `infinity`, spoil its own row only, and not the whole answer."""

    def connect(connection: Any, _: ConnectionPoolEntry) -> None:
        for name in ("timestamptz", "date"):
            loader = connection.adapters.get_loader(psycopg.adapters.types[name].oid, Format.TEXT)
            connection.adapters.register_loader(name, _lenient(loader))

    event.listen(engine, "connect", connect)


def _lenient(loader: type[Any]) -> type[Loader]:
    """Return a loader that reads as `Garbage` what the given one cannot read."""

    class Lenient(Loader):
        def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
            super().__init__(oid, context)
            self._load = loader(oid, context).load

        def load(self, data: Buffer) -> Any:
            try:
                return self._load(data)
            except psycopg.DataError:
                return Garbage("is not a time", bytes(data).decode())

    return Lenient


def _has_input(connection: Any) -> bool:
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
