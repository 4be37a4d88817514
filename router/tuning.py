"""Finds the multiplier of a policy: what a right answer must be worth for the policy to get what it wants.

Every policy weighs ways to answer by usd_per_right_answer * P(right) - expected cost. Where the file says
what is wanted instead of that multiplier, a grid of multipliers is played on calibration questions, which the
predictor was not fitted on, and one is picked:

- an accuracy, absolute or as a share of the large model's, with a confidence: the cheapest of those that
  Learn-then-Test certifies (:mod:`router.guarantees`), from the most valuable right answer down;
- a sum a query: the most accurate of those that cost no more.

Always taking one action is played too. A rule has to be clearly better than the best of these, by a paired
bootstrap; else the policy *is* that action. Questions of which something
is unknown that the policy may do are left out and counted. A certificate leaves none out: what is unknown
counts against it, and where it is much nothing is certified. Costs are float64: estimates over many
questions, never billed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from router.config import Policy
from router.evaluation.bootstrap import Interval, intervals
from router.guarantees import Floats
from router.outcomes import LARGE
from router.promise import ROUTING_SHARE, Promise
from router.trials import Play, Table, Trial, table_of, usd_of

MULTIPLIERS: Final = tuple(float(each) for each in 10.0 ** np.arange(3, -6.01, -1 / 20))
"""USD per right answer, the safest first. Fixed beforehand, as a certificate needs."""

MOST_MISSING: Final = 0.01
"""Share of questions that may lack an outcome where something is certified: costs are those of the others."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """What a policy does: ``chosen``, of all ``trials`` (by falling multiplier, then the single actions).

    ``accuracy`` and ``cost_usd`` a query are those of ``units`` independent calibration questions, with 95%
    intervals: the choice was made on the same questions, so they flatter it a little. What is ``certified``
    does not. ``notice`` is what whoever runs the policy must know.
    """

    chosen: Trial
    accuracy: Interval
    cost_usd: Interval
    units: int
    reason: str
    notice: str | None
    trials: tuple[Trial, ...]


def tune(
    policy: Policy,
    simulate: Callable[[float], Play],
    singles: Mapping[str, Play],
    groups: Sequence[Any] | NDArray[Any],
    *,
    doubt: str | None = None,
) -> Tuned:
    """What ``policy`` should do, by what its rule would have done for N calibration questions.

    ``simulate`` plays the rule with a multiplier; ``singles`` are what always taking one action came to, by
    the action's name: of those alone that the policy may take. ``groups`` [N] say which questions belong
    together. A ``doubt`` about the questions is why nothing may be certified. Raises
    :class:`router.errors.CannotTune` where of no question all outcomes and costs are known.
    """
    given = policy.usd_per_right_answer
    multipliers = MULTIPLIERS if given is None else (float(given),)
    table = table_of(multipliers, [simulate(each) for each in multipliers], singles, groups)
    tuned = _by_objective(policy, table, doubt)
    always = tuned.chosen.always is not None and policy.probe == "always"
    notices = (
        tuned.notice,
        f"{table.left_out}: not all that the policy may do was recorded of them" if table.missing else None,
        "probe: always has no effect, since one way is always taken" if always else None,
    )
    return replace(tuned, notice="; ".join(each for each in notices if each) or None)


def _by_objective(policy: Policy, table: Table, doubt: str | None) -> Tuned:
    if policy.confidence is not None:
        return _certified(policy, policy.confidence, table, doubt)
    if policy.mean_cost_usd is not None:
        return _affordable(table, float(policy.mean_cost_usd))
    worth = table.multipliers[0]
    utility = worth * table.right - table.cost_usd
    if policy.min_accuracy is not None:
        return _as_said(table, utility)
    reason = f"the most worth at {usd_of(worth)} a right answer"
    return _best(table, {0, *table.alone}, utility, "USD", reason)


def _as_said(table: Table, utility: Floats) -> Tuned:
    """An accuracy query by query is no mean to compare by: the rule stays, and what it forgoes is said."""
    reason = "the file says so; min_accuracy is judged query by query"
    single = max(table.alone, key=lambda index: float(utility[index].mean()), default=None)
    if single is None:
        return _tuned(table, 0, reason)
    gain = _gain(table, utility[single] - utility[0])
    if gain.low <= 0:
        return _tuned(table, 0, reason)
    notice = (
        f"always {table.single(single)} is worth more at {usd_of(table.multipliers[0])} a right answer, by "
        f"{_said(gain)} USD a query: min_accuracy keeps the policy from it"
    )
    return _tuned(table, 0, reason, notice=notice)


def _certified(policy: Policy, confidence: float, table: Table, doubt: str | None) -> Tuned:
    """The cheapest rule that keeps the promise."""
    delta = 1 - confidence
    what = _promised(policy, confidence)
    always = _large(policy, table)
    if policy.min_share_of_large is not None and always is None:
        doubt = f"{_limits(policy)} forbids {policy.large}, there is nothing to compare with"
    elif table.missing > MOST_MISSING * table.questions:
        doubt = (
            f"outcomes of {table.missing:,} of {table.questions:,} questions are missing, which is too many"
        )
    if doubt is not None:
        return _uncertified(policy, table, f"{what} is not certified: {doubt}")
    promise = _promise(policy, table, always)
    sure = promise.certified(table.least_right, len(table.rules), delta)
    if promise.large is not None:
        assert always is not None, "it is promised by that"
        sure.add(always)  # it is as right as itself
        if sure == {always}:
            needed = _needed(promise, table.least_right[0], delta)
            notice = f"nothing but it is certified for {what}: {needed}"
            return _tuned(table, always, "as right as itself", sure, notice)
    if not sure:
        safest = int(table.least_right.mean(axis=1).argmax())
        needed = _needed(promise, table.least_right[safest], delta)
        return _uncertified(policy, table, f"{what} cannot be certified: {needed}")
    return _best(table, sure, -table.cost_usd, "USD", f"the cheapest of those certified for {what}", sure)


def _uncertified(policy: Policy, table: Table, notice: str) -> Tuned:
    """What is left: the large model where its accuracy is wanted, else the most accurate."""
    large = None if policy.min_share_of_large is None else _large(policy, table)
    if large is not None:
        return _tuned(table, large, "as right as itself", notice=notice)
    found = _best(
        table, {*table.rules, *table.alone}, table.right, "right answers", "the most accurate of all"
    )
    return replace(found, notice="; ".join(each for each in (notice, found.notice) if each))


def _affordable(table: Table, budget_usd: float) -> Tuned:
    """The most accurate rule for so much a query."""
    costs = table.cost_usd.mean(axis=1)
    within = set(np.flatnonzero(costs <= budget_usd).tolist())
    if not within:
        cheapest = int(costs.argmin())
        notice = (
            f"{usd_of(budget_usd)} a query buys nothing: the cheapest way costs {usd_of(costs[cheapest])}"
        )
        return _tuned(table, cheapest, "the cheapest of all", notice=notice)
    return _best(
        table,
        within,
        table.right,
        "right answers",
        f"the most accurate for at most {usd_of(budget_usd)} a query",
    )


def _best(
    table: Table,
    candidates: Set[int],
    value: Floats,
    unit: str,
    reason: str,
    certified: Set[int] = frozenset(),
) -> Tuned:
    """The most valuable of the candidates by ``value`` [G, M]; routing only where it clearly gains."""
    costs, worth = table.cost_usd.mean(axis=1), value.mean(axis=1)

    def best_of(which: range) -> int | None:
        found = [index for index in which if index in candidates]
        return max(found, key=lambda index: (worth[index], -costs[index]), default=None)

    rule, single = best_of(table.rules), best_of(table.alone)
    if single is None:
        assert rule is not None, "there is a candidate"
        return _tuned(table, rule, reason, certified)
    if rule is None:
        return _tuned(table, single, reason, certified)
    gain = _gain(table, value[rule] - value[single])
    found = f"always {table.single(single)} by {_said(gain)} {unit} a query"
    if gain.clear:
        return _tuned(table, rule, f"{reason}; it beats {found}", certified)
    notice = f"no routing is clearly better: it beats {found}"
    return _tuned(table, single, reason, certified, notice)


def _gain(table: Table, gains: Floats) -> Interval:
    """Of paired differences [M], their mean."""
    return intervals(lambda weights: [weights @ gains / weights.sum()], table.units)[0]


def _said(gain: Interval) -> str:
    return f"{gain.value:.2g} [{gain.low:.2g}, {gain.high:.2g}]"


def _tuned(
    table: Table, index: int, reason: str, certified: Set[int] = frozenset(), notice: str | None = None
) -> Tuned:
    right, cost = table.right[index], table.cost_usd[index]
    accuracy, cost_usd = intervals(
        lambda weights: [weights @ right / weights.sum(), weights @ cost / weights.sum()], table.units
    )
    trials = table.trials(certified)
    return Tuned(trials[index], accuracy, cost_usd, len(right), reason, notice, trials)


def _promise(policy: Policy, table: Table, large: int | None) -> Promise:
    if policy.min_share_of_large is None or large is None:
        return Promise(policy.min_accuracy or 0.0)
    return Promise(policy.min_share_of_large, table.most_right[large])


def _promised(policy: Policy, confidence: float) -> str:
    """In words."""
    if policy.min_share_of_large is None:
        return f"an accuracy of {policy.min_accuracy:.1%} with {confidence:.0%} confidence"
    share = f"{policy.min_share_of_large:.1%} of the accuracy of {policy.large}"
    return f"{share} with {confidence:.0%} confidence"


def _large(policy: Policy, table: Table) -> int | None:
    """The row of always taking the large model, by either name; ``None`` where the policy may not."""
    found = [name for name in (policy.large, LARGE) if name in table.singles]
    return table.alone[table.singles.index(found[0])] if found else None


def _limits(policy: Policy) -> str:
    """What may keep a policy from a way to answer."""
    names = ("max_cost_usd", "max_latency_s", "allow")
    return " or ".join(name for name in names if getattr(policy, name) is not None) or "the policy"


def _needed(promise: Promise, right: Floats, delta: float) -> str:
    """What would have to change, by the most accurate rule there is."""
    delta *= ROUTING_SHARE
    reach = f"{promise.reach(right, delta):.1%} could be"
    if not promise.kept(right):
        return f"the most accurate way is right in {right.mean():.1%} of {len(right)} questions; {reach}"
    units = promise.units_needed(right, delta)
    more = "more than a million" if units is None else f"about {units:,}"
    return f"{len(right)} calibration questions are too few, {more} would do; {reach}"
