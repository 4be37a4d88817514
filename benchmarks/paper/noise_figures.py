"""The figure of experiment 6: accuracy by budget, for noisy labels and for few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.paper.figures import Curve, panels


def draw(results: Mapping[str, Any], path: Path) -> None:
    """Noisy labels, parts of the data, and no labels, by both ways to choose."""
    found = results["verifiers"]
    votes = [one for one in found if one["name"] == "majority"]
    trained = [one for one in found if "flipped" in one]
    noisy = [one for one in trained if one["share"] == 1.0]
    parts = [one for one in trained if not one["flipped"]]
    others = [one for one in found if "flipped" not in one]
    panels(
        path,
        [
            ("labels flipped: best-of-N weighted", "budget N, turns", _curves([*votes, *noisy], "weighted")),
            ("amount of data: best-of-N weighted", "budget N, turns", _curves([*votes, *parts], "weighted")),
            ("not trained here: best-of-N weighted", "budget N, turns", _curves(others, "weighted")),
            ("labels flipped: best-of-N", "budget N, turns", _curves(noisy, "best_of_n")),
            ("amount of data: best-of-N", "budget N, turns", _curves(parts, "best_of_n")),
            ("not trained here: best-of-N", "budget N, turns", _curves(others, "best_of_n")),
        ],
        y="share right",
    )


def _curves(found: Sequence[Mapping[str, Any]], how: str) -> list[Curve]:
    return [
        Curve.of(one["name"], one[how], "budget", style="s--" if one["name"] == "majority" else "o-")
        for one in found
        if one[how]
    ]
