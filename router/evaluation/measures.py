"""The numbers of every policy, with paired intervals: one pass over the same resamples for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import numpy as np

from router.evaluation.bootstrap import Interval, of_curves, of_resamples, weightings
from router.evaluation.frontier import Hull, hull, line_over
from router.evaluation.metrics import CallCurve, Floats
from router.evaluation.policies import Played, Router
from router.evaluation.setting import Setting

LENGTH = "prompt length"
"""The name of the router that the others must beat."""

Key = tuple[str, str]
"""A policy, and what is measured of it."""

_BLOCK = 50


def measure(
    setting: Setting, played: Sequence[Played], routers: Sequence[Router], resamples: int
) -> dict[str, dict[str, Interval]]:
    """By policy and name, with 95% intervals; what has no meaning is missing.

    Of every policy: "accuracy"; "over_best", accuracy above the best single action; "quality_lost" against
    the oracle; where costs are known "cost", "wasted", and "over_mix", accuracy above the random mix of
    single actions that costs as much. Of routers: "apgr", "cpt20", "cpt50", "cpt80" (shares of calls),
    "apgr_over_length"; "aiq", the height of the hull between the cheapest and the dearest single action;
    "line_over_mix", how far its trade-offs are above random mixes at equal cost, over all these budgets. The
    latter decides: a hull is picked from what is measured, so even one of noise is above random mixes.
    """
    by_question = _by_question(played)
    lines = {each.name: each.line for each in played if each.line is not None}
    weak, strong = setting.table.right[:, setting.weak], setting.table.right[:, setting.strong]
    curves = {
        each.name: of_curves(each.predicted.scores(setting.weak, setting.strong), weak, strong, _curve_values)
        for each in routers
    }
    best = f"always {setting.names[setting.best_single]}"
    singles = [each.name for each in played if each.kind == "single"]

    def numbers(weights: Floats, mean: Mapping[Key, float], points: Mapping[str, Floats]) -> dict[Key, float]:
        found = dict(mean)
        for name in (each.name for each in played):
            found[name, "over_best"] = mean[name, "accuracy"] - mean[best, "accuracy"]
        for name, values in curves.items():
            for measured, value in zip(("apgr", "cpt20", "cpt50", "cpt80"), values(weights), strict=True):
                found[name, measured] = float(value)
        for name in curves if LENGTH in curves else ():
            found[name, "apgr_over_length"] = found[name, "apgr"] - found[LENGTH, "apgr"]
        if setting.cost is not None:
            found |= _by_cost(mean, points, singles)
        return found

    rows: list[dict[Key, float]] = []
    for block in _blocks(setting.table.groups, resamples):
        means = _means(np.array(list(by_question.values())), block)
        line_means = {name: _means(np.array(line), block) for name, line in lines.items()}
        for at, weights in enumerate(block):
            mean = dict(zip(by_question, means[:, at].tolist(), strict=True))
            rows.append(numbers(weights, mean, {name: each[..., at] for name, each in line_means.items()}))
    found: dict[str, dict[str, Interval]] = {each.name: {} for each in played}
    intervals = of_resamples(np.array([list(row.values()) for row in rows]))
    for (name, measured), interval in zip(rows[0], intervals, strict=True):
        found[name][measured] = interval
    return found


def _by_question(played: Sequence[Played]) -> dict[Key, Floats]:
    found: dict[Key, Floats] = {}
    for each in played:
        found[each.name, "accuracy"] = each.quality
        found[each.name, "quality_lost"] = each.lost
        if each.cost is not None and each.wasted is not None:
            found[each.name, "cost"] = each.cost
            found[each.name, "wasted"] = each.wasted
    return found


def _by_cost(
    mean: Mapping[Key, float], points: Mapping[str, Floats], singles: Sequence[str]
) -> dict[Key, float]:
    """``points`` [2, S, K] are the mean quality and cost of each router's trade-offs."""
    cost = [mean[name, "cost"] for name in singles]
    mixes = hull(cost, [mean[name, "accuracy"] for name in singles])
    found = {
        (name, "over_mix"): value - float(mixes.at(mean[name, "cost"]))
        for (name, measured), value in mean.items()
        if measured == "accuracy"
    }
    for name, (quality, spent) in points.items():
        hulls: list[Hull] = [hull(*each) for each in zip(spent, quality, strict=True)]
        found[name, "aiq"] = float(np.mean([each.aiq(min(cost), max(cost)) for each in hulls]))
        found[name, "line_over_mix"] = float(
            np.mean(
                [line_over(mixes, *each, min(cost), max(cost)) for each in zip(spent, quality, strict=True)]
            )
        )
    return found


def _curve_values(curve: CallCurve) -> tuple[float, ...]:
    return curve.apgr(), curve.cpt(0.2), curve.cpt(0.5), curve.cpt(0.8)


def _blocks(groups: Sequence[str], resamples: int) -> Iterator[Floats]:
    """Weightings [R, N], some at a time, so that means are products of matrices that fit into memory."""
    drawn = weightings(groups, resamples)
    while block := list(islice(drawn, _BLOCK)):
        yield np.array(block)


def _means(values: Floats, weights: Floats) -> Floats:
    """[..., R] of values [..., N] by weights [R, N]."""
    means: Floats = values @ (weights / weights.sum(axis=1, keepdims=True)).T
    return means
