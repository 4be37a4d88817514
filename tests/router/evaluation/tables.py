"""Small tables of outcomes for the tests of evaluation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from router.outcome_table import Action, OutcomeTable
from router.types import Evidence


def table(
    right: ArrayLike,
    *,
    cost_usd: ArrayLike | None = None,
    prompts: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
    actions: Sequence[Action] = (Action("weak", "small", "weak"), Action("strong", "large", "strong")),
    evidence: Sequence[Evidence | None] | None = None,
    probe_usd: ArrayLike | None = None,
    after_probe_usd: ArrayLike | None = None,
) -> OutcomeTable:
    """Of ``right`` [N, A]; what is not given is unknown, and every question is a group of its own."""
    quality = np.asarray(right, float)
    count = len(quality)
    ids = tuple(f"q{each}" for each in range(count))
    unknown = np.full(quality.shape, np.nan)

    def known(values: ArrayLike | None) -> np.ndarray:
        return unknown.copy() if values is None else np.broadcast_to(np.asarray(values, float), quality.shape)

    return OutcomeTable(
        ids=ids,
        prompts=tuple(prompts) if prompts else tuple(f"question number {each}" for each in ids),
        groups=tuple(groups) if groups else ids,
        segments=("",) * count,
        actions=tuple(actions),
        right=quality,
        cost_usd=known(cost_usd),
        after_probe_usd=known(after_probe_usd),
        completion_tokens=unknown.copy(),
        seconds=unknown.copy(),
        prompt_tokens=np.full(count, np.nan),
        probe_usd=np.full(count, np.nan) if probe_usd is None else np.asarray(probe_usd, float),
        evidence=tuple(evidence) if evidence else (None,) * count,
    )
