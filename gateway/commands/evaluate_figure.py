"""The figure of `gradus evaluate`: quality by strong calls, quality by cost, and reliability."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from router.evaluation.measures import LENGTH
from router.evaluation.report import Report

_HEIGHT_IN = 3.8
_WIDTH_IN = 4.6


def draw(file: Path, report: Report) -> None:
    """Panels side by side; that of costs only where they are known."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = [_calls, _reliability] if report.unit != "usd" else [_calls, _costs, _reliability]
    figure = Figure(figsize=(_WIDTH_IN * len(panels), _HEIGHT_IN), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, panel in zip(figure.subplots(1, len(panels)), panels, strict=True):
        panel(axes, report)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(fontsize=7, frameon=False)
    figure.savefig(file, dpi=120)


def _calls(axes: Any, report: Report) -> None:
    curves = list(report.curves.items())
    weak, strong = curves[0][1].weak, curves[0][1].strong
    axes.plot([0, 1], [weak, strong], "--", color="grey", label="random")
    axes.plot(*report.oracle_calls, ":", color="black", label="oracle")
    for at, (name, curve) in enumerate(curves):
        axes.plot(curve.strong_share, curve.quality, "o-", color=f"C{at}", markersize=3, label=name)
    axes.set_xlabel(f"share of calls to {report.strong}, the others to {report.weak}")
    axes.set_ylabel("share right")
    axes.set_title("Quality by strong calls", fontsize=10)


def _costs(axes: Any, report: Report) -> None:
    for row in report.rows:
        if row.kind in ("single", "oracle"):
            cost, accuracy = row.measures["cost"].value, row.measures["accuracy"].value
            marker = "*" if row.kind == "oracle" else "s"
            axes.plot([cost], [accuracy], marker, color="black", markersize=6)
            axes.annotate(row.name, (cost, accuracy), fontsize=7, xytext=(4, -9), textcoords="offset points")
    if report.mixes is not None:
        axes.plot(report.mixes.cost_usd, report.mixes.quality, "--", color="grey", label="random mixes")
    for at, (name, found) in enumerate(report.frontiers.items()):
        axes.plot(found.cost_usd, found.quality, "o-", color=f"C{at}", markersize=3, label=f"{name}, hull")
    axes.set_xlabel("USD, a question, probes included")
    axes.set_ylabel("share right")
    axes.set_title("Quality by cost", fontsize=10)


def _reliability(axes: Any, report: Report) -> None:
    axes.plot([0, 1], [0, 1], "--", color="grey")
    shown = [each for each in report.calibration if each.router != LENGTH] or report.calibration
    for each in shown:
        found = each.reliability
        label = f"{each.router}: {each.action} (ECE {each.ece:.3f})"
        axes.plot(found.predicted, found.observed, "o-", markersize=3, label=label)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("said P(right)")
    axes.set_ylabel("share right")
    axes.set_title("Reliability", fontsize=10)
