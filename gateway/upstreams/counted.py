"""Calls of servers, counted and traced."""

from __future__ import annotations

import time
from asyncio import CancelledError
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from gateway.errors import DeadlineExceeded
from gateway.telemetry.metrics import called
from gateway.upstreams.port import Refusal
from router.config import Deployed
from router.tracing import span


@contextmanager
def calling(model: str, deployed: Deployed) -> Iterator[None]:
    """While a deployment is asked. How that ends says what is counted."""
    name, outcome, began_s = deployment_name(deployed), "answered", time.perf_counter()
    try:
        with span("upstream call", model=model, deployment=name):
            yield
    except Refusal:
        outcome = "refused"
        raise
    except DeadlineExceeded:
        outcome = "too_late"
        raise
    except (CancelledError, GeneratorExit):
        outcome = "cancelled"
        raise
    except BaseException:
        outcome = "failed"
        raise
    finally:
        called(model, name, outcome, time.perf_counter() - began_s)


def deployment_name(deployed: Deployed) -> str:
    """Where it is, and what the model is called there."""
    host = urlsplit(deployed.base_url or "").netloc.rpartition("@")[2]
    return f"{host}/{deployed.model}" if host else deployed.model
