"""The metrics behind `/metrics`, in a registry of their own."""

import time
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder

from bot.domain.errors import (
    CommitUnconfirmed,
    DatabaseError,
    DatabaseReadOnly,
    DatabaseUnavailable,
    KeyChanged,
    SchemaMismatch,
    Unguarded,
)
from bot.domain.notifications import Backlog, NotificationKind
from bot.domain.refusals import Refusal
from bot.domain.states import State

PREFIX = "turso_rotate"
ENDS = (State.SUCCEEDED, State.FAILED, State.UNKNOWN, State.CANCELLED, State.EXPIRED, State.SUPERSEDED)
CALLED = (State.SUCCEEDED, State.FAILED, State.UNKNOWN)
STATUSES = ("2xx", "3xx", "4xx", "5xx", "none")
_DATABASE_FAILURES = {
    DatabaseUnavailable: "unavailable",
    CommitUnconfirmed: "unavailable",
    DatabaseReadOnly: "read_only",
    SchemaMismatch: "schema",
    Unguarded: "unguarded",
    KeyChanged: "key",
}
_ACK_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3)
_CALL_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 600)

Transport = Literal["http", "socket"]
TRANSPORTS: tuple[Transport, ...] = ("http", "socket")
TursoCall = Literal["rotate", "read"]
CALLS: tuple[TursoCall, ...] = ("rotate", "read")

_arrived: ContextVar[float] = ContextVar("arrived")
"""When the delivery arrived that caused the current work, by the performance counter."""


