"""The rule behind every decision, over arrays: the same for one request, a batch, a certificate and a replay.

Every policy weighs a way to answer by

    usd_per_right_answer * P(right) - expected cost

(:func:`choose`). Whether to probe first is the value of information: :func:`solve` works out by backward
induction what stopping after each stage of the probe is worth, and what going on; :func:`follow` then says,
for what the probe saw, where it stops and what is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from router.forecast import Rows
from router.probe import THRESHOLDS

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Indices = NDArray[np.intp]

NOTHING = -1
"""In place of an action's index: none is allowed."""
MOST_USD = 1e9
"""A right answer is worth no more: the least difference in accuracy then outweighs any cost."""
HARD = THRESHOLDS[1][0]
"""Up to this P(right) of one sample, a query is hard (Snell et al. 2024, Algorithm 6)."""


@dataclass(frozen=True, slots=True)
class Objective:
    """What a right answer is worth; with ``min_accuracy`` the cheapest way right so often comes first.

    Of equally cheap ones the most accurate: that is BEST-Route's rule (2506.22716). ``inf`` is worth more
    than any cost: the most accurate way.
    """

    usd_per_right_answer: float
    min_accuracy: float | None = None

    def utility(self, right: Floats, cost_usd: Floats) -> Floats:
        """USD; being right more often than ``min_accuracy`` is worth no more."""
        worth = min(self.usd_per_right_answer, MOST_USD)
        if self.min_accuracy is not None:
            right = np.minimum(right, self.min_accuracy)
        return worth * right - cost_usd


def choose(right: Floats, cost_usd: Floats, allowed: Bools, objective: Objective, hard: Bools) -> Indices:
    """Which action [...] to take, by P(right) [..., A] and expected cost [..., A]; of equal ones the first.

    ``allowed`` [..., A]; where nothing is, :data:`NOTHING`. A cost that nobody knows (NaN) cannot be weighed:
    where one is allowed, the most accurate action is taken for ``hard`` [...] queries, and the first allowed
    one for the others. All are broadcast against each other.
    """
    # Where an unknown cost is allowed, what is made of it here is overruled below.
    best = np.where(allowed, objective.utility(right, cost_usd), -np.inf).argmax(axis=-1)
    if objective.min_accuracy is not None:
        usd = np.where(allowed & (right >= objective.min_accuracy), cost_usd, np.inf)
        least = usd.min(axis=-1, keepdims=True)
        cheapest = np.where(usd == least, right, -np.inf).argmax(axis=-1)
        best = np.where(least[..., 0] < np.inf, cheapest, best)
    unpriced = allowed & np.isnan(cost_usd)
    if unpriced.any():
        surest = np.where(allowed, right, -np.inf).argmax(axis=-1)
        best = np.where(unpriced.any(axis=-1), np.where(hard, surest, allowed.argmax(axis=-1)), best)
    return np.where(allowed.any(axis=-1), best, NOTHING)


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a probe, for N queries, K levels of the posterior and A actions.

    ``arrive`` is how likely each level is: of the first stage [N, K], of the others from each level of the
    stage before [1 or N, K, K]. ``right`` [N, K, A] and ``cost_usd`` [N, 1 or K, A] (of the action, beyond
    the probe) hold once the stage is done, ``allowed`` [1 or N, 1 or K, A] says what may be done then, and
    ``probe_usd`` [N] is what the stage itself costs. Where one stage of a probe has 1, all of its stages do.
    """

    arrive: Floats
    right: Floats
    cost_usd: Floats
    allowed: Bools
    probe_usd: Floats


@dataclass(frozen=True, slots=True)
class Tree:
    """What to do after each stage, by level: ``action`` [S, N, K], unless it ``goes_on`` [S, N, K].

    ``value`` (USD), ``right`` and ``cost_usd`` [N] are expected before the first stage, its cost included.
    """

    action: Indices
    goes_on: Bools
    value: Floats
    right: Floats
    cost_usd: Floats

    def of(self, rows: Rows) -> Tree:
        """That of some queries alone."""
        return Tree(
            self.action[:, rows],
            self.goes_on[:, rows],
            self.value[rows],
            self.right[rows],
            self.cost_usd[rows],
        )


def solve(stages: Sequence[Stage], objective: Objective, hard: Bools) -> Tree:
    """The best tree of decisions, by backward induction; ``hard`` [K] as in :func:`choose`.

    A stage is followed by the next only where that is worth more than what it costs: so never where every
    level that it may lead to ends in the same action, as long as P(right) at a level is the mean of what it
    leads to, and no ``min_accuracy`` makes levels differ by more than their worth. With an unknown cost (NaN)
    nothing can be weighed: no stage is then followed by another. Where nothing is allowed a query is worth
    nothing, and costs nothing.
    """
    right = np.array([stage.right for stage in stages])
    cost_usd = np.array([stage.cost_usd for stage in stages])
    allowed = np.array([stage.allowed for stage in stages])
    action = choose(right, cost_usd, allowed, objective, hard)
    # P(right) and cost [2, S, N, K] of what is done at each level, and of going on from there.
    done = np.array([_of(action, right), _of(action, cost_usd)])
    stopping = objective.utility(*done)
    goes_on = np.zeros(action.shape, dtype=np.bool_)
    for index in range(len(stages) - 1, 0, -1):
        stage, before = stages[index], index - 1
        # [N, K before, K] x [2, N, 1, K]: what arriving at this stage from each level before is worth.
        later = (stage.arrive * done[:, index, :, None]).sum(axis=-1)
        later[1] += stage.probe_usd[:, None]
        goes_on[before] = objective.utility(*later) > stopping[before]
        done[:, before] = np.where(goes_on[before], later, done[:, before])
    right_first, cost_first = (stages[0].arrive * done[:, 0]).sum(axis=-1)
    cost_first += stages[0].probe_usd
    return Tree(action, goes_on, objective.utility(right_first, cost_first), right_first, cost_first)


def _of(action: Indices, values: Floats) -> Floats:
    """[S, N, K] the value [S, N, 1 or K, A] of the action; 0 of none."""
    places = np.arange(0, values.size, values.shape[-1]).reshape(values.shape[:-1]) + action
    return np.where(action == NOTHING, 0.0, values.take(places))


def follow(tree: Tree, levels: Indices) -> tuple[Indices, Indices]:
    """(stage [N], action [N]) where the probe stops, for the levels [N, S] that it would see."""
    rows = np.arange(levels.shape[0])
    last = tree.action.shape[0] - 1
    stops = np.stack(
        [~tree.goes_on[stage, rows, levels[:, stage]] | (stage == last) for stage in range(last + 1)]
    )
    stage = stops.argmax(axis=0)
    return stage, tree.action[stage, rows, levels[rows, stage]]
