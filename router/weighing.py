"""Weighs the ways of a prospect against their costs: the step between forecasts and plans.

The arrays are those of :mod:`router.decision`. Online there is one query; calibration splits and replayed
traffic go through the same functions by the thousand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from router.decision import HARD, NOTHING, Objective, Stage, Tree, choose, solve
from router.forecast import Rows
from router.prospects import Prospect, middles

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Indices = NDArray[np.intp]

_HARD_LOG_ODDS = np.log(HARD / (1 - HARD))


@dataclass(frozen=True, slots=True)
class Costs:
    """Of the ways of a prospect, in USD; NaN is unknown.

    ``direct_usd`` [N, A] without a probe, ``after_usd`` [N, 1 or K, A] beyond each stage of one,
    ``probe_usd`` [N] of each stage itself. ``affordable`` [A] or [N, A], and ``affordable_after`` [A] or
    [N, 1, A] of each stage, say what caps allow.
    """

    direct_usd: Floats
    after_usd: tuple[Floats, ...]
    probe_usd: tuple[Floats, ...]
    affordable: Bools
    affordable_after: tuple[Bools, ...]

    def of(self, rows: Rows) -> Costs:
        """Those of some queries alone, where each has caps of its own."""
        return Costs(
            self.direct_usd[rows],
            tuple([usd[rows] for usd in self.after_usd]),
            tuple([usd[rows] for usd in self.probe_usd]),
            self.affordable[rows],
            tuple([allowed[rows] for allowed in self.affordable_after]),
        )

    def until(self, stages: int) -> Costs:
        """The same without the stages after so many."""
        first = slice(stages)
        return replace(
            self,
            after_usd=self.after_usd[first],
            probe_usd=self.probe_usd[first],
            affordable_after=self.affordable_after[first],
        )


@dataclass(frozen=True, slots=True)
class Weighed:
    """For N queries: the best action [N] without a probe, and the tree of one.

    ``probes`` [N]: the tree is worth more. ``tree`` is ``None`` where nothing can be probed.
    """

    direct: Indices
    tree: Tree | None
    probes: Bools


def weigh(prospect: Prospect, costs: Costs, objective: Objective) -> Weighed:
    """By expected value: a probe where what it may change is worth more than what it costs."""
    allowed, hard = prospect.offered & costs.affordable, _hard(prospect)
    if not prospect.stages:
        direct = choose(prospect.right, costs.direct_usd, allowed, objective, hard)
        return Weighed(direct, None, np.zeros(len(direct), dtype=np.bool_))
    stages = [
        Stage(stage.arrive, stage.right, after, stage.offered & affordable, probe)
        for stage, after, affordable, probe in zip(
            prospect.stages, costs.after_usd, costs.affordable_after, costs.probe_usd, strict=True
        )
    ]
    tree = solve(stages, objective, middles(prospect.edges) <= HARD)
    # Not matmul: its sums depend on how many queries there are.
    # What a probe is worth is what it may change, so the best way without one is valued by the tree's own
    # P(right): the mean of what it may lead to.
    foreseen = np.einsum("nk,nka->na", stages[0].arrive, stages[0].right)
    direct, best = choose(np.array([prospect.right, foreseen]), costs.direct_usd, allowed, objective, hard)
    rows, taken = np.arange(len(best)), np.maximum(best, 0)
    value = objective.utility(foreseen[rows, taken], costs.direct_usd[rows, taken])
    return Weighed(direct, tree, tree.value > np.where(best == NOTHING, -np.inf, value))


def contenders(tree: Tree, stage: int, actions: int) -> Bools:
    """[N, A] the actions that are the best at some level of a stage: what was seen chooses among these."""
    levels = tree.action[stage]
    found = np.zeros((len(levels), actions + 1), dtype=np.bool_)
    found[np.arange(len(levels))[:, None], levels] = True  # NOTHING is the last column
    return found[:, :actions]


def reached(tree: Tree, arrivals: Sequence[Floats], query: int) -> list[Floats]:
    """How likely one query comes to each level [K] of each stage."""
    found = [arrivals[0][query]]
    for stage, arrive in enumerate(arrivals[1:], start=1):
        going = found[-1] * tree.goes_on[stage - 1, query]
        found.append(going @ arrive[query if len(arrive) > 1 else 0])
    return found


def _hard(prospect: Prospect) -> Bools:
    """Where one answer of the small model is right too seldom, as far as anybody knows before a probe."""
    if not len(prospect.prior):
        return np.zeros(len(prospect.right), dtype=np.bool_)
    return prospect.prior <= _HARD_LOG_ODDS  # type: ignore[no-any-return]
