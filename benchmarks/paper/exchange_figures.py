"""The figure of experiment 5: bars by bin and R, as in the paper's figure 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workers.training.errors import MissingExtraError

_UNITS = {"turns": "counted in turns, as the paper does", "flops": "counted in FLOPs, judging included"}
_WIDTH = 0.26
_HIGHEST = 2.0
"""Bars end here: where the large model is hardly ever right, any gain is vast."""


def draw(results: Mapping[str, Any], path: Path) -> None:
    """A panel a family and unit. Raises :class:`workers.training.errors.MissingExtraError`."""
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise MissingExtraError("matplotlib") from error
    mpl.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import PercentFormatter

    entries = results["flops"]
    families = list(dict.fromkeys(each["family"] for each in entries))
    size = (12.5, 3.9 * len(families))
    figure, grid = pyplot.subplots(len(families), 2, figsize=size, layout="constrained", squeeze=False)
    for family, row in zip(families, grid, strict=True):
        for (unit, title), axes in zip(_UNITS.items(), row, strict=True):
            own = [each for each in entries if (each["family"], each["unit"]) == (family, unit)]
            _bars(axes, own)
            axes.set_title(f"{family}, {title}", fontsize=10)
            axes.set_ylabel(f"right, relative to {results['large']}")
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    grid[0][0].legend(fontsize=8, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _bars(axes: Any, entries: Sequence[Mapping[str, Any]]) -> None:
    groups = list(dict.fromkeys(each["group"] for each in entries))
    ratios = list(dict.fromkeys(each["inference_per_pretraining"] for each in entries))
    for at, ratio in enumerate(ratios):
        places, heights, below, above = [], [], [], []
        for each in entries:
            found = each["relative"]
            if each["inference_per_pretraining"] != ratio or found["value"] is None:
                continue
            place = groups.index(each["group"]) + (at - 1) * _WIDTH
            height = min(found["value"], _HIGHEST)
            axes.text(
                place, max(height, 0) + 0.03, f"{found['value']:+.0%}", ha="center", fontsize=6, rotation=90
            )
            places.append(place)
            heights.append(height)
            below.append(0.0 if found["low"] is None else max(0.0, height - found["low"]))
            above.append(0.0 if found["high"] is None else max(0.0, min(found["high"], _HIGHEST) - height))
        axes.bar(
            places,
            heights,
            _WIDTH,
            yerr=[below, above],
            color=f"C{at}",
            label=f"R = {ratio:g}",
            error_kw={"elinewidth": 0.8},
        )
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xticks(range(len(groups)), groups, fontsize=8)
    axes.set_ylim(-1.1, _HIGHEST + 0.4)
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
