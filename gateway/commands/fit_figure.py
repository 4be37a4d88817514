"""The figure of `gradus fit`: predicted against observed, by action."""

from __future__ import annotations

from math import ceil
from pathlib import Path

from router.predictor.manifest import ActionMetrics, Manifest

_COLUMNS = 4


def draw(file: Path, manifest: Manifest) -> None:
    """A panel an action: on the diagonal, predictions come true as often as they say. Dots by questions."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width = min(_COLUMNS, len(manifest.metrics))
    height = ceil(len(manifest.metrics) / _COLUMNS)
    figure = Figure(figsize=(3 * width, 3.2 * height), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(height, width, squeeze=False, sharex=True, sharey=True).ravel()
    for panel, (name, metrics) in zip(panels, manifest.metrics.items(), strict=False):
        _panel(panel, name, metrics)
    for panel in panels[len(manifest.metrics) :]:
        panel.set_visible(False)
    figure.supxlabel("predicted P(right)")
    figure.supylabel("share right")
    figure.savefig(file, dpi=120)


def _panel(panel: object, name: str, metrics: ActionMetrics) -> None:
    from matplotlib.axes import Axes

    assert isinstance(panel, Axes)
    predicted, observed, count = zip(*metrics.reliability, strict=True)
    panel.plot([0, 1], [0, 1], ":", color="grey")
    panel.plot(predicted, observed, color="C0", lw=1)
    panel.scatter(predicted, observed, s=[4 + 120 * each / metrics.questions for each in count], color="C0")
    panel.set(xlim=(0, 1), ylim=(0, 1), title=f"{name}\nECE {metrics.ece:.3f}, Brier {metrics.brier:.3f}")
    panel.grid(alpha=0.3)
