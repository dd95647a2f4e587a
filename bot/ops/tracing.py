"""Traces through OpenTelemetry, if its packages are installed and an endpoint is set."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

FLUSH_SECONDS = 3.0
"""How long the process waits at its end for the collector to accept the last spans."""

_INSTALL = "in a checkout: uv sync --extra otel; with a built wheel: pip install 'PATH/TO/WHEEL[otel]'"

log = structlog.get_logger(__name__)


class Tracing:
    """Opens spans, or does nothing. A span never contains what people typed, or the text of an exception."""

    def __init__(self, tracer: "Tracer | None" = None) -> None:
        self._tracer = tracer

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        """Open a span as a child of the current one."""
        if self._tracer is None:
            yield
            return
        with self._tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False) as span:
            try:
                yield
            except BaseException as error:
                from opentelemetry.trace import StatusCode  # noqa: PLC0415 - may be absent

                span.set_status(StatusCode.ERROR, type(error).__name__)
                raise

    def note(self, **facts: str | float) -> None:
        """Add attributes to the current span."""
        if self._tracer is None:
            return
        from opentelemetry.trace import get_current_span  # noqa: PLC0415 - may be absent

        get_current_span().set_attributes(facts)


@asynccontextmanager
async def tracing(endpoint: str | None, headers: Mapping[str, str], version: str) -> AsyncIterator[Tracing]:
    """Send spans to the collector at a base URL (OTLP over HTTP) while the context is open."""
    provider = None if endpoint is None else _provider(endpoint, headers, version)
    if provider is None:
        yield Tracing()
        return
    try:
        yield Tracing(provider.get_tracer("bot", version))
    finally:
        # Its own shutdown waits for half a minute if the collector is down.
        ending = threading.Thread(target=provider.shutdown, daemon=True)
        ending.start()
        await asyncio.to_thread(ending.join, FLUSH_SECONDS)


def _provider(endpoint: str, headers: Mapping[str, str], version: str) -> "TracerProvider | None":
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - optional
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415 - the same
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - the same
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - the same
    except ImportError:
        log.warning("no traces: OpenTelemetry is not installed", fix=_INSTALL)
        return None
    resource = Resource.create({"service.name": "turso-rotate", "service.version": version})
    provider = TracerProvider(resource=resource.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
    exporter = OTLPSpanExporter(f"{endpoint}/v1/traces", headers=dict(headers) or None)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider
