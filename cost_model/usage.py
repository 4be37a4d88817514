"""What was consumed, by purpose: the lines whose sum is the bill."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

from cost_model.prices import add_usd

Purpose = Literal["probe", "candidate", "verifier", "direct", "escalation", "cache"]
"""``cache``: what was generated for an earlier request and is used again: no tokens, no cost."""


@dataclass(frozen=True, slots=True)
class Usage:
    """One line of consumption: everything one purpose used on one model.

    ``calls`` counts generated (or scored) sequences. A prompt that n sequences of one batch share is
    counted once, as OpenAI counts ``n``: the engine reads it once. ``cached_prompt_tokens`` are those of the
    prompt tokens that the engine still held, ``reasoning_tokens`` those of the completion tokens that were
    thinking. ``seconds`` is wall time, and it is not additive across concurrent calls. ``flops`` and
    ``cost_usd`` are ``None`` while unknown (never 0).
    """

    purpose: Purpose
    model: str
    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_prompt_tokens: int = 0
    reasoning_tokens: int = 0
    seconds: float = 0.0
    flops: float | None = None
    cost_usd: Decimal | None = None

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        """Merge two lines of the same purpose and model; anything unknown in either stays unknown."""
        if (self.purpose, self.model) != (other.purpose, other.model):
            raise ValueError(
                f"only lines of one purpose and model add up: {self.purpose}/{self.model} and "
                f"{other.purpose}/{other.model}"
            )
        return replace(
            self,
            calls=self.calls + other.calls,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            cached_prompt_tokens=self.cached_prompt_tokens + other.cached_prompt_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            seconds=self.seconds + other.seconds,
            flops=None if self.flops is None or other.flops is None else self.flops + other.flops,
            cost_usd=add_usd(self.cost_usd, other.cost_usd),
        )


def merge(lines: Iterable[Usage]) -> tuple[Usage, ...]:
    """Add up the lines that share purpose and model, in order of first appearance."""
    lines = tuple(lines)
    if len(lines) < 2:
        return lines
    merged: dict[tuple[str, str], Usage] = {}
    for line in lines:
        key = (line.purpose, line.model)
        merged[key] = merged[key] + line if key in merged else line
    return tuple(merged.values())
