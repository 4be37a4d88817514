"""Which request a job is for: told in the headers of its message, so that logs and traces name it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from router.logs import REQUEST_ID
from router.tracing import span


@contextmanager
def working_for(headers: Mapping[str, Any]) -> Iterator[None]:
    """While a job runs in this thread. ``headers`` are those of its Celery message."""
    token = REQUEST_ID.set(headers.get("gradus_request_id"))
    trace = {name: str(headers[name]) for name in ("traceparent", "tracestate") if headers.get(name)}
    try:
        with span("worker job", trace, **{"gradus.request_id": REQUEST_ID.get()}):
            yield
    finally:
        REQUEST_ID.reset(token)
