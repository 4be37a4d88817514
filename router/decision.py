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
    unpriced = np.isnan(cost_usd)
    known_usd = np.where(unpriced, 0.0, cost_usd)
    best = np.where(allowed, objective.utility(right, known_usd), -np.inf).argmax(axis=-1)
    if objective.min_accuracy is not None:
        enough = allowed & (right >= objective.min_accuracy)
        usd = np.where(enough, known_usd, np.inf)
        cheapest = enough & (usd == usd.min(axis=-1, keepdims=True))
        best = np.where(enough.any(axis=-1), np.where(cheapest, right, -np.inf).argmax(axis=-1), best)
    if unpriced.any():
        unknown = (allowed & unpriced).any(axis=-1)
        surest = np.where(allowed, right, -np.inf).argmax(axis=-1)
        best = np.where(unknown, np.where(hard, surest, allowed.argmax(axis=-1)), best)
    return np.where(allowed.any(axis=-1), best, NOTHING)


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a probe, for N queries, K levels of the posterior and A actions.

    ``arrive`` is how likely each level is: of the first stage [N, K], of the others from each level of the
    stage before [1 or N, K, K]. ``right`` [N, K, A] and ``cost_usd`` [N, 1 or K, A] (of the action, beyond
    the probe) hold once the stage is done, ``allowed`` [1 or N, 1 or K, A] says what may be done then, and
    ``probe_usd`` [N] is what the stage itself costs.
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


def solve(stages: Sequence[Stage], objective: Objective, hard: Bools) -> Tree:
    """The best tree of decisions, by backward induction; ``hard`` [K] as in :func:`choose`.

    A stage is followed by the next only where that is worth more than what it costs: so never where every
    level that it may lead to ends in the same action, as long as P(right) at a level is the mean of what it
    leads to, and no ``min_accuracy`` makes levels differ by more than their worth. With an unknown cost (NaN)
    nothing can be weighed: no stage is then followed by another. Where nothing is allowed a query is worth
    nothing, and costs nothing.
    """
    actions, going = [], []
    later: tuple[Floats, Floats] | None = None  # P(right) and cost [N, K] of going on from the stage at hand
    for index in range(len(stages) - 1, -1, -1):
        stage = stages[index]
        action = choose(stage.right, stage.cost_usd, stage.allowed, objective, hard)
        right = _of(action, stage.right)
        cost_usd = _of(action, np.broadcast_to(stage.cost_usd, stage.right.shape))
        go_on = np.zeros(action.shape, dtype=np.bool_)
        if later is not None:
            go_on = objective.utility(*later) > objective.utility(right, cost_usd)
            right, cost_usd = np.where(go_on, later[0], right), np.where(go_on, later[1], cost_usd)
        actions.append(action)
        going.append(go_on)
        if index:
            # [N, K before, K] x [N, K]: what arriving at this stage from each level before is worth.
            later = (
                (stage.arrive * right[:, None, :]).sum(-1),
                (stage.arrive * cost_usd[:, None, :]).sum(-1) + stage.probe_usd[:, None],
            )
    first = stages[0]
    right_first = (first.arrive * right).sum(-1)
    cost_first = (first.arrive * cost_usd).sum(-1) + first.probe_usd
    return Tree(
        np.stack(actions[::-1]),
        np.stack(going[::-1]),
        objective.utility(right_first, cost_first),
        right_first,
        cost_first,
    )


def _of(action: Indices, values: Floats) -> Floats:
    """[N, K] the value [N, K, A] of the action; 0 of none."""
    taken = np.take_along_axis(values, np.maximum(action, 0)[..., None], axis=-1)[..., 0]
    return np.where(action == NOTHING, 0.0, taken)


def follow(tree: Tree, levels: Indices) -> tuple[Indices, Indices]:
    """(stage [N], action [N]) where the probe stops, for the levels [N, S] that it would see."""
    rows = np.arange(levels.shape[0])
    last = tree.action.shape[0] - 1
    stops = np.stack(
        [~tree.goes_on[stage, rows, levels[:, stage]] | (stage == last) for stage in range(last + 1)]
    )
    stage = stops.argmax(axis=0)
    return stage, tree.action[stage, rows, levels[rows, stage]]