class Metrics:
    """The metrics of one process. Label values come from short lists, never from what people typed."""

    def __init__(self, version: str) -> None:
        # Otherwise each counter has a second series with its creation time.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._counters = _Counters(self.registry)
        self._histograms = _Histograms(self.registry)
        self._gauges = _Gauges(self.registry)
        Info(f"{PREFIX}_build", "The version that runs.", registry=self.registry).info({"version": version})
        ProcessCollector(PREFIX, registry=self.registry)

    def page(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics in the format that the client accepts, and its content type."""
        encoder, content_type = choose_encoder(accept)
        return encoder(self.registry), content_type

    @staticmethod
    def arrives() -> float:
        """Note that a delivery arrived; the work that it causes in this context is timed from now."""
        now = time.perf_counter()
        _arrived.set(now)
        return now

    def acknowledged(self, transport: Transport, arrived: float) -> None:
        """Note that a delivery was answered."""
        self._histograms.ack[transport].observe(time.perf_counter() - arrived)

    def requested(self) -> None:
        """Count a request that now waits for its confirmation."""
        self._counters.requests.inc()

    def refused(self, refusal: Refusal) -> None:
        """Count a command or a press that changed nothing."""
        self._counters.refusals[refusal].inc()

    def ended(self, state: State) -> None:
        """Count a recorded end, and time it if a press in this process caused it."""
        self._counters.outcomes[state].inc()
        arrived = _arrived.get(None)
        if arrived is not None and state in CALLED:
            self._histograms.press[state].observe(time.perf_counter() - arrived)

    def exchanged(self, call: TursoCall, status: int | None, seconds: float) -> None:
        """Count and time one request to Turso; `status` is `None` if there was no complete answer."""
        kind = "none" if status is None else f"{status // 100}xx"
        self._histograms.turso[call, kind if kind in STATUSES else "none"].observe(seconds)

    def database_failed(self, error: DatabaseError) -> None:
        """Count a failed transaction."""
        self._counters.database[_DATABASE_FAILURES.get(type(error), "other")].inc()

    def badly_signed(self) -> None:
        """Count an HTTP request without a valid signature from Slack."""
        self._counters.signatures.inc()

    def reconnected(self) -> None:
        """Count a Socket Mode connection that replaced one that was lost or refreshed."""
        self._counters.reconnects.inc()

    def given_up(self, kind: NotificationKind) -> None:
        """Count a notification that was given up."""
        self._counters.given_up[kind].inc()

    def tidied(self) -> None:
        """Note that nothing is overdue now."""
        self._gauges.tidied = time.monotonic()

    def pending(self, backlog: Backlog) -> None:
        """Set the gauges of what is pending."""
        self._gauges.pending["requested"].set(backlog.requested)
        self._gauges.pending["rotating"].set(backlog.rotating)
        self._gauges.unresolved.set(backlog.unresolved)
        self._gauges.outbox.set(backlog.notifications)
        self._gauges.oldest.set(backlog.oldest_seconds)

    def watch(
        self, *, ready: Callable[[], bool], in_flight: Callable[[], int], sweep_failures: Callable[[], int]
    ) -> None:
        """Set the callbacks that are called at each scrape; they must not block."""
        self._gauges.ready.set_function(ready)
        self._gauges.sweep_failures.set_function(sweep_failures)
        self._gauges.in_flight.set_function(in_flight)


class _Counters:
    """Counters. Every series exists from the start, so that its first increment is visible."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, meaning: str, *labels: str) -> Counter:
            return Counter(f"{PREFIX}_{name}", meaning, labels, registry=registry)

        self.requests = counter("requests", "Requests opened.")
        refusals = counter("refusals", "Commands and presses that changed nothing, by reason.", "reason")
        self.refusals = {refusal: refusals.labels(str(refusal)) for refusal in Refusal}
        outcomes = counter("outcomes", "Requests that this process recorded as ended, by state.", "state")
        self.outcomes = {state: outcomes.labels(str(state)) for state in ENDS}
        database = counter("database_errors", "Failed database transactions.", "kind")
        self.database = {kind: database.labels(kind) for kind in (*_DATABASE_FAILURES.values(), "other")}
        given_up = counter("notifications_given_up", "Notifications dropped after 24 h of failed delivery.", "kind")
        self.given_up = {kind: given_up.labels(str(kind)) for kind in NotificationKind}
        self.signatures = counter("signature_failures", "HTTP requests without a valid signature from Slack.")
        self.reconnects = counter("socket_reconnects", "Socket Mode connections that replaced an earlier one.")


class _Histograms:
    """Histograms, in seconds."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def histogram(name: str, meaning: str, labels: Iterable[str], buckets: Iterable[float]) -> Histogram:
            return Histogram(f"{PREFIX}_{name}_seconds", meaning, labels, registry=registry, buckets=tuple(buckets))

        ack = histogram("ack", "Seconds from a delivery's arrival to its acknowledgement.", ["transport"], _ACK_SECONDS)
        self.ack = {transport: ack.labels(transport) for transport in TRANSPORTS}
        about = "Seconds from a press of Rotate tokens to its recorded outcome."
        press = histogram("press_to_outcome", about, ["state"], _CALL_SECONDS)
        self.press = {state: press.labels(str(state)) for state in CALLED}
        about = "Seconds from a request to Turso to the end of its answer."
        turso = histogram("turso_request", about, ["call", "status"], _CALL_SECONDS)
        self.turso = {(call, status): turso.labels(call, status) for call in CALLS for status in STATUSES}


class _Gauges:
    """Gauges. Those from the database keep their last value between counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, meaning: str, *labels: str) -> Gauge:
            return Gauge(f"{PREFIX}_{name}", meaning, labels, registry=registry)

        self.tidied = time.monotonic()
        pending = gauge("pending", "Requests that have not ended, by state.", "state")
        self.pending = {state: pending.labels(state) for state in ("requested", "rotating")}
        self.unresolved = gauge("unknown_unresolved", "Unknown outcomes that nobody has judged yet.")
        self.outbox = gauge("outbox_depth", "Notifications that are not delivered yet.")
        self.oldest = gauge("outbox_oldest_seconds", "Age in seconds of the oldest undelivered notification.")
        lag = gauge("sweeper_lag_seconds", "Seconds since this process last found nothing overdue.")
        lag.set_function(lambda: time.monotonic() - self.tidied)
        about = "Rows that cannot be read, and bugs, that the sweeper has met lately."
        self.sweep_failures = gauge("sweep_failures", about)
        self.ready = gauge("ready", "1 while /readyz would answer 200, as last observed.")
        self.in_flight = gauge("work_in_flight", "Commands and presses being handled.")
