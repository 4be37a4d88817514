"""Quality against cost: hulls, what they are worth, and what choices lose and waste.

RouterBench (Hu et al. 2024, 2403.12031) compares routers by the non-decreasing convex hull of their points
in the plane of cost and quality: between two points lie their random mixes, and paying more for the same is
always possible. Costs are estimates over many questions, so float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Hull:
    """The best quality for a mean cost: corners [K], both rising, with less and less gained by a dollar."""

    cost_usd: Floats
    quality: Floats

    def at(self, cost_usd: ArrayLike) -> Floats:
        """Quality for these mean costs [...].

        Past the last corner it stays. Before the first it is mixed with not answering at all, which costs
        nothing and is worth nothing.
        """
        wanted = np.asarray(cost_usd, np.float64)
        found: Floats = np.interp(wanted, np.r_[0.0, self.cost_usd], np.r_[0.0, self.quality])
        return found

    def aiq(self, low_usd: float, high_usd: float) -> float:
        """Average improvement in quality: the mean height of the hull between two mean costs.

        All that are compared must have the same bounds; those of RouterBench are its cheapest and dearest
        model. At equal bounds it is the height there.
        """
        inner = self.cost_usd[(self.cost_usd > low_usd) & (self.cost_usd < high_usd)]
        corners = np.r_[low_usd, inner, high_usd]
        if high_usd <= low_usd:
            return float(self.at(high_usd))
        return float(np.trapezoid(self.at(corners), corners) / (high_usd - low_usd))


def hull(cost_usd: ArrayLike, quality: ArrayLike) -> Hull:
    """The non-decreasing convex hull of points [K]: their upper left edge, up to the highest."""
    points = zip(np.asarray(cost_usd, float).tolist(), np.asarray(quality, float).tolist(), strict=True)
    corners: list[tuple[float, float]] = []  # Andrew's monotone chain, of the upper half
    for point in sorted(points, key=lambda each: (each[0], -each[1])):
        if corners and point[1] <= corners[-1][1]:
            continue
        while len(corners) > 1 and not _turns_down(corners[-2], corners[-1], point):
            corners.pop()
        corners.append(point)
    costs, heights = np.array(corners).T
    return Hull(costs, heights)


def line_over(
    reference: Hull, cost_usd: ArrayLike, quality: ArrayLike, low_usd: float, high_usd: float
) -> float:
    """How far the line through points [K] is above a hull, the mean over costs between two bounds.

    The line joins the points as they are, so that one that only scatters around the reference is on average
    neither above nor below it, as the hull of such points would be. Below its cheapest point it is level
    with the reference, past its dearest it stays.
    """
    order = np.argsort(cost_usd, kind="stable")
    cost, height = np.asarray(cost_usd, float)[order], np.asarray(quality, float)[order]
    low = max(low_usd, float(cost[0]))
    if high_usd <= low:
        return 0.0
    corners = np.unique(np.clip(np.r_[low, high_usd, cost, reference.cost_usd], low, high_usd))
    above = np.interp(corners, cost, height) - reference.at(corners)
    return float(np.trapezoid(above, corners) / (high_usd - low_usd))


def _turns_down(one: tuple[float, float], two: tuple[float, float], three: tuple[float, float]) -> bool:
    """Whether the way by point ``two`` gains less by a dollar after it than before."""
    return (two[1] - one[1]) * (three[0] - two[0]) > (three[1] - two[1]) * (two[0] - one[0])


def oracle(right: Floats, cost_usd: Floats) -> Indices:
    """[N] the cheapest of the actions that are most right; of unknown costs, the first of them."""
    best = right == np.nanmax(right, axis=1, keepdims=True)
    found: Indices = np.where(best, np.nan_to_num(cost_usd, nan=0.0), np.inf).argmin(axis=1)
    return found


def quality_lost(right: Floats, taken: Indices) -> Floats:
    """[N] how much more right the best action was than the one ``taken``; ``right`` [N, A]."""
    lost: Floats = np.nanmax(right, axis=1) - _of(right, taken)
    return lost


def money_wasted_usd(right: Floats, cost_usd: Floats, taken: Indices) -> Floats:
    """[N] what was paid beyond the cheapest action that was at least as right; costs [N, A] of each action.

    NaN where the cost of what was taken is unknown.
    """
    paid = _of(cost_usd, taken)
    as_right = right >= _of(right, taken)[:, None]
    wasted: Floats = paid - np.nanmin(np.where(as_right, cost_usd, np.inf), axis=1, initial=np.inf)
    return wasted


def _of(values: Floats, taken: Indices) -> Floats:
    found: Floats = np.take_along_axis(values, taken[:, None], axis=1)[:, 0]
    return found
