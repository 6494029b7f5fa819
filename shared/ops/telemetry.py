"""Traces and metrics. One tracer provider per service; the context travels through Kafka as `traceparent`."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.ops.settings import ServiceSettings

LAST_SPANS_SECONDS = 1.0
_PROPAGATOR = TraceContextTextMapPropagator()


def tracer_provider(settings: ServiceSettings) -> TracerProvider:
    """The provider of one service; exports to the collector when one is configured."""
    # without a collector nobody reads spans: ids still travel, and a sampled caller stays sampled
    sampler = ParentBased(ALWAYS_ON if settings.otlp_endpoint else ALWAYS_OFF)
    names = {"service.name": settings.service, "service.namespace": settings.instance}
    provider = TracerProvider(sampler=sampler, resource=Resource.create(names), shutdown_on_exit=False)
    if settings.otlp_endpoint:
        logging.getLogger("opentelemetry.exporter").setLevel(logging.ERROR)  # one line per lost batch, not per attempt
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 (only when used)
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        provider.add_span_processor(
            BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{settings.otlp_endpoint}/v1/traces"))
        )
    return provider


async def shut_down(provider: TracerProvider) -> None:
    """Sends the last spans, for a second at most: a collector that is away must not hold up the end of a service.

    The exporter tries for seven seconds and longer, and a thread of asyncio's own pool would be waited for.
    """
    ending = threading.Thread(target=provider.shutdown, name="last-spans", daemon=True)
    ending.start()
    await asyncio.to_thread(ending.join, LAST_SPANS_SECONDS)


def current_traceparent() -> str | None:
    """The W3C `traceparent` of the span we are in, None outside any."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier.get("traceparent")


@contextmanager
def span(tracer: trace.Tracer, name: str, traceparent: str | None, **attributes: str | int) -> Iterator[trace.Span]:
    """A span that continues the trace of `traceparent`."""
    parent = _PROPAGATOR.extract({"traceparent": traceparent}) if traceparent else otel_context.get_current()
    with tracer.start_as_current_span(name, context=parent, attributes=dict(attributes)) as current:
        yield current


@dataclass
class Metrics:
    """What one service counts. Each name is said once, here."""

    registry: CollectorRegistry = field(default_factory=lambda: CollectorRegistry(auto_describe=True))

    def __post_init__(self) -> None:
        r = self.registry
        self.requests = Counter(
            "bandung_http_requests", "Requests by route and status", ["method", "route", "status"], registry=r
        )
        self.request_seconds = Histogram("bandung_http_request_seconds", "Time to answer", ["route"], registry=r)
        self.relayed = Counter("bandung_outbox_published", "Outbox rows acknowledged by Kafka", registry=r)
        self.unsent = Gauge("bandung_outbox_unsent", "Outbox rows not yet acknowledged by Kafka", registry=r)
        self.unsent_age = Gauge("bandung_outbox_oldest_seconds", "Age of the oldest unsent outbox row", registry=r)
        self.handled = Counter("bandung_consumer_handled", "Records by what became of them", ["outcome"], registry=r)
        self.lag = Gauge("bandung_consumer_lag", "Records not yet handled", registry=r)
        self.dead_letters = Gauge("bandung_dead_letters", "Dead letters waiting for an operator", registry=r)
        self.failing = Gauge(
            "bandung_check_failing", "1 while this check of /readyz fails (kafka, database ...)", ["check"], registry=r
        )
        self.pool_used = Gauge("bandung_database_pool_used", "Database connections in use", ["pool"], registry=r)
        self.pool_size = Gauge("bandung_database_pool_size", "Database connections allowed", ["pool"], registry=r)
        self.loop_lag = Gauge("bandung_loop_lag_seconds", "Latest delay of the event loop", registry=r)
