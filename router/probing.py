"""What a probe tells: from what was seen to the posterior that the small model is right, stage by stage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtr

Floats = NDArray[np.float64]

_EDGE = 1e-4
"""Probabilities are kept so far from 0 and 1, so that log-odds stay finite."""


@dataclass(frozen=True, slots=True)
class StageModel:
    """After ``samples`` samples in all. Everything is in log-odds; F features, A actions.

    The posterior that one sample is right is ``intercept + prior_weight * logit P(small | prompt) +
    weights . features`` (:func:`router.features.evidence.evidence_features` of the first ``samples``
    samples). Before the stage it is normal with mean ``arrive[0] + arrive[1] * before`` and deviation
    ``arrive[2]``, where ``before`` is the posterior of the stage before; of the first, the prior. An action
    is then right with ``right[a] . (1, logit P(a | prompt), posterior)`` [A, 3].

    That looks ahead: one number stands for all that may be seen. Once it *was* seen, more can be said: an
    action is right with ``seen[a] . (1, logit P(a | prompt), features)`` [A, 2 + F]. What tells that the
    small model's answer is wrong is not what tells that the large model's will be.
    """

    samples: int
    intercept: float
    prior_weight: float
    weights: Floats
    arrive: Floats
    right: Floats
    seen: Floats

    def posterior(self, prior: Floats, features: Floats) -> Floats:
        """Log-odds [N] of N queries, from their prior's log-odds [N] and features [N, F]."""
        return self.intercept + self.prior_weight * prior + features @ self.weights

    def arrivals(self, before: Floats, edges: Floats) -> Floats:
        """[N, K] how likely each of K levels is, before the stage; ``edges`` [K - 1] in log-odds, rising."""
        mean = self.arrive[0] + self.arrive[1] * before
        below = ndtr((edges[None, :] - mean[:, None]) / max(self.arrive[2], 1e-6))
        levels = np.empty((len(mean), len(edges) + 1))
        levels[:, 0], levels[:, -1] = below[:, 0], 1 - below[:, -1]
        levels[:, 1:-1] = below[:, 1:] - below[:, :-1]
        return levels

    def actions_right(self, prior: Floats, posterior: Floats) -> Floats:
        """[N, K, A] from the actions' prior log-odds [N, A] and the posterior of K levels [K]."""
        fixed = self.right[:, 0] + self.right[:, 1] * prior
        return expit(fixed[:, None, :] + self.right[:, 2] * posterior[None, :, None])  # type: ignore[no-any-return]

    def actions_seen(self, prior: Floats, features: Floats) -> Floats:
        """[N, A] from the actions' prior log-odds [N, A] and the features [N, F] that were seen."""
        fixed = self.seen[:, 0] + self.seen[:, 1] * prior
        return expit(fixed + features @ self.seen[:, 2:].T)  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Probing:
    """The stages of a probe of one small model, scored by one verifier; samples rise."""

    stages: tuple[StageModel, ...]


def log_odds(probability: Floats) -> Floats:
    return logit(np.clip(probability, _EDGE, 1 - _EDGE))  # type: ignore[no-any-return]
