"""What a client would not expect of an answer, in words."""

from __future__ import annotations

from router.types import Sampling, StrategySpec
from workers.meter import Meter
from workers.protocols import SamplingParams, SearchResult
from workers.replies import thought_only
from workers.steps import Steps


def notice_of(
    asked: Sampling,
    params: SamplingParams,
    spec: StrategySpec,
    steps: Steps,
    result: SearchResult,
    meter: Meter,
    *,
    sampled: bool,
) -> str | None:
    """That its temperature did not hold, where anything was ``sampled``, or that something ended early."""
    notices = thought_only(steps, result, params.max_tokens)
    if sampled and asked.temperature == 0:
        notices.append(
            f"temperature 0 holds for direct answers only; the search sampled at {params.temperature:g}"
        )
    by_then = f"the answer is the best of {len(result.candidates)} by then"
    if meter.failure is not None:
        notices.append(f"the search broke off ({meter.failure}): {by_then}")
    elif meter.deadline_reached:
        notices.append(f"the deadline ended the search: {by_then}")
    elif meter.token_cap_reached:
        notices.append(f"the token cap ended the search: {by_then}")
    elif result.stopped is not None and spec.stopping.rule != "leader":  # which changes no answer
        notices.append(f"the search stopped early: {result.stopped}")
    return "; ".join(notices) or None
