"""The figure of `gradus plan`: cost against accuracy, and cost a year by volume."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cost_model.crossings import VolumeCrossing
from cost_model.planner import Option
from cost_model.situation import DAYS_A_YEAR, Situation

_MARKERS = "osD^vPX*<>ph"


def draw(
    file: Path, situation: Situation, options: Sequence[Option], crossings: Sequence[VolumeCrossing]
) -> None:
    """Both panels; the volume's has a dotted line at what is asked, and dots where the order changes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    now = float(situation.queries_per_day)
    days = np.geomspace(now / 100, now * 100, 200)
    for index, each in enumerate(options):
        marker = _MARKERS[index % len(_MARKERS)]
        left.plot(
            float(each.usd_per_year), float(each.right), marker, color=f"C{index}", ms=9, label=each.name
        )
        right.plot(days, _usd_per_year(each, days), color=f"C{index}", label=each.name)
    by_name = {each.name: each for each in options}
    for crossing in crossings:
        at = float(crossing.queries_per_day)
        if days[0] <= at <= days[-1]:
            right.plot(at, _usd_per_year(by_name[crossing.above], at), ".", color="black", ms=7)
    right.axvline(now, color="grey", linestyle=":")
    left.set(
        xlabel="USD a year",
        ylabel="P(right)",
        title=f"{situation.queries_per_day:,} queries a day",
        xscale="log",
    )
    right.set(xlabel="queries a day", ylabel="USD a year", xscale="log", yscale="log")
    left.grid(alpha=0.3)
    right.grid(alpha=0.3)
    left.legend()
    figure.savefig(file, dpi=120)


def _usd_per_year(option: Option, queries_per_day: np.ndarray | float) -> np.ndarray | float:
    return float(option.fixed_usd_per_year) + DAYS_A_YEAR * queries_per_day * float(option.usd_per_query)
