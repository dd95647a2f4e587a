"""What operators watch: the numbers behind `/metrics`, in a registry of the bot's own."""

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

from bot.domain.errors import DatabaseError, DatabaseReadOnly, DatabaseUnavailable, Refusal, SchemaMismatch
from bot.domain.models import NotificationKind, State
from bot.domain.ports import Backlog

PREFIX = "turso_rotate"
ENDS = (State.SUCCEEDED, State.FAILED, State.UNKNOWN, State.CANCELLED, State.EXPIRED)
CALLED = (State.SUCCEEDED, State.FAILED, State.UNKNOWN)
STATUSES = ("2xx", "3xx", "4xx", "5xx", "none")
_DATABASE_TROUBLES = {DatabaseUnavailable: "unavailable", DatabaseReadOnly: "read_only", SchemaMismatch: "schema"}
_ACK_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3)
_CALL_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 600)

Transport = Literal["http", "socket"]
TRANSPORTS: tuple[Transport, ...] = ("http", "socket")
Call = Literal["rotate", "look"]
CALLS: tuple[Call, ...] = ("rotate", "look")

_arrived: ContextVar[float] = ContextVar("arrived")
"""When the delivery came that the work at hand follows from; by the performance counter."""


class Metrics:
    """The numbers of one process. Labels take values from short lists only, never what anybody typed."""

    def __init__(self, version: str) -> None:
        # Else each has a second series, which says when this process started.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._happenings = _Happenings(self.registry)
        self._durations = _Durations(self.registry)
        self._levels = _Levels(self.registry)
        Info(f"{PREFIX}_build", "The version that runs.", registry=self.registry).info({"version": version})
        ProcessCollector(PREFIX, registry=self.registry)

    def page(self, accept: str) -> tuple[bytes, str]:
        """Write everything in the format that is asked for; returns it with its content type."""
        encoder, content_type = choose_encoder(accept)
        return encoder(self.registry), content_type

    @staticmethod
    def arrives() -> float:
        """Note that a delivery arrives; what follows from it in this context is timed from now."""
        now = time.perf_counter()
        _arrived.set(now)
        return now

    def acknowledged(self, transport: Transport, arrived: float) -> None:
        """Note that a delivery was answered."""
        self._durations.ack[transport].observe(time.perf_counter() - arrived)

    def requested(self) -> None:
        """Count a request that now waits for its confirmation."""
        self._happenings.requests.inc()

    def refused(self, refusal: Refusal) -> None:
        """Count a command or a press that changed nothing."""
        self._happenings.refusals[refusal].inc()

    def ended(self, state: State) -> None:
        """Count an end that is on record, and time it where it follows from a press in this process."""
        self._happenings.outcomes[state].inc()
        arrived = _arrived.get(None)
        if arrived is not None and state in CALLED:
            self._durations.click[state].observe(time.perf_counter() - arrived)

    def exchanged(self, call: Call, status: int | None, seconds: float) -> None:
        """Count and time one request to Turso; the status is `None` where no complete answer came."""
        kind = "none" if status is None else f"{status // 100}xx"
        self._durations.turso[call, kind if kind in STATUSES else "none"].observe(seconds)

    def database_failed(self, error: DatabaseError) -> None:
        """Count a transaction that the database did not carry out."""
        self._happenings.database[_DATABASE_TROUBLES.get(type(error), "other")].inc()

    def badly_signed(self) -> None:
        """Count a request that Slack did not sign."""
        self._happenings.signatures.inc()

    def reconnected(self) -> None:
        """Count a new connection in place of an old one, whether it was lost or refreshed."""
        self._happenings.reconnects.inc()

    def given_up(self, errand: NotificationKind) -> None:
        """Count an errand that was struck off although nobody was told."""
        self._happenings.given_up[errand].inc()

    def tidied(self) -> None:
        """Note that everything overdue is settled now."""
        self._levels.tidied = time.monotonic()

    def waits(self, backlog: Backlog) -> None:
        """Take over what waits."""
        self._levels.pending["requested"].set(backlog.requested)
        self._levels.pending["rotating"].set(backlog.rotating)
        self._levels.unresolved.set(backlog.unresolved)
        self._levels.errands.set(backlog.errands)
        self._levels.oldest.set(backlog.oldest_seconds)

    def watch(self, *, ready: Callable[[], bool], in_flight: Callable[[], int]) -> None:
        """Ask these at each scrape; they must answer at once."""
        self._levels.ready.set_function(ready)
        self._levels.in_flight.set_function(in_flight)


