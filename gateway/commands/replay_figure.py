"""The figure of `gradus replay`: accuracy over cost, of policies, single actions and the oracle."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from router.evaluation.bootstrap import Interval
from router.replay.report import Measure, Replay


def draw(file: Path, found: Replay) -> None:
    """With 95% intervals; whatever costs nobody knows is left out."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for name, measure in found.actions.items():
        _point(axes, measure, "s", "black")
        _name(axes, measure, name)
    _point(axes, found.oracle, "*", "grey")
    _name(axes, found.oracle, "oracle")
    for number, each in enumerate(found.policies):
        _point(axes, each.came, "o", f"C{number}", label=each.name)
    _front(axes, [*found.actions.values(), *(each.came for each in found.policies)])
    costs = [
        each.cost_usd.value for each in (*found.actions.values(), *(each.came for each in found.policies))
    ]
    known = [cost for cost in costs if cost > 0]
    if known and max(known) > 30 * min(known):
        axes.set_xscale("log")
    axes.set(xlabel="USD a question, probes included", ylabel="share right")
    axes.set_title(f"{found.questions:,} recorded questions", fontsize=10)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=7, frameon=False)
    figure.savefig(file, dpi=120)


def _front(axes: Any, measures: Sequence[Measure]) -> None:
    """The Pareto front: what nothing beats that costs as little."""
    points = sorted((each.cost_usd.value, each.right.value) for each in measures)
    best: list[tuple[float, float]] = []
    for cost, right in points:
        if isfinite(cost) and isfinite(right) and (not best or right > best[-1][1]):
            best.append((cost, right))
    if best:
        axes.step(*zip(*best, strict=True), where="post", color="grey", linewidth=0.8, linestyle="--")


def _point(axes: Any, measure: Measure, marker: str, color: str, label: str | None = None) -> None:
    right, cost = measure.right, measure.cost_usd
    axes.errorbar(
        [cost.value],
        [right.value],
        xerr=_reach(cost),
        yerr=_reach(right),
        fmt=marker,
        color=color,
        markersize=5,
        elinewidth=0.8,
        label=label,
    )


def _reach(interval: Interval) -> list[list[float]]:
    """Down and up; where all resamples agree, rounding may put the value beside them."""
    return [[max(0.0, interval.value - interval.low)], [max(0.0, interval.high - interval.value)]]


def _name(axes: Any, measure: Measure, name: str) -> None:
    at = (measure.cost_usd.value, measure.right.value)
    axes.annotate(name, at, fontsize=7, xytext=(4, -9), textcoords="offset points")
