"""From the scores of its steps to the score of a solution (Snell et al. 2024, section 5.1 and appendix E)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

Aggregation = Literal["last", "min", "prod", "mean"]

AGGREGATIONS: Mapping[Aggregation, Callable[[Sequence[float]], float]] = {
    "last": lambda scores: scores[-1],
    "min": min,
    "prod": math.prod,
    "mean": lambda scores: math.fsum(scores) / len(scores),
}


def aggregate(step_scores: Sequence[float], how: Aggregation) -> float:
    """The score (0 to 1) of a solution; 0 where there is no step to judge."""
    return AGGREGATIONS[how](step_scores) if step_scores else 0.0
