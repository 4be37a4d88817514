"""Plots of curves over a budget, all drawn alike. matplotlib is wanted only here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.training.errors import MissingExtraError

BIN_COLOURS = ("#1a9850", "#91cf60", "#e6ab02", "#fc8d59", "#d73027")
"""From the easiest bin to the hardest."""
_WIDTH_IN = 4.6
_HEIGHT_IN = 3.6
_LEAST_RANGE = 0.2
_COLUMNS = 3


@dataclass(frozen=True, slots=True)
class Curve:
    """A labelled line, with an interval around each point if there is one."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    style: str = "o-"
    colour: str | None = None

    @staticmethod
    def of(
        label: str,
        points: Sequence[Mapping[str, Any]],
        x: str,
        *,
        style: str = "o-",
        colour: str | None = None,
    ) -> Curve:
        """From intervals as JSON, each with its place under ``x``."""
        known = [point for point in points if point["value"] is not None]
        banded = all(point["low"] is not None for point in known)
        return Curve(
            label,
            [point[x] for point in known],
            [point["value"] for point in known],
            [point["low"] for point in known] if banded else None,
            [point["high"] for point in known] if banded else None,
            style,
            colour,
        )


Panel = tuple[str, str, Sequence[Curve]]
"""Title, label of the x axis, curves."""


def panels(path: Path, drawn: Sequence[Panel], *, y: str, base: float = 2, columns: int = _COLUMNS) -> None:
    """A figure of panels side by side, x on a logarithmic axis, y a share.

    A label that all panels share is told once, below; else each panel has a legend of its own. Raises
    :class:`workers.training.errors.MissingExtraError` without matplotlib.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise MissingExtraError("matplotlib") from error
    mpl.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import StrMethodFormatter

    shown = [panel for panel in drawn if panel[2]]
    across = min(columns, len(shown))
    down = -(-len(shown) // across)
    size = (_WIDTH_IN * across, _HEIGHT_IN * down + 0.4)
    figure, grid = pyplot.subplots(down, across, figsize=size, layout="constrained", squeeze=False)
    colours = {
        label: f"C{at % 10}"
        for at, label in enumerate(dict.fromkeys(curve.label for _, _, curves in shown for curve in curves))
    }
    labels = [[curve.label for curve in curves] for _, _, curves in shown]
    shared = len(shown) > 1 and all(each == labels[0] for each in labels)
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    for axes, (title, x, curves) in zip(grid.flat, shown, strict=False):
        for curve in curves:
            colour = curve.colour or colours[curve.label]
            axes.plot(curve.x, curve.y, curve.style, color=colour, label=curve.label, markersize=4)
            if curve.low is not None and curve.high is not None and len(curves) <= 5:
                axes.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.15, linewidth=0)
        axes.set_xscale("log", base=base)
        if base == 2:
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        low, high = axes.get_ylim()
        # Not closer than what the numbers of questions can tell apart.
        axes.set_ylim(max(low, -0.02), min(max(high, low + _LEAST_RANGE), 1.02))
        axes.set_title(title, fontsize=10)
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        if not shared:
            axes.legend(fontsize=7, frameon=False)
    if shared:
        handles, names = grid.flat[0].get_legend_handles_labels()
        figure.legend(
            handles, names, loc="outside lower center", ncols=min(4, len(names)), frameon=False, fontsize=8
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
