"""The figure of experiment 3: accuracy by ratio, by ratio and bin, and by budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workers.training.errors import MissingExtraError

_PALE = 0.5
"""Cells of the heat map from here on are written on in black."""


def draw(results: Mapping[str, Any], path: Path) -> None:
    """Three panels. Raises :class:`workers.training.errors.MissingExtraError` without matplotlib."""
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise MissingExtraError("matplotlib") from error
    mpl.use("Agg")
    from matplotlib import pyplot

    figure, (by_ratio, by_bin, by_budget) = pyplot.subplots(1, 3, figsize=(14.5, 4.2), layout="constrained")
    _by_ratio(by_ratio, results["cells"])
    _by_bin(by_bin, results["cells"])
    _by_budget(by_budget, results)
    for axes in (by_ratio, by_budget):
        axes.set_ylabel("share right")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(fontsize=7, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _by_ratio(axes: Any, cells: Sequence[Mapping[str, Any]]) -> None:
    overall = [each for each in cells if each["group"] == "all questions"]
    for at, budget in enumerate(sorted({each["budget"] for each in overall})):
        own = [each for each in overall if each["budget"] == budget]
        x = [each["length"] ** 2 / budget for each in own]
        chosen, voted = ([each[how]["value"] for each in own] for how in ("right", "majority"))
        axes.plot(x, chosen, "o-", color=f"C{at}", label=f"N = {budget}, by selection", markersize=4)
        axes.plot(x, voted, "o:", color=f"C{at}", label=f"N = {budget}, by majority", markersize=4)
        low, high = ([each["right"][end] for each in own] for end in ("low", "high"))
        axes.fill_between(x, low, high, color=f"C{at}", alpha=0.12, linewidth=0)
    axes.set_xscale("log", base=4)
    axes.set_xlabel("sequential : parallel")
    axes.set_title("all questions, by ratio", fontsize=10)


def _by_bin(axes: Any, cells: Sequence[Mapping[str, Any]]) -> None:
    most = max(each["budget"] for each in cells)
    own = [each for each in cells if each["budget"] == most and each["group"] != "all questions"]
    groups = list(dict.fromkeys(each["group"] for each in own))
    lengths = sorted({each["length"] for each in own})
    by_place = {(each["group"], each["length"]): each["right"]["value"] for each in own}
    shares = np.array([[by_place[group, length] for length in lengths] for group in groups])
    axes.imshow(shares, vmin=0, vmax=1, cmap="viridis", aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        colour = "black" if share >= _PALE else "white"
        axes.text(column, row, f"{share:.2f}", ha="center", va="center", fontsize=8, color=colour)
    axes.set_xticks(range(len(lengths)), [f"{length}:{most // length}" for length in lengths], fontsize=8)
    axes.set_yticks(range(len(groups)), groups, fontsize=8)
    axes.set_xlabel("sequential : parallel")
    axes.set_title(f"share right at N = {most}, by difficulty (bin 1 is the easiest)", fontsize=10)


def _by_budget(axes: Any, results: Mapping[str, Any]) -> None:
    lines = {"parallel only (1:N)": results["parallel"]}
    for name in dict.fromkeys(each["bins"] for each in results["optimal"]):
        own = [each for each in results["optimal"] if each["bins"] == name]
        lines[f"compute-optimal, {name} bins"] = [{"budget": each["budget"], **each["right"]} for each in own]
    for at, (label, points) in enumerate(lines.items()):
        x = [point["budget"] for point in points]
        axes.plot(x, [point["value"] for point in points], "o-", color=f"C{at}", label=label, markersize=4)
        low, high = ([point[end] for point in points] for end in ("low", "high"))
        axes.fill_between(x, low, high, color=f"C{at}", alpha=0.12, linewidth=0)
    axes.set_xscale("log", base=2)
    axes.set_xlabel("budget N, attempts")
    axes.set_title("the best ratio of each bin against parallel", fontsize=10)
