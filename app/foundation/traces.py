"""Traces: what became of one episode of an incident, as OpenTelemetry spans.

Off unless the standard variables say where to (`OTEL_EXPORTER_OTLP_ENDPOINT` and its like), and then sampled as
they say. All spans of an episode are in one trace, whose id is derived from the incident's: steps join it across
restarts and workers, and a sampler decides for all of them alike. Spans carry ids and words of our own, never
text of an event, and errors their type alone.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from structlog.contextvars import bound_contextvars

from app.foundation.logging import log

if TYPE_CHECKING:
    from opentelemetry.trace import Link, Span

Value = str | int | float | bool | Sequence[str]

_PARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_MOST_LINKS = 8
_MOST_CHARACTERS = 200


@dataclass(frozen=True)
class Episode:
    """One episode of an incident; `under` names the repair whose part the spans are."""

    incident_id: str
    number: int
    under: str = ""


class _Ids:
    """Random ids, but for a span whose id is derived; the SDK asks for them while it makes the span."""

    def __init__(self) -> None:
        self.given: ContextVar[tuple[int, int] | None] = ContextVar("given", default=None)

    def generate_trace_id(self) -> int:
        given = self.given.get()
        return given[0] if given else int.from_bytes(os.urandom(16), "big")

    def generate_span_id(self) -> int:
        given = self.given.get()
        return given[1] if given else int.from_bytes(os.urandom(8), "big") or 1

    def is_trace_id_random(self) -> bool:
        return self.given.get() is None


class _On:
    """Tracing that was switched on."""

    def __init__(self, version: str, instance: str) -> None:
        # Half a second to import, which only those pay for who asked for it.
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import SpanLimits, TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import Decision

        self.api = trace
        self.sampled = Decision.RECORD_AND_SAMPLE
        self.ids = _Ids()
        named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": "mendline"}
        resource = Resource({**named, "service.version": version, "service.instance.id": instance})
        # Our own, not the process': what other libraries trace is not asked for.
        self.provider: TracerProvider = TracerProvider(
            resource=Resource.create().merge(resource),
            id_generator=self.ids,  # type: ignore[arg-type]
            span_limits=SpanLimits(max_span_attribute_length=_MOST_CHARACTERS),
            shutdown_on_exit=False,
        )
        self.provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self.tracer = self.provider.get_tracer("mendline", version)

    def trace_id(self, of: Episode) -> int:
        """0 when the sampler leaves this episode out."""
        found = _derived(16, of.incident_id, str(of.number))
        decision = self.provider.sampler.should_sample(None, found, "ingest").decision
        return found if decision is self.sampled else 0

    def begin(
        self,
        name: str,
        trace_id: int,
        parent: int,
        own: int = 0,
        at: datetime | None = None,
        links: "Sequence[Link]" = (),
        told: Mapping[str, Value] | None = None,
    ) -> "Span":
        """A span in a trace, below the span `parent`; 0: the first of all. `own`: its id, 0 for a random one."""
        flags = self.api.TraceFlags(self.api.TraceFlags.SAMPLED)
        above = self.api.SpanContext(trace_id, parent, is_remote=True, trace_flags=flags)
        context = self.api.set_span_in_context(self.api.NonRecordingSpan(above))
        token = self.ids.given.set((trace_id, own)) if own else None
        try:
            return self.tracer.start_span(
                name, context, attributes=_named(told or {}), links=links, start_time=_nanos(at)
            )
        finally:
            if token is not None:
                self.ids.given.reset(token)


_on: _On | None = None
_current: "ContextVar[tuple[Episode, int, Span] | None]" = ContextVar("mendline_span", default=None)


def start(version: str, instance: str) -> None:
    """Switches tracing on where the environment says where to send it; `instance` names this process."""
    global _on
    where = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or os.environ.get(
        "OTEL_EXPORTER_OTLP_ENDPOINT"
    )
    off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if where and not off and os.environ.get("OTEL_TRACES_EXPORTER", "otlp") != "none":
        _on = _On(version, instance)


def stop() -> None:
    """Sends what is left."""
    global _on
    if _on is not None:
        _on.provider.shutdown()
        _on = None


def on() -> bool:
    """Whether anything is traced."""
    return _on is not None


def opened(
    of: Episode, received: datetime, committing: datetime, ended: datetime, came_with: Sequence[str]
) -> None:
    """The first spans of an episode, `ingest` and in it `group`, linked to the traces that its events came with."""
    if _on is None or not (trace_id := _on.trace_id(of)):
        return
    root = _derived(8, of.incident_id, str(of.number))
    links = [link for text in dict.fromkeys(came_with) if (link := _link(_on, text))][:_MOST_LINKS]
    begun = _on.begin("ingest", trace_id, 0, root, received, links, _about(of))
    _on.begin("group", trace_id, root, 0, committing, told=_about(of)).end(_nanos(ended))
    begun.end(_nanos(ended))


@contextmanager
def step(name: str, whose: Callable[[], Episode]) -> Iterator[None]:
    """A span for a step of the work on an episode; `whose` is asked only while tracing is on."""
    if _on is None:
        yield
        return
    try:
        of = whose()
        trace_id = _on.trace_id(of)
    except Exception as error:
        # A trace is not worth a repair.
        log(__name__).warning("trace.lost", step=name, says=type(error).__name__)
        trace_id = 0
    if not trace_id:
        yield
        return
    parent = _derived(8, of.under) if of.under else _derived(8, of.incident_id, str(of.number))
    plain = " ".join(word for word in name.split() if not word[0].isdigit())
    with _running(_on.begin(plain, trace_id, parent, told={"step": name, **_about(of)}), of, trace_id):
        yield


@contextmanager
def part(name: str, /, **attributes: Value) -> Iterator[None]:
    """A span within the step that runs in this thread; nothing without one."""
    current = _current.get()
    if _on is None or current is None:
        yield
        return
    of, trace_id, above = current
    span = _on.begin(name, trace_id, above.get_span_context().span_id, told=attributes)
    with _running(span, of, trace_id):
        yield


@contextmanager
def _running(span: "Span", of: Episode, trace_id: int) -> Iterator[None]:
    token = _current.set((of, trace_id, span))
    try:
        with bound_contextvars(trace_id=f"{trace_id:032x}", incident_id=of.incident_id):
            yield
    except BaseException as error:
        from opentelemetry.trace import StatusCode

        span.set_attribute("error.type", type(error).__name__)
        span.set_status(StatusCode.ERROR)
        raise
    finally:
        _current.reset(token)
        span.end()


def past(name: str, began: datetime, ended: datetime, own: str = "", /, **attributes: Value) -> None:
    """A span that is over, of the episode that this thread works on; `own`: what its parts are `under`."""
    current = _current.get()
    if _on is None or current is None:
        return
    of, trace_id, _ = current
    root = _derived(8, of.incident_id, str(of.number))
    told = _about(of) | attributes
    _on.begin(name, trace_id, root, _derived(8, own) if own else 0, began, told=told).end(_nanos(ended))


def note(**attributes: Value) -> None:
    """Adds to the span of the step that runs in this thread."""
    if (current := _current.get()) is not None:
        current[2].set_attributes(_named(attributes))


def _about(of: Episode) -> dict[str, Value]:
    return {"incident_id": of.incident_id, "episode": of.number}


def _named(attributes: Mapping[str, Value]) -> dict[str, Any]:
    """Under the names that they have outside: `mendline.incident_id`; there are no conventions for ours."""
    return {f"mendline.{name}": value for name, value in attributes.items()}


def _derived(size: int, *parts: str) -> int:
    return int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:size], "big") or 1


def _nanos(at: datetime | None) -> int | None:
    return int(at.timestamp() * 1_000_000) * 1000 if at else None


def _link(on_: _On, came_with: str) -> "Link | None":
    """To the span that a W3C `traceparent` names; None for one that names none."""
    found = _PARENT.fullmatch(came_with)
    if not found or not (trace_id := int(found[1], 16)) or not (span_id := int(found[2], 16)):
        return None
    flags = on_.api.TraceFlags(int(found[3], 16))
    link: Link = on_.api.Link(on_.api.SpanContext(trace_id, span_id, is_remote=True, trace_flags=flags))
    return link
