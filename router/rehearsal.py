"""Plays a policy on queries whose outcomes are known: what tuning, certifying and replaying rest on.

The decision is the one that is made online (:mod:`router.weighing`), for thousands of queries at once; costs
to decide by come from :mod:`router.cost_grid`, and what came of a decision from what was recorded.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from router.cost_grid import CostGrid, ask_for, cost_grid
from router.decision import NOTHING, Objective, Tree, choose, follow
from router.market import Market
from router.prospects import Guide, Prospect
from router.table import Case, bounds_of
from router.weighing import Costs, contenders, weigh

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Recorded:
    """What came of N queries: ``right`` and ``cost_usd`` [N, A] by the ways of a prospect; NaN is unknown.

    Costs are float64: estimates over many queries, never billed. That of a search on the small model is of
    the whole search, its probe included. ``probe_usd`` [N] is of a probe of ``probe_samples`` [N] in one
    batch, ``p_right`` [N, S] the posterior after each stage, ``seen_right`` [N, S, A] what a predictor then
    says of the ways: ``None`` of a table, which only knows the bin.
    """

    right: Floats
    cost_usd: Floats
    probe_usd: Floats
    probe_samples: Floats
    p_right: Floats
    seen_right: Floats | None


@dataclass(frozen=True, slots=True)
class Played:
    """What a policy did with N queries, and what came of it.

    ``way`` is an index of the prospect's ways (:data:`router.decision.NOTHING`: the probe's samples voted),
    ``samples`` how many a probe took. ``right`` and ``cost_usd`` are NaN where that was not recorded;
    ``expected_right`` and ``expected_usd`` are what the policy expected beforehand. ``blind`` queries would
    be probed, and what a probe sees was not recorded so far: there is no telling their ``way``.
    """

    way: Indices
    samples: Indices
    right: Floats
    cost_usd: Floats
    expected_right: Floats
    expected_usd: Floats
    blind: Bools


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A policy with its guide, ready to be played; ``stages`` of a probe are what its cap allows."""

    guide: Guide
    objective: Objective
    probe: str
    grid: CostGrid
    stages: int

    def play(
        self,
        prospect: Prospect,
        recorded: Recorded,
        prompt_tokens: Floats,
        objective: Objective | None = None,
    ) -> Played:
        """N queries with prompts of ``prompt_tokens`` [N]; ``objective`` in place of the policy's."""
        objective = objective or self.objective
        prospect = replace(prospect, stages=prospect.stages[: self.stages])
        costs = self.grid.costs(prospect, prompt_tokens)
        weighed = weigh(prospect, costs, objective)
        count = len(prompt_tokens)
        way, samples = weighed.direct, np.zeros(count, dtype=np.intp)
        right, cost_usd = _taken(recorded.right, way), _taken(recorded.cost_usd, way)
        blind = np.zeros(count, dtype=np.bool_)
        rows = np.arange(count)
        expected_right = _taken(prospect.right, way)
        expected_usd = _taken(costs.direct_usd, way)
        if weighed.tree is not None:
            probes = self._probes(weighed.probes, weighed.tree.action[-1], prospect)
            expected_right = np.where(probes, weighed.tree.right, expected_right)
            expected_usd = np.where(probes, weighed.tree.cost_usd, expected_usd)
            p_right = recorded.p_right[:, : self.stages]
            levels = np.searchsorted(prospect.edges, np.nan_to_num(p_right), side="left")
            stage, probed = follow(weighed.tree, levels)
            blind = probes & np.isnan(p_right[rows, stage])
            if recorded.seen_right is not None:
                seen_right = recorded.seen_right[rows, stage]
                probed = _as_seen(prospect, costs, weighed.tree, seen_right, stage, probed, objective)
            sizes = np.array([each.samples for each in prospect.stages])
            way = np.where(probes, probed, way)
            samples = np.where(probes, sizes[stage], 0)
            share = self.grid.read_share(prospect, prompt_tokens, recorded.probe_samples)
            probed_usd = _probed_usd(prospect, recorded, way, stage + 1, sizes[stage], share)
            right = _taken(recorded.right, way)
            cost_usd = np.where(probes, probed_usd, cost_usd)
        return Played(
            way,
            samples,
            np.where(blind, np.nan, right),
            np.where(blind, np.nan, cost_usd),
            expected_right,
            expected_usd,
            blind,
        )

    def _probes(self, worth: Bools, last: Indices, prospect: Prospect) -> Bools:
        """As :func:`router.policy.plan` decides it."""
        if self.probe == "always":
            return np.ones(len(worth), dtype=np.bool_)
        if self.guide.predicts:
            return worth
        small = np.array([way.route == "small" for way in prospect.ways])
        ends_small: Bools = (small[np.maximum(last, 0)] | (last == NOTHING)).any(axis=1)
        return ends_small


