"""Decides after a probe: looks up what the plan says of what was seen. What a worker needs of the router."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from router.decision import Objective, choose
from router.probe import difficulty_of, p_right_of
from router.types import Branch, Decision, Evidence, Plan
from router.words import say


def replan(plan: Plan, stage: int, evidence: Evidence) -> Decision | None:
    """The branch that the evidence of a stage leads to; ``None``: the next stage is wanted.

    What broke off before it had the stage's samples is all that there will be: the last stage's then.
    """
    found = plan.stages[stage]
    last = stage == len(plan.stages) - 1 or len(evidence.scores) < found.samples
    if last:
        found = replace(plan.stages[-1], reading=found.reading)
    difficulty = difficulty_of(evidence, found.reading)
    for branch in found.branches:
        if branch.above < difficulty.p_right <= branch.up_to or difficulty.p_right == branch.above == 0:
            return Decision(difficulty, _as_seen(plan, branch, evidence), evidence)
    if last:
        raise ValueError(
            f"the plan has no branch for {difficulty.p_right}: its last stage must cover everything"
        )
    return None


def _as_seen(plan: Plan, branch: Branch, evidence: Evidence) -> Branch:
    """The branch with the best of its ways by all that was seen, where there are readings of them."""
    if not branch.readings or plan.worth is None:
        return branch
    ways = (branch.chosen, *branch.rejected)
    costs = [way.expected_cost_usd for way in ways]
    if None in costs:  # nothing can be weighed: what was planned holds
        return branch
    right = [p_right_of(evidence, reading) for reading in branch.readings]
    objective = Objective(plan.worth.usd_per_right_answer, plan.worth.min_accuracy)
    everything = np.ones(len(ways), dtype=np.bool_)
    best = int(choose(np.array(right), np.array(costs, dtype=float), everything, objective, np.array(False)))
    seen = [replace(way, accuracy=p_right) for way, p_right in zip(ways, right, strict=True)]
    chosen = seen.pop(best)
    reason = f"by what the probe saw: {say(chosen)}; rather than {' or '.join(map(say, seen))}"
    return replace(branch, chosen=chosen, rejected=tuple(seen), reason=reason, readings=())
