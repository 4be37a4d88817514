"""Decisions in words, with their numbers: for people who ask why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from math import isinf

from router.config import Policy
from router.decision import HARD, Objective
from router.market import Market
from router.probe import bin_of
from router.types import Alternative, Bin, Branch, Plan
from router.words import say, usd


def why(
    difficulty_bin: Bin | None,
    p_right: tuple[float, float],
    policy: Policy,
    objective: Objective,
    chosen: Alternative,
    rejected: Sequence[Alternative],
    cut: bool,
    unseen: bool,
) -> str:
    """Why ``chosen`` was taken and not ``rejected``, where P(right) of a sample is in the range ``p_right``.

    ``cut``: the cap, or the ceiling of the latency, had a say in it. ``unseen``: the prompt is like none of
    those that anything was measured on.
    """
    reason = f"{_words(difficulty_bin, p_right)}: {say(chosen, unseen=unseen)}"
    if rejected:
        reason += f"; rather than {' or '.join(say(each, unseen=unseen) for each in rejected)}"
        if objective.min_accuracy is not None and chosen.accuracy >= objective.min_accuracy:
            reason += f"; {objective.min_accuracy:.0%} is enough"
        else:
            reason += f"; a right answer is worth {_worth(policy, objective)}"
    else:
        reason += "; there is no other way"
    if cut and policy.max_cost_usd is not None:
        reason += f"; the cap is {usd(policy.max_cost_usd)}"
    if cut and policy.max_latency_s is not None:
        reason += f"; the ceiling is {policy.max_latency_s:g} s"
    return reason


def told_as_unseen(plan: Plan, policy: Policy) -> Plan:
    """The same plan of a prompt like none that the predictor was fitted on; every reason begins with that."""
    stages = tuple(
        replace(
            stage,
            branches=tuple(
                replace(branch, reason=f"{_unlike(plan, policy, branch)}; {branch.reason}")
                for branch in stage.branches
            ),
        )
        for stage in plan.stages
    )
    return replace(plan, stages=stages)


def _unlike(plan: Plan, policy: Policy, branch: Branch) -> str:
    """``unseen`` is said to have decided only where it did: a model's context, and a cap, come first."""
    if policy.unseen == "probe":
        done, held = "probed", plan.probe_samples > 0
    else:
        done, held = f"a {policy.unseen} model answers", branch.chosen.route == policy.unseen
    then = f"{done}, as `unseen: {policy.unseen}` says" if held else "nothing forecast of it counts"
    return (
        f"unlike what the predictor was fitted on (familiarity {plan.familiarity:.2g}, at most "
        f"{policy.unseen_below:g} counts as unseen): {then}"
    )


def nowhere_to_go(policy_name: str, policy: Policy, p_right_up_to: float) -> str | None:
    """What the client of a hard query is told where there is no large model."""
    if policy.large is not None or p_right_up_to > HARD:
        return None
    return (
        f"this query looks {_words(bin_of(p_right_up_to), (0.0, 1.0))} for {policy.small}, and had nowhere "
        f"to go: policy {policy_name!r} has no large model (GRADUS_LARGE_MODEL names one)"
    )


def in_doubt(market: Market, policy: Policy, chosen: Alternative) -> str | None:
    """What the client is told of a vote that stands in for trust in the verifier."""
    return market.shortfalls.get(policy.verifier) if chosen.strategy.name == "majority" else None


def _worth(policy: Policy, objective: Objective) -> str:
    if isinf(objective.usd_per_right_answer):
        return "any sum"
    worth = usd(Decimal(repr(objective.usd_per_right_answer)))
    return f"{worth} (tuned for {policy.objective})" if policy.is_tuned else worth


def _words(difficulty_bin: Bin | None, p_right: tuple[float, float]) -> str:
    if difficulty_bin is not None:
        return difficulty_bin.replace("_", " ")
    return "any difficulty" if p_right == (0, 1) else f"P(right) {p_right[0]:g} to {p_right[1]:g}"