def rehearse(
    market: Market,
    policy_name: str,
    guide: Guide,
    prospect: Prospect,
    prompt_tokens: float,
    *,
    readers: Collection[str] | None = None,
    must_probe: bool = False,
) -> Rehearsal:
    """Get a policy ready. ``prospect`` is any of the guide's; caps are looked at for a prompt so long.

    ``readers`` are the models that can read it, all by default.
    """
    probe = "always" if must_probe else market.config.policies[policy_name].probe
    readers = market.config.models.keys() if readers is None else readers
    case = Case(policy_name, market, ask_for(prompt_tokens), "", readers, explained=False)
    bounds = bounds_of(case, prospect, 0, readers)
    grid, stages = cost_grid(case, prospect, bounds), len(bounds.after)
    return Rehearsal(guide, market.objectives[policy_name], probe, grid, stages)


def _as_seen(
    prospect: Prospect,
    costs: Costs,
    tree: Tree,
    seen_right: Floats,
    stage: Indices,
    planned: Indices,
    objective: Objective,
) -> Indices:
    """The best way by all that was seen [N, A] where each probe stopped, as :mod:`router.replanning` chooses.

    Where a cost is unknown what was ``planned`` [N] is done.
    """
    rows = np.arange(len(stage))
    shape = prospect.right.shape
    after_usd = np.stack([np.broadcast_to(usd[:, 0], shape) for usd in costs.after_usd])[stage, rows]
    stages = range(len(prospect.stages))
    may_be = np.stack([contenders(tree, each, shape[1]) for each in stages])[stage, rows]
    best = choose(np.nan_to_num(seen_right), after_usd, may_be, objective, np.array(False))
    return np.where((may_be & np.isnan(after_usd)).any(axis=1), planned, best)


def _taken(values: Floats, way: Indices) -> Floats:
    """[N] of values [N, A]; NaN where nothing was taken."""
    found = np.take_along_axis(values, np.maximum(way, 0)[:, None], axis=1)[:, 0]
    return np.where(way == NOTHING, np.nan, found)


def _probed_usd(
    prospect: Prospect, recorded: Recorded, way: Indices, stages: Indices, samples: Indices, share: Floats
) -> Floats:
    """What a way [N] cost after a probe of ``samples`` [N] in so many ``stages`` [N].

    Each stage is a batch of its own, and so are the samples that a search lacks after it: each reads the
    prompt again, which is ``share`` [N] of what one batch cost.
    """
    reads_usd = recorded.probe_usd * share
    sample_usd = (recorded.probe_usd - reads_usd) / recorded.probe_samples
    taken = stages * reads_usd + samples * sample_usd
    alone = _taken(recorded.cost_usd, way)
    index = np.maximum(way, 0)
    small = np.array([one.route == "small" for one in prospect.ways])[index]
    wanted = np.array([one.spec.samples for one in prospect.ways])[index]
    # A search begins with the probe's samples: its own record has them already, and the prompt once.
    again = stages - 1 + (wanted > samples)
    return np.where(small, np.maximum(alone + again * reads_usd, taken), alone + taken)
