"""What a gateway and its workers say about themselves, and what is recorded of answers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator

from router.config.fields import Count, Name, Section


class Telemetry(Section):
    """``metrics`` says who may read ``/metrics``; ``None``: the admin where keys are asked for, else all.

    Traces have no settings here: OpenTelemetry's own variables turn them on (:mod:`router.tracing`).
    """

    metrics: Literal["open", "admin", "none"] | None = None
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class Recording(Section):
    """Outcome records: what they say of prompts, when a file is full, and how long files are kept."""

    path: Name
    prompts: Literal["full", "hashed", "none"] = "full"
    max_bytes: Count | None = None
    retention_days: Count | None = None


def _path_alone(value: object) -> object:
    return {"path": value} if isinstance(value, str) else value


Records = Annotated[Recording, BeforeValidator(_path_alone)]
"""A path alone is enough."""
