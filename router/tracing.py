"""Traces, where somebody wants them: spans over gateway, queue and worker, one trace a request.

OpenTelemetry is an extra, and nothing of it is imported unless its own variables name a collector
(``OTEL_EXPORTER_OTLP_ENDPOINT``); it reads all others itself (sampling, headers, batches). Spans hold names
and counts, never a text of a request: of an error they have the code, not the message.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.metadata import entry_points
from typing import Any, Final

log = logging.getLogger(__name__)

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_NOTHING: Final = nullcontext()
_tracer: Any = None  # of the process, as OpenTelemetry has it


def turn_on(service: str, environ: Mapping[str, str]) -> bool:
    """Send spans to the collector that ``environ`` names, if it names one; whether it does."""
    disabled = environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if disabled or environ.get("OTEL_TRACES_EXPORTER") == "none" or not any(map(environ.get, _ENDPOINTS)):
        return False
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError:
        log.warning("nothing is traced: that needs OpenTelemetry (pip install 'gradus[tracing]')")
        return False
    (exporter,) = entry_points(group="opentelemetry_traces_exporter", name="otlp_proto_http")
    named = {} if environ.get("OTEL_SERVICE_NAME") else {"service.name": service}
    provider = TracerProvider(resource=Resource.create(named))
    provider.add_span_processor(BatchSpanProcessor(exporter.load()()))
    use(provider)
    return True


def use(provider: Any) -> None:
    """Make spans with a ``TracerProvider`` of OpenTelemetry; with ``None`` no more."""
    global _tracer  # noqa: PLW0603  (one of a process)
    _tracer = None if provider is None else provider.get_tracer("gradus")


def is_on() -> bool:
    """Whether spans go anywhere: for what is only read to be said in them."""
    return _tracer is not None


def span(
    name: str, parent: Mapping[str, str] | None = None, **attributes: Any
) -> AbstractContextManager[Any]:
    """A span around a ``with`` block, under the current one; it is ``None`` where nothing is traced.

    ``parent`` is what :func:`carrier` gave elsewhere. Attributes that are ``None`` are left out.
    """
    if _tracer is None:
        return _NOTHING
    return _traced(name, parent, {key: value for key, value in attributes.items() if value is not None})


def carrier() -> dict[str, str]:
    """The current span, as headers that tell another process of it (W3C Trace Context)."""
    headers: dict[str, str] = {}
    if _tracer is not None:
        from opentelemetry.propagate import inject

        inject(headers)
    return headers


@contextmanager
def _traced(name: str, parent: Mapping[str, str] | None, attributes: Mapping[str, Any]) -> Iterator[Any]:
    from opentelemetry.propagate import extract
    from opentelemetry.trace import StatusCode

    with _tracer.start_as_current_span(
        name,
        None if parent is None else extract(parent),
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        try:
            yield current
        except BaseException as error:
            current.set_status(StatusCode.ERROR)
            current.set_attribute("error.type", getattr(error, "code", None) or type(error).__name__)
            raise
