"""Finds the multiplier of a policy: what a right answer must be worth for the policy to get what it wants.

Every policy weighs ways to answer by usd_per_right_answer * P(right) - expected cost. Where the file says
what is wanted instead of that multiplier, a grid of multipliers is played on calibration questions, which the
predictor was not fitted on, and one is picked:

- an accuracy, absolute or as a share of the large model's, with a confidence: the cheapest of those that
  Learn-then-Test certifies (:mod:`router.guarantees`), from the most valuable right answer down;
- a sum a query: the most accurate of those that cost no more.

Always taking one action is played too. A rule has to be clearly better than the best of these, by a paired
bootstrap; else the policy *is* that action. Costs are float64: estimates over many questions, never billed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from router.config import Policy
from router.errors import CannotTune
from router.evaluation.bootstrap import Interval, intervals
from router.guarantees import Floats, by_group
from router.outcomes import LARGE
from router.promise import ROUTING_SHARE, Promise
from router.reasons import usd

Play = tuple[Floats, Floats]
"""What came of N calibration questions: right [N] (0 to 1) and cost in USD [N]."""

MULTIPLIERS: Final = tuple(float(each) for each in 10.0 ** np.arange(3, -6.01, -1 / 20))
"""USD per right answer, the safest first. Fixed beforehand, as a certificate needs."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A rule on the calibration questions: a multiplier, or ``always`` one action (then that is ``None``).

    ``certified``: it keeps what the policy promises, as surely as the policy wants.
    """

    usd_per_right_answer: float | None
    always: str | None
    accuracy: float
    cost_usd: float
    certified: bool

    def __str__(self) -> str:
        if self.always is not None:
            return f"always {self.always}"
        return f"a right answer at {_usd(self.usd_per_right_answer or 0.0)}"


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
) -> Tuned:
    """What ``policy`` should do, by what its rule would have done for N calibration questions.

    ``simulate`` plays the rule with a multiplier; ``singles`` are what always taking one action came to, by
    the action's name, the large model's among them where the policy compares with it. ``groups`` [N] say
    which questions belong together. Raises :class:`router.errors.CannotTune` where of no question
    all outcomes and costs are known.
    """
    given = policy.usd_per_right_answer
    multipliers = MULTIPLIERS if given is None else (float(given),)
    table = _table(multipliers, [simulate(each) for each in multipliers], singles, groups)
    if policy.confidence is not None:
        return _certified(policy, policy.confidence, table)
    if policy.mean_cost_usd is not None:
        return _affordable(table, float(policy.mean_cost_usd))
    if policy.min_accuracy is not None:  # query by query: there is no mean to compare single actions by
        return _tuned(table, 0, "the file says so; min_accuracy is judged query by query")
    utility = multipliers[0] * table.right - table.cost_usd
    reason = f"the most worth at {_usd(multipliers[0])} a right answer"
    return _best(table, {0, *table.alone}, utility, "USD", reason)


@dataclass(frozen=True, slots=True)
class _Table:
    """G rules by M units: those with ``multipliers``, then ``singles``."""

    multipliers: tuple[float, ...]
    singles: tuple[str, ...]
    right: Floats
    cost_usd: Floats

    @property
    def rules(self) -> range:
        """Those that route."""
        return range(len(self.multipliers))

    @property
    def alone(self) -> range:
        """Those that always take one action."""
        return range(len(self.multipliers), len(self.right))

    def single(self, index: int) -> str:
        return self.singles[index - len(self.multipliers)]

    @property
    def units(self) -> list[str]:
        return [str(unit) for unit in range(self.right.shape[1])]

    def trials(self, certified: Set[int]) -> tuple[Trial, ...]:
        ways: list[tuple[float | None, str | None]] = [(each, None) for each in self.multipliers]
        ways += [(None, each) for each in self.singles]
        means = zip(self.right.mean(axis=1), self.cost_usd.mean(axis=1), strict=True)
        return tuple(
            Trial(*way, float(right), float(cost), index in certified)
            for index, (way, (right, cost)) in enumerate(zip(ways, means, strict=True))
        )


def _table(
    multipliers: tuple[float, ...],
    played: Sequence[Play],
    singles: Mapping[str, Play],
    groups: Sequence[Any] | NDArray[Any],
) -> _Table:
    plays = [*played, *singles.values()]
    right, cost = (np.stack([play[part] for play in plays]) for part in (0, 1))
    known = ~(np.isnan(right) | np.isnan(cost)).any(axis=0)
    if not known.any():
        unpriced = [name for name, (_, each) in singles.items() if np.isnan(each).all()]
        if unpriced:
            raise CannotTune(f"nobody knows what {', '.join(unpriced)} costs; give a price")
        raise CannotTune("no calibration question has an outcome of every way, probes included; take more")
    units = np.asarray(groups)[known].tolist()
    return _Table(
        multipliers, tuple(singles), by_group(right[:, known], units), by_group(cost[:, known], units)
    )


def _certified(policy: Policy, confidence: float, table: _Table) -> Tuned:
    """The cheapest rule that keeps the promise."""
    delta = 1 - confidence
    promise, what = _promise(policy, confidence, table)
    sure = promise.certified(table.right, len(table.rules), delta)
    if promise.large is not None:
        always = _large(policy, table)
        sure.add(always)  # it is as right as itself
        if sure == {always}:
            notice = f"nothing but it is certified for {what}: {_needed(promise, table.right[0], delta)}"
            return _tuned(table, always, "as right as itself", sure, notice)
    if not sure:
        safest = int(table.right.mean(axis=1).argmax())
        notice = f"{what} cannot be certified: {_needed(promise, table.right[safest], delta)}"
        return _tuned(table, safest, "the most accurate of all", notice=notice)
    return _best(table, sure, -table.cost_usd, "USD", f"the cheapest of those certified for {what}", sure)


def _affordable(table: _Table, budget_usd: float) -> Tuned:
    """The most accurate rule for so much a query."""
    costs = table.cost_usd.mean(axis=1)
    within = set(np.flatnonzero(costs <= budget_usd).tolist())
    if not within:
        cheapest = int(costs.argmin())
        notice = f"{_usd(budget_usd)} a query buys nothing: the cheapest way costs {_usd(costs[cheapest])}"
        return _tuned(table, cheapest, "the cheapest of all", notice=notice)
    return _best(
        table,
        within,
        table.right,
        "right answers",
        f"the most accurate for at most {_usd(budget_usd)} a query",
    )


def _best(
    table: _Table,
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
    gains = value[rule] - value[single]
    gain = intervals(lambda weights: [weights @ gains / weights.sum()], table.units)[0]
    found = (
        f"always {table.single(single)} by {gain.value:.2g} [{gain.low:.2g}, {gain.high:.2g}] {unit} a query"
    )
    if gain.clear:
        return _tuned(table, rule, f"{reason}; it beats {found}", certified)
    notice = f"no routing is clearly better: it beats {found}"
    return _tuned(table, single, reason, certified, notice)


def _tuned(
    table: _Table, index: int, reason: str, certified: Set[int] = frozenset(), notice: str | None = None
) -> Tuned:
    right, cost = table.right[index], table.cost_usd[index]
    accuracy, cost_usd = intervals(
        lambda weights: [weights @ right / weights.sum(), weights @ cost / weights.sum()], table.units
    )
    trials = table.trials(certified)
    return Tuned(trials[index], accuracy, cost_usd, len(right), reason, notice, trials)


def _promise(policy: Policy, confidence: float, table: _Table) -> tuple[Promise, str]:
    """What is promised, and in words."""
    with_confidence = f"with {confidence:.0%} confidence"
    if policy.min_share_of_large is None:
        target = policy.min_accuracy or 0.0
        return Promise(target), f"an accuracy of {target:.1%} {with_confidence}"
    share = policy.min_share_of_large
    return (
        Promise(share, table.right[_large(policy, table)]),
        f"{share:.1%} of the accuracy of {policy.large} {with_confidence}",
    )


def _large(policy: Policy, table: _Table) -> int:
    """The row of always taking the large model, by either name."""
    name = policy.large if policy.large in table.singles else LARGE
    return table.alone[table.singles.index(name)]


def _needed(promise: Promise, right: Floats, delta: float) -> str:
    """What would have to change, by the most accurate rule there is."""
    delta *= ROUTING_SHARE
    reach = f"{promise.reach(right, delta):.1%} could be"
    if not promise.kept(right):
        return f"the most accurate way is right in {right.mean():.1%} of {len(right)} questions; {reach}"
    units = promise.units_needed(right, delta)
    more = "more than a million" if units is None else f"about {units:,}"
    return f"{len(right)} calibration questions are too few, {more} would do; {reach}"


def _usd(amount: float) -> str:
    return usd(Decimal(repr(float(amount))))
