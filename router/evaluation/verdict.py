"""What to do, in words: route, or always one action. A gain counts only where its interval is above 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from router.evaluation.bootstrap import Interval


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a router was measured to gain, with its paired 95% intervals.

    ``over_best`` is accuracy above the best single action; ``over_mix`` accuracy above random mixes of
    single actions at equal cost, the mean over all budgets between the cheapest and the dearest action,
    ``None`` where costs are unknown; ``relative_cost`` is that of the most accurate trade-off against the
    best single action's.
    """

    name: str
    over_best: Interval
    over_mix: Interval | None
    apgr: Interval
    relative_cost: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """``choice`` is "route", or the action to take always; ``router`` the one to route by, if any."""

    choice: str
    router: str | None
    reason: str


def decide(candidates: Sequence[Candidate], best_single: str, *, priced: bool, cheaper: str) -> Verdict:
    """Route by the router with the clearest gain, or take always ``best_single``.

    Being more accurate than the best single action comes first; then being more accurate than random mixes
    at equal cost, if costs are known (``priced``): else that is said as a condition on ``cheaper``. The best
    of several candidates must be clear of 0 by an interval that is wider for their number
    (:meth:`Interval.among`); reasons give the 95% intervals of each alone.
    """
    count = len(candidates)
    clear = [each for each in candidates if each.over_best.among(count).clear]
    if clear:
        one = max(clear, key=lambda each: each.over_best.low)
        cost = "" if one.relative_cost is None else f", at {one.relative_cost:.0%} of its cost"
        reason = f"right more often than always {best_single}, by {_points(one.over_best)}{cost}"
        return Verdict("route", one.name, f"route by {one.name}: {reason}")
    saving = [
        (each.over_mix, each) for each in candidates if each.over_mix and each.over_mix.among(count).clear
    ]
    if saving and priced:
        above, one = max(saving, key=lambda each: each[0].low)
        return Verdict(
            "route",
            one.name,
            f"route by {one.name} where money counts: at equal cost right more often than any random mix of "
            f"single actions, by {_points(above)} on average over all budgets; where it does not, always "
            f"{best_single} is as accurate",
        )
    reason = f"always {best_single}: the best single action wins, and the policy will use it"
    if candidates:
        nearest = max(candidates, key=lambda each: each.over_best.value)
        gain = _points(nearest.over_best)
        reason += f". The nearest router, by {nearest.name}, differs by {gain}, not clear of 0"
        if nearest.over_best.clear:
            reason += f" as the best of {count}"
    useful = [each for each in candidates if each.apgr.among(count).low > 0.5]
    if useful and not priced and cheaper != best_single:
        one = max(useful, key=lambda each: each.apgr.low)
        reason += (
            f". If {cheaper} is cheaper, routing by {one.name} saves money: APGR {one.apgr.value:.3f} "
            f"[{one.apgr.low:.3f}, {one.apgr.high:.3f}], where chance gets 0.5; give costs to weigh that"
        )
    return Verdict(best_single, None, reason)


def _points(gain: Interval) -> str:
    return f"{100 * gain.value:+.1f} points [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"