class _Happenings:
    """Counters; every series is there from the start, so that its first step is seen as one."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, meaning: str, *labels: str) -> Counter:
            return Counter(f"{PREFIX}_{name}", meaning, labels, registry=registry)

        self.requests = counter("requests", "Requests that were opened, and got a card.")
        refusals = counter("refusals", "Commands and presses that changed nothing, by reason.", "reason")
        self.refusals = {refusal: refusals.labels(str(refusal)) for refusal in Refusal}
        outcomes = counter("outcomes", "Ends of requests that this process put on record, by state.", "state")
        self.outcomes = {state: outcomes.labels(str(state)) for state in ENDS}
        database = counter("database_errors", "Transactions that the database did not carry out.", "kind")
        self.database = {kind: database.labels(kind) for kind in (*_DATABASE_TROUBLES.values(), "other")}
        given_up = counter(
            "announcements_given_up", "Messages given up, as Slack took them in no way for a day.", "errand"
        )
        self.given_up = {errand: given_up.labels(str(errand)) for errand in NotificationKind}
        self.signatures = counter("signature_failures", "HTTP requests that did not carry a signature of Slack's.")
        self.reconnects = counter("socket_reconnects", "Socket Mode connections opened in place of an earlier one.")


class _Durations:
    """Histograms, in seconds."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def histogram(name: str, meaning: str, labels: Iterable[str], buckets: Iterable[float]) -> Histogram:
            return Histogram(f"{PREFIX}_{name}_seconds", meaning, labels, registry=registry, buckets=tuple(buckets))

        ack = histogram("ack", "Seconds from a delivery's arrival to its acknowledgement.", ["transport"], _ACK_SECONDS)
        self.ack = {transport: ack.labels(transport) for transport in TRANSPORTS}
        click = histogram(
            "click_to_outcome",
            "Seconds from a press of Rotate tokens to its outcome on record.",
            ["state"],
            _CALL_SECONDS,
        )
        self.click = {state: click.labels(str(state)) for state in CALLED}
        turso = histogram(
            "turso_request",
            "Seconds that requests to Turso took, to the end of the answer.",
            ["call", "status"],
            _CALL_SECONDS,
        )
        self.turso = {(call, status): turso.labels(call, status) for call in CALLS for status in STATUSES}


class _Levels:
    """Gauges; those that only the database knows stay at what it said last."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, meaning: str, *labels: str) -> Gauge:
            return Gauge(f"{PREFIX}_{name}", meaning, labels, registry=registry)

        self.tidied = time.monotonic()
        pending = gauge(
            "pending", "Requests without an end: they wait for a confirmation, or Turso is called.", "state"
        )
        self.pending = {state: pending.labels(state) for state in ("requested", "rotating")}
        self.unresolved = gauge("unknown_unresolved", "Unknown outcomes that nobody has judged yet.")
        self.errands = gauge("outbox_depth", "Messages that people are still to be sent.")
        self.oldest = gauge(
            "outbox_oldest_seconds", "Age in seconds of the oldest message that people are still to be sent."
        )
        lag = gauge("sweeper_lag_seconds", "Seconds since this process last settled everything overdue.")
        lag.set_function(lambda: time.monotonic() - self.tidied)
        self.ready = gauge("ready", "1 while the database answers and, in Socket Mode, Slack is connected.")
        self.in_flight = gauge("work_in_flight", "Commands and presses that are being handled.")
