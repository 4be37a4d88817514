"""What to expect of queries before anything is generated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from router.outcome_table import Action

Floats = NDArray[np.float64]
Rows = slice | Sequence[int] | NDArray[np.intp]
"""Which of N queries."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """N queries by A actions.

    ``right`` [N, A] is P(the action is right), calibrated. ``completion_tokens`` [N, A] are expected of one
    answer of the action's model, NaN where nobody measured. ``familiarity`` [N] is a conformal p-value: the
    share of held-out prompts of the fitted traffic that look at least as strange (small: an unseen kind).
    """

    actions: tuple[Action, ...]
    right: Floats
    completion_tokens: Floats
    familiarity: Floats

    def of(self, rows: Rows) -> Forecast:
        """That of some queries alone."""
        return Forecast(self.actions, self.right[rows], self.completion_tokens[rows], self.familiarity[rows])

    def apart(self) -> list[Forecast]:
        """That of each query, with numbers of its own: who keeps one does not keep all."""
        if len(self.right) == 1:
            return [self]
        rows = zip(
            self.right[:, None], self.completion_tokens[:, None], self.familiarity[:, None], strict=True
        )
        return [
            Forecast(self.actions, right.copy(), tokens.copy(), familiarity.copy())
            for right, tokens, familiarity in rows
        ]


def joined(each: Sequence[Forecast]) -> Forecast:
    """Of one predictor, one after the other."""
    if len(each) == 1:
        return each[0]
    return Forecast(
        each[0].actions,
        np.concatenate([one.right for one in each]),
        np.concatenate([one.completion_tokens for one in each]),
        np.concatenate([one.familiarity for one in each]),
    )
