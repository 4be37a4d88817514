"""The figure of experiment 6: accuracy by budget, for noisy labels and for few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.paper.figures import Curve, panels


def draw(results: Mapping[str, Any], path: Path) -> None:
    """Three panels: noisy labels by both ways to choose, and parts of the data."""
    found = results["verifiers"]
    noisy = [one for one in found if one.get("share", 1.0) == 1.0]
    parts = [one for one in found if not one.get("flipped")]
    panels(
        path,
        [
            ("labels flipped: weighted", "budget N, turns", _curves(noisy, "weighted")),
            ("labels flipped: best-of-N", "budget N, turns", _curves(noisy, "best_of_n")),
            ("amount of data: weighted", "budget N, turns", _curves(parts, "weighted")),
        ],
        y="share right",
    )


def _curves(found: Sequence[Mapping[str, Any]], how: str) -> list[Curve]:
    return [
        Curve.of(one["name"], one[how], "budget", style="s--" if one["name"] == "majority" else "o-")
        for one in found
        if one[how]
    ]
