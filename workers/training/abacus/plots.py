"""The plots of docs/abacus.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workers.training import files
from workers.training.abacus.evaluate import QUINTILES
from workers.training.errors import MissingExtraError

_ACCURACY = (
    ("large_pass_1", "abacus-large, one sample", "#d1495b", "o-"),
    ("small_pass_16", "abacus-small, 16 samples: any right (pass@16)", "#9bb8d3", "--"),
    ("small_weighted_16", "abacus-small, 16 samples weighted by abacus-prm", "#1d5b99", "s-"),
    ("small_majority_16", "abacus-small, majority of 16", "#5f9e6e", "^-"),
    ("small_pass_1", "abacus-small, one sample (pass@1)", "#444444", "o:"),
)
_WAYS = ("#d1495b", "#1d5b99", "#e9a03b", "#5f9e6e", "#8e6bbf", "#444444", "#9bb8d3")


def accuracy(found: Mapping[str, Any], path: Path) -> None:
    """Accuracy by difficulty quintile: one small sample, 16 of them, one large sample."""
    figure = _figure(7.2, 4.6)
    axes = figure.subplots()
    places = range(QUINTILES)
    for key, label, colour, style in _ACCURACY:
        values = found[key]["by_quintile"]
        axes.plot(places, values, style, color=colour, label=label, linewidth=2, markersize=5)
    axes.set_xticks(places, ["easiest fifth", *map(str, range(2, QUINTILES)), "hardest fifth"])
    axes.set_ylim(-0.02, 1.02)
    axes.set_ylabel("share of held-out questions right")
    axes.set_xlabel("difficulty for abacus-small")
    figure.legend(frameon=False, fontsize=8.5, loc="outside lower center", ncols=2)
    _finish(figure, [axes], path)


def revisions(found: Mapping[str, Any], path: Path) -> None:
    """Left pass@1 along a chain of revisions, right what each way of spending a budget gets right."""
    figure = _figure(12, 5.6)
    along, spent = figure.subplots(1, 2)
    places = range(1, len(found["along"]) + 1)
    _curve(along, places, found["along"], "a chain of revisions by abacus-revision", "#d1495b", "o-")
    ends = [places[0], places[-1]]
    _curve(along, ends, [found["first_attempts"]] * 2, "its first attempts (in parallel)", "#1d5b99", "--")
    _curve(along, ends, [found["small"]] * 2, "abacus-small (in parallel)", "#444444", ":")
    along.set_xlabel("attempt number in its chain")
    along.set_ylabel("share of attempts that are right (pass@1)")
    ways: dict[str, list[Mapping[str, Any]]] = {}
    for one in found["chosen"]:
        ways.setdefault(_kind(one["way"]), []).append(one)
    for (way, points), colour in zip(ways.items(), _WAYS, strict=False):
        budgets = [one["budget"] for one in points]
        spent.plot(budgets, [one["right"]["value"] for one in points], "o-", color=colour, label=way)
    budgets = sorted({one["budget"] for one in found["chosen"]})
    spent.set_xscale("log", base=2)
    spent.set_xticks(budgets, list(map(str, budgets)))
    spent.set_xlabel("attempts in all")
    spent.set_ylabel("share of held-out questions right")
    for axes in (along, spent):
        axes.legend(frameon=False, fontsize=8.5, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2)
    _finish(figure, [along, spent], path)


def _kind(way: str) -> str:
    """What a line of the plot joins: chains of the same number, whatever their length."""
    head, of, _ = way.partition(" of ")
    return f"{head}, Algorithm 7" if of and "chain" in head else way


def _curve(
    axes: Any,
    places: Sequence[int],
    shares: Sequence[Mapping[str, float]],
    label: str,
    colour: str,
    style: str,
) -> None:
    low, high = [one["low"] for one in shares], [one["high"] for one in shares]
    axes.plot(places, [one["value"] for one in shares], style, color=colour, label=label, markersize=4)
    axes.fill_between(places, low, high, color=colour, alpha=0.15, linewidth=0)


def _figure(width: float, height: float) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib") from error
    return Figure(figsize=(width, height), layout="constrained")


def _finish(figure: Any, panels: Sequence[Any], path: Path) -> None:
    for axes in panels:
        axes.grid(axis="y", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    files.replace_file(path, lambda target: figure.savefig(target, dpi=150, format="png"))
