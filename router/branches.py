"""The branches of a plan: what is done after each stage of a probe, or without one, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from math import inf, isnan, nextafter

import numpy as np
from numpy.typing import NDArray

from cost_model.prices import add_usd
from router.decision import NOTHING, Tree
from router.outlooks import Expectation
from router.pricing import ProbePrice, vote
from router.probe import bin_of
from router.reasons import in_doubt, nowhere_to_go, why
from router.table import Case, Table
from router.types import Alternative, Bin, Branch, ProbeStage
from router.weighing import contenders, reached

Floats = NDArray[np.float64]

_RIVALS = 3
"""So many of the ways that were not chosen are told of."""
_FEMTODOLLAR = Decimal("1e-15")
"""Expected costs are money times shares, and these are floats: further digits would say nothing."""


def direct_branch(table: Table, row: int, way: int) -> Branch:
    """Of one of the queries, without a probe."""
    case, chosen = table.cases[row], table.direct(row, way)
    if not case.explained:
        return branch_of(case, chosen)
    offered = table.prospect.offered
    utility = case.objective.utility(table.prospect.right[row], table.costs.direct_usd[row])
    rejected = tuple(table.direct(row, each) for each in _rivals(offered, utility, way))
    cut = bool((offered & ~table.costs.affordable[row]).any())
    return branch_of(case, chosen, rejected, cut=cut, unseen=table.unseen)


def probing_stages(
    table: Table, tree: Tree, probe_prices: Sequence[ProbePrice]
) -> tuple[tuple[ProbeStage, ...], Decimal | None, Decimal | None]:
    """The stages with their branches; the expected cost of the whole probe, and of what follows it.

    ``table`` and ``tree`` are those of one query alone.
    """
    arrivals = reached(tree, [stage.arrive for stage in table.prospect.stages], 0)
    ends = [0.0, *table.prospect.edges.tolist(), 1.0]
    found: list[ProbeStage] = []
    probe_usd: Decimal | None = Decimal(0)
    rest_usd: Decimal | None = Decimal(0)
    for index, stage in enumerate(table.prospect.stages):
        share = Decimal(float(arrivals[index].sum()))
        probe_usd = add_usd(probe_usd, _times(share, probe_prices[index].expected_usd))
        branches = []
        for levels in _runs(tree, index, predicts=table.guide.predicts):
            if tree.goes_on[index, 0, levels[0]]:
                continue
            branch = _branch(table, tree, index, levels, ends, arrivals[index])
            branches.append(branch)
            weight = Decimal(float(arrivals[index][levels].sum()))
            if weight:
                rest_usd = add_usd(rest_usd, _times(weight, branch.chosen.expected_cost_usd))
        easiest_first = tuple(reversed(branches))
        found.append(ProbeStage(stage.samples, easiest_first, table.guide.reading(table.prospect, index)))
        if not tree.goes_on[index, 0].any():
            break
    return tuple(found), _rounded(probe_usd), _rounded(rest_usd)


def worst_usd(stages: Sequence[ProbeStage], prices: Sequence[ProbePrice]) -> Decimal | None:
    """The most that any way through the stages may cost; ``None`` where a price is unknown."""
    spent: Decimal | None = Decimal(0)
    found: list[Decimal | None] = []
    for stage, price in zip(stages, prices, strict=False):
        spent = add_usd(spent, price.worst_case_usd)
        for branch in stage.branches:
            may_be = (branch.chosen, *branch.rejected) if branch.readings else (branch.chosen,)
            found += [add_usd(spent, way.worst_case_cost_usd) for way in may_be]
    known = [usd for usd in found if usd is not None]
    return max(known) if len(known) == len(found) else None


def branch_of(
    case: Case,
    chosen: Alternative,
    rejected: tuple[Alternative, ...] = (),
    above: float = 0.0,
    up_to: float = 1.0,
    *,
    cut: bool = False,
    unseen: bool = False,
) -> Branch:
    """With the reason where the plan is explained; its client is told the notice with the answer anyway."""
    policy = case.policy
    name = _bin(above, up_to)
    reason = ""
    if case.explained:
        reason = why(name, (above, up_to), policy, case.objective, chosen, rejected, cut, unseen)
    notices = (nowhere_to_go(case.policy_name, policy, up_to), in_doubt(case.market, policy, chosen))
    notice = "; ".join(each for each in notices if each)
    return Branch(name, chosen, rejected, reason, notice or None, above, up_to)


def _branch(
    table: Table, tree: Tree, index: int, levels: list[int], ends: Sequence[float], arrivals: Floats
) -> Branch:
    """Of neighbouring levels that end in the same way: P(right) is their mean, by how often they occur."""
    case, stage = table.cases[0], table.prospect.stages[index]
    above, up_to = ends[levels[0]], ends[levels[-1] + 1]
    weights = arrivals[levels]
    total = weights.sum()
    weights = weights / total if total > 0 else np.full(len(levels), 1 / len(levels))
    right = weights @ stage.right[0][levels]
    level = levels[0]
    offered = stage.offered[0, min(level, stage.offered.shape[1] - 1)]
    affordable = offered & table.costs.affordable_after[index][0, 0]
    way = int(tree.action[index, 0, level])
    if way == NOTHING:
        like = next(each for each, found in enumerate(table.prospect.ways) if found.route == "small")
        spec, expectation = table.prospect.ways[like].spec, Expectation(float(right[like]), "assumed", None)
        chosen = vote(case.market, case.policy_name, spec, expectation, stage.samples)
    else:
        chosen = table.alternative(0, way, float(right[way]), level, index)
    after = table.costs.after_usd[index][0]
    utility = case.objective.utility(right, after[min(level, len(after) - 1)])
    rivals: list[int] = []
    if table.guide.predicts and way != NOTHING:  # any of these may be chosen yet
        rivals = _rivals(contenders(tree, index, len(right))[0], utility, way, most=len(right))
    readable = bool(rivals)
    if not readable and case.explained:
        rivals = _rivals(affordable if table.guide.predicts else offered, utility, way)
    rejected = tuple(table.alternative(0, each, float(right[each]), level, index) for each in rivals)
    cut = bool((offered & ~affordable).any())
    branch = branch_of(case, chosen, rejected, above, up_to, cut=cut, unseen=table.unseen)
    if not readable:
        return branch
    readings = [table.guide.way_reading(table.prospect, index, each) for each in (way, *rivals)]
    return replace(branch, readings=tuple(each for each in readings if each is not None))


def _runs(tree: Tree, index: int, *, predicts: bool) -> Iterator[list[int]]:
    """Levels that end alike, next to one another."""
    ends = [
        (bool(going), int(action))
        for going, action in zip(tree.goes_on[index, 0], tree.action[index, 0], strict=True)
    ]
    run: list[int] = []
    for level, end in enumerate(ends):
        if run and (not predicts or (end != ends[run[-1]] and not (end[0] and ends[run[-1]][0]))):
            yield run
            run = []
        run.append(level)
    yield run


def _rivals(offered: NDArray[np.bool_], utility: Floats, chosen: int, most: int = _RIVALS) -> list[int]:
    """The best of the others."""
    worth = utility.tolist()
    others = [way for way, there in enumerate(offered.tolist()) if there and way != chosen]
    return sorted(others, key=lambda way: inf if isnan(worth[way]) else -worth[way])[:most]


def _bin(above: float, up_to: float) -> Bin | None:
    """The bin that holds the whole range, if one does."""
    return bin_of(up_to) if bin_of(nextafter(above, 1)) == bin_of(up_to) else None


def _times(share: Decimal, usd: Decimal | None) -> Decimal | None:
    return None if usd is None else share * usd


def _rounded(usd: Decimal | None) -> Decimal | None:
    return None if usd is None else usd.quantize(_FEMTODOLLAR)
