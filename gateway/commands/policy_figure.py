"""The figure of `gradus policy check`: accuracy over cost, for every multiplier and single action."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from router.review import Review

_HEIGHT_IN = 3.8
_WIDTH_IN = 4.6


def draw(file: Path, reviews: Sequence[Review]) -> None:
    """A panel a policy that was tuned; of none, an empty one."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [(each.name, each.tuned) for each in reviews if each.tuned is not None]
    figure = Figure(figsize=(_WIDTH_IN * max(1, len(shown)), _HEIGHT_IN), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, max(1, len(shown)), squeeze=False)[0]
    for axes, (name, tuned) in zip(panels, shown, strict=False):
        routing = [trial for trial in tuned.trials if trial.always is None]
        axes.plot(
            [trial.cost_usd for trial in routing],
            [trial.accuracy for trial in routing],
            ".-",
            color="C0",
            label="routing",
        )
        sure = [trial for trial in tuned.trials if trial.certified]
        if sure:
            axes.plot(
                [trial.cost_usd for trial in sure],
                [trial.accuracy for trial in sure],
                "o",
                fillstyle="none",
                color="C2",
                label="certified",
            )
        for trial in tuned.trials:
            if trial.always is not None:
                axes.plot([trial.cost_usd], [trial.accuracy], "s", color="black", markersize=4)
                axes.annotate(
                    trial.always,
                    (trial.cost_usd, trial.accuracy),
                    fontsize=7,
                    xytext=(4, -9),
                    textcoords="offset points",
                )
        accuracy, cost = tuned.accuracy, tuned.cost_usd
        axes.errorbar(
            [cost.value],
            [accuracy.value],
            xerr=[[cost.value - cost.low], [cost.high - cost.value]],
            yerr=[[accuracy.value - accuracy.low], [accuracy.high - accuracy.value]],
            fmt="*",
            color="C3",
            markersize=10,
            label="chosen",
        )
        axes.set(xlabel="USD a query", ylabel="share right", title=name)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(fontsize=7, frameon=False)
    figure.savefig(file, dpi=120)
