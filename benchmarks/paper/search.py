"""2. Searching with a verifier: every way at every budget, overall and by difficulty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.paper.difficulty import BINS, difficulties
from benchmarks.paper.figures import Curve, panels
from benchmarks.paper.rows import BY_STEPS, PARALLEL, WAYS, Row, search_rows
from benchmarks.paper.setting import Setting
from benchmarks.paper.statistics import Values, accuracy, by_question, mean_interval
from benchmarks.paper.tables import cell, number, table
from workers.training.errors import TrainingError

TITLE = "Searching with a verifier"
REPEATS = {1: 16, 2: 16, 4: 16, 8: 8, 16: 8, 32: 4, 64: 4, 128: 2, 256: 1}
"""Of the parallel ways, by budget. They share 256 samples: repeats cost no draws, and steady the curves."""
BASELINE = "best-of-N weighted"
_EASY = 2
"""Bins in which the paper saw over-optimisation."""


def all_rows(setting: Setting) -> list[Row]:
    """The searches that this section and the compute-optimal one rest on."""
    most = max(setting.size.budgets)
    repeats = {budget: times for budget, times in REPEATS.items() if budget <= most}
    parallel = search_rows(setting, "parallel", PARALLEL, repeats=repeats)
    return parallel + search_rows(setting, "by-steps", BY_STEPS)


def run(setting: Setting) -> dict[str, Any]:
    """Accuracy by way, budget and oracle bin, what it cost, and whether it falls on easy questions."""
    rows = all_rows(setting)
    right = accuracy(rows)
    bins = np.array(difficulties(setting).oracle)
    everywhere = np.ones(len(bins), dtype=bool)
    groups = {"all questions": everywhere} | {f"bin {each + 1}": bins == each for each in range(BINS)}
    costs = {name: by_question(rows, partial(cost_of, name)) for name in _COSTS}
    return {
        "curves": [
            {
                "group": group,
                "questions": int(members.sum()),
                "way": way,
                "budget": budget,
                **mean_interval(found[members]).json(),
                "against_baseline": mean_interval((found - right[BASELINE, budget])[members]).json(),
            }
            for group, members in groups.items()
            for (way, budget), found in right.items()
            if members.any()
        ],
        "costs": [
            {
                "way": way,
                "budget": budget,
                **{name: float(found[way, budget].mean()) for name, found in costs.items()},
            }
            for way, budget in right
        ],
        "over_optimisation": [
            _fall(right, way.label, each, bins == each)
            for each in range(_EASY)
            for way in WAYS
            if (bins == each).any()
        ],
    }


_COSTS = ("prompt_tokens", "completion_tokens", "verifier_tokens", "generation_flops", "verifier_flops")


def section(results: Mapping[str, Any]) -> str:
    curves = results["curves"]
    costs = {(each["way"], each["budget"]): each for each in results["costs"]}
    groups = list(dict.fromkeys(each["group"] for each in curves))
    cells = {(each["group"], each["way"], each["budget"]): each for each in curves}
    sizes = {each["group"]: each["questions"] for each in curves}
    budgets = sorted({each["budget"] for each in curves if each["way"] == BY_STEPS[0].label})
    rows = []
    for way in WAYS:
        for budget in budgets:
            cost = costs[way.label, budget]
            rows.append(
                [
                    way.label,
                    str(budget),
                    cell(cells[groups[0], way.label, budget]),
                    cell(cells[groups[0], way.label, budget]["against_baseline"]),
                    *(number(cells[group, way.label, budget]["value"]) for group in groups[1:]),
                    number(cost["completion_tokens"], 0),
                    number(cost["generation_flops"] / 1e9, 2),
                    number(cost["verifier_flops"] / 1e9, 2),
                ]
            )
    heads = ["way", "N", "right", f"less {BASELINE}", *(f"{name} ({sizes[name]})" for name in groups[1:])]
    heads += ["tokens written", "GFLOPs of generating", "of judging"]
    falls = [
        [each["way"], f"bin {each['bin'] + 1}", str(each["best"]), str(each["most"]), cell(each["change"])]
        for each in results["over_optimisation"]
    ]
    return (
        "N is the budget in generated turns; lookahead rolls every step out, so that it has N / (k + 1) "
        "samples. Right: the share of questions, with 95% bootstrap intervals; the next column is the paired "
        "difference. Bins are oracle bins, bin 1 the easiest. FLOPs are means a question; prompts are "
        "counted as they would be read without any cache.\n\n"
        + table(heads, rows)
        + "\nOver-optimisation: accuracy at the largest budget less that at the way's best budget, in the "
        "two easiest bins. The best budget is picked after the fact, so that some fall is luck: only an "
        "interval far below 0 tells of over-optimisation.\n\n"
        + table(["way", "bin", "best N", "largest N", "change"], falls)
    )


def draw(results: Mapping[str, Any], folder: Path) -> None:
    """search.png: accuracy by budget, overall and by bin; search-cost.png: by FLOPs."""
    curves = results["curves"]
    sizes = {each["group"]: each["questions"] for each in curves}
    shown = []
    for group in sizes:
        lines = [
            Curve.of(way.label, _of(curves, group, way.label), "budget", style=_style(at))
            for at, way in enumerate(WAYS)
        ]
        shown.append((f"{group} ({sizes[group]})", "budget N, turns", lines))
    panels(folder / "search.png", shown, y="share right")
    spent = {(each["way"], each["budget"]): each for each in results["costs"]}
    by_cost = []
    for at, way in enumerate(WAYS):
        points = _of(curves, "all questions", way.label)
        costs = [spent[way.label, each["budget"]] for each in points]
        flops = [each["generation_flops"] + each["verifier_flops"] for each in costs]
        by_cost.append(Curve(way.label, flops, [each["value"] for each in points], style=_style(at)))
    panels(
        folder / "search-cost.png",
        [("all questions, judging included", "mean FLOPs a question", by_cost)],
        y="share right",
        base=10,
    )


def cost_of(name: str, row: Row) -> float:
    """One of a row's numbers. Raises :class:`workers.training.errors.TrainingError` if it is unknown."""
    value = getattr(row, name)
    if value is None:
        raise TrainingError("the configuration does not say how many `parameters` model and verifier have")
    return float(value)


def _of(curves: Sequence[Mapping[str, Any]], group: str, way: str) -> list[Mapping[str, Any]]:
    return [each for each in curves if each["group"] == group and each["way"] == way]


def _style(at: int) -> str:
    return "o-" if at < len(PARALLEL) else "s--"


def _fall(
    right: Mapping[tuple[str, int], Values], way: str, bin_: int, members: np.ndarray[Any, np.dtype[np.bool_]]
) -> dict[str, Any]:
    """From the best budget of a way to its largest, in one bin."""
    found = {budget: values[members] for (name, budget), values in right.items() if name == way}
    best, most = max(found, key=lambda budget: float(found[budget].mean())), max(found)
    change = mean_interval(found[most] - found[best]).json()
    return {"way": way, "bin": bin_, "best": best, "most": most, "change": change}
