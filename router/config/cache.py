"""What is answered from memory: whole answers, and the candidates of searches."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from router.config.fields import Count, Real, Section


def _off(value: object) -> object:
    """YAML reads a bare ``off`` as false."""
    return "off" if value is False else value


class Cache(Section):
    """``mode`` says whose answers are kept: nobody's, those of requests that ask for the same answer again
    (temperature 0, or a seed) or for the cache by name, or everybody's.

    ``scope`` is who shares them. Answers of searches less sure than ``min_confidence`` are not kept.
    ``max_bytes`` bounds all answers together, and all candidates together.
    """

    mode: Annotated[Literal["off", "deterministic", "all"], BeforeValidator(_off)] = "off"
    scope: Literal["key", "team", "everybody"] = "key"
    candidates: bool = Field(default=False, strict=True)
    ttl_s: Count = 3600
    max_entry_bytes: Count = 262_144
    max_bytes: Count = 67_108_864
    min_confidence: Real = Field(default=0.5, ge=0, le=1)
