"""3. Revising or sampling: how to divide a budget between attempts in a row and chains side by side.

Snell et al. 2024, section 6 and figure 7: a revision model, and a verifier that reads a chain's earlier
attempts. The chains of a question are the same whatever the ratio: those of a longer one begin with those of
a shorter one, because all are dealt from one deck.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.paper import ratio_figures
from benchmarks.paper.difficulty import BINS, difficulties
from benchmarks.paper.grid import Action, Grid, choose_best, fixed, reaching, weightings
from benchmarks.paper.rows import Row, Way, search
from benchmarks.paper.search import cost_of
from benchmarks.paper.setting import Setting, Sitting
from benchmarks.paper.statistics import Values, accuracy, by_question, mean_interval, of_weightings
from benchmarks.paper.tables import cell, table
from workers.protocols import SearchResult
from workers.search.selection import select_majority

TITLE = "Revising or sampling"
MODEL, VERIFIER = "abacus-revision", "abacus-revision-orm"
PARALLEL = "1 in a row"
"""Chains of one attempt: best-of-N weighted of the revision model, with the same verifier."""
REPEATS = {1: 16, 2: 16, 4: 4, 8: 8, 16: 2, 32: 4, 64: 1, 128: 2, 256: 1}
"""By budget. Parallel attempts are repeated on draws that a larger budget needs anyway."""
_RESAMPLES = 500


@dataclass(frozen=True, slots=True)
class Extent:
    """How many questions, and the budgets at which every ratio is measured: chains are dear.

    Parallel sampling alone, which is cheap, goes on to ``parallel``: what it takes to keep up with.
    """

    questions: int
    budgets: tuple[int, ...]
    parallel: int = 256


SMALL, FULL = Extent(60, (4, 16, 64)), Extent(500, (4, 16, 64, 256))


def extent_of(setting: Setting) -> Extent:
    return FULL if setting.size.name.startswith("full") else SMALL


def lengths(budget: int) -> list[int]:
    """Of the chains, so that ratios of sequential to parallel are powers of four: all powers of two."""
    return [2**power for power in range(budget.bit_length()) if 2**power <= budget]


def way_of(length: int) -> Way:
    return Way(f"{length} in a row", "revisions", chain=length)


def is_there(setting: Setting) -> bool:
    """Whether the configuration has a model that revises, and its verifier."""
    return MODEL in setting.models and VERIFIER in setting.verifiers


def chain_rows(setting: Setting) -> tuple[list[Row], list[Row]]:
    """Every ratio at every budget: by hierarchical selection (Algorithm 7), and by majority of all attempts.

    A budget of one is a turn that nobody judges.
    """
    extent = extent_of(setting)
    searches = [(Way("direct", "direct"), 1), *_searches(extent)]

    def search_all(sitting: Sitting) -> list[dict[str, Any]]:
        found = []
        for way, budget in searches:
            player = sitting.model(MODEL)
            for repeat in range(REPEATS[budget]):
                row, result = search(sitting, way, budget, player, sitting.judge(VERIFIER), repeat)
                found.append({"row": asdict(row), "majority": _majority_is_right(sitting, result)})
        return found

    about = {"searches": [(asdict(way), budget, REPEATS[budget]) for way, budget in searches]}
    values = setting.each("ratios", about, [MODEL, VERIFIER], search_all, extent.questions)
    flat = [value for of_question in values for value in of_question]
    rows = [Row(**value["row"]) for value in flat]
    return rows, [replace(row, right=value["majority"]) for row, value in zip(rows, flat, strict=True)]


def _searches(extent: Extent) -> list[tuple[Way, int]]:
    """Short chains first: many decode together, and longer ones find their beginnings on the deck."""
    alone = [(way_of(1), budget) for budget in lengths(extent.parallel) if budget > 1]
    longest = max(extent.budgets)
    return alone + [
        (way_of(length), budget)
        for length in lengths(longest)[1:]
        for budget in extent.budgets
        if length <= budget
    ]


def _majority_is_right(sitting: Sitting, result: SearchResult | None) -> bool:
    """Whether the most frequent answer of all attempts is right; scores do not break its ties."""
    if result is None:
        return False
    unscored = [replace(one, score=0.0) for one in result.candidates]
    return sitting.is_right(select_majority(unscored, sitting.answers).best.answer)


def run(setting: Setting) -> dict[str, Any]:
    """Accuracy by ratio and budget, overall and by oracle bin; the best ratios, and what they save."""
    if not is_there(setting):
        return {"skipped": f"the configuration has no model {MODEL} with a verifier {VERIFIER}"}
    rows, majority_rows = chain_rows(setting)
    right, majority = accuracy(rows), accuracy(majority_rows)
    budgets = extent_of(setting).budgets
    count = len(right[PARALLEL, budgets[0]])
    difficulty = difficulties(setting)
    bins = np.array(difficulty.oracle[:count])
    groups = {"all questions": np.ones(count, dtype=bool)}
    groups |= {f"bin {each + 1}": bins == each for each in range(BINS)}
    flops = by_question(rows, flops_of)
    weights = weightings(count, _RESAMPLES)
    return {
        "questions": count,
        "cells": [
            {
                "group": group,
                "questions": int(members.sum()),
                "budget": budget,
                "length": length,
                "right": mean_interval(right[way_of(length).label, budget][members]).json(),
                "majority": mean_interval(majority[way_of(length).label, budget][members]).json(),
                "gflops": float(flops[way_of(length).label, budget].mean()) / 1e9,
            }
            for group, members in groups.items()
            if members.any()
            for budget in budgets
            for length in lengths(budget)
        ],
        "best": [
            {"group": group, "budget": budget, **best_ratio(right, budget, members)}
            for group, members in groups.items()
            if members.any()
            for budget in budgets
        ],
        "parallel": [
            {"budget": budget, **mean_interval(found).json()}
            for (way, budget), found in sorted(right.items(), key=lambda item: item[0][1])
            if way == PARALLEL
        ],
        "optimal": [
            {"bins": name, "budget": budget, **optimal(right, flops, budget, chosen_by, weights)}
            for name, chosen_by in (("oracle", difficulty.oracle), ("predicted", difficulty.predicted))
            for budget in budgets
        ],
    }


def flops_of(row: Row) -> float:
    """Of generating and judging. Raises :class:`workers.training.errors.TrainingError` if it is unknown."""
    return cost_of("generation_flops", row) + cost_of("verifier_flops", row)


def best_ratio(
    right: Mapping[tuple[str, int], Values], budget: int, members: NDArray[np.bool_]
) -> dict[str, Any]:
    """The chain length that is right most often (of equals the shortest), and what it gains over parallel.

    ``from`` and ``to`` hold the best length in 95% of bootstrap resamples. The gain is that of a choice
    made on the same questions: it flatters.
    """
    found = np.array([right[way_of(length).label, budget] for length in lengths(budget)])[:, members]
    weights = weightings(found.shape[1], _RESAMPLES)
    best = 2 ** (weights @ found.T).round(9).argmax(axis=1)
    low, high = np.percentile(best[1:], (2.5, 97.5), method="nearest")
    chosen = int(best[0])
    gain = found[chosen.bit_length() - 1] - found[0]
    return {"length": chosen, "from": int(low), "to": int(high), "gain": mean_interval(gain).json()}


def optimal(
    right: Mapping[tuple[str, int], Values],
    flops: Mapping[tuple[str, int], Values],
    budget: int,
    bins: Sequence[int],
    weights: Values,
) -> dict[str, Any]:
    """The best length by bin of one fold, measured on the other; and the budget at which parallel keeps up.

    ``saving`` is that budget over this one. Where parallel never does, ``reached`` is false,
    and it is a lower bound.
    """
    count = weights.shape[1]
    ways = [way_of(length) for length in lengths(budget)]
    grid = Grid(
        [Action(way.label, budget) for way in ways],
        np.array([right[way.label, budget] for way in ways]),
        np.array([flops[way.label, budget] for way in ways]),
    )
    found = choose_best(grid, bins[:count], weights)
    alone = {size: values for (way, size), values in right.items() if way == PARALLEL}
    sizes = sorted(alone)
    baseline = np.stack([fixed(alone[size], weights) for size in sizes], axis=1)
    needed, is_reached = reaching(baseline, sizes, found.right)
    return {
        "right": of_weightings(found.right).json(),
        "against_parallel": of_weightings(found.right - fixed(alone[budget], weights)).json(),
        "saving": of_weightings(needed / budget).json(),
        "reached": bool(is_reached[0]),
        "choices": [[action.way for action in fold] for fold in found.choices],
    }


def ratio(budget: int, length: int) -> str:
    """Sequential to parallel."""
    return f"{length}:{budget // length}"


def section(results: Mapping[str, Any]) -> str:
    """What docs/paper.md says about it, above the notes."""
    if "skipped" in results:
        return f"Skipped: {results['skipped']}.\n"
    cells = [each for each in results["cells"] if each["group"] == "all questions"]
    overall = [
        [
            str(each["budget"]),
            ratio(each["budget"], each["length"]),
            cell(each["right"]),
            cell(each["majority"]),
            f"{each['gflops']:.2f}",
        ]
        for each in cells
    ]
    best = [
        [
            each["group"],
            str(each["budget"]),
            ratio(each["budget"], each["length"]),
            f"{ratio(each['budget'], each['from'])} to {ratio(each['budget'], each['to'])}",
            cell(each["gain"]),
        ]
        for each in results["best"]
    ]
    chosen = [
        [
            each["bins"],
            str(each["budget"]),
            cell(each["right"]),
            cell(each["against_parallel"]),
            ("" if each["reached"] else "≥ ") + cell(each["saving"], 1),
        ]
        for each in results["optimal"]
    ]
    return (
        f"{results['questions']} questions, attempts by {MODEL}, judged by {VERIFIER}. A ratio of a:b is b "
        "chains of a attempts each; 1:N is best-of-N weighted of the same model. By selection: best-of-N "
        "weighted within each chain, then across chains. By majority: of all attempts of all chains.\n\n"
        + table(["N", "ratio", "by selection", "by majority", "GFLOPs"], overall)
        + "\nThe best ratio by oracle bin, the ratios that are best in 95% of bootstrap resamples, and what "
        "the best one gains over 1:N (chosen and measured on the same questions, so it flatters).\n\n"
        + table(["questions", "N", "best ratio", "95%", "gain over 1:N"], best)
        + "\nCompute-optimal: the best ratio of a bin on one half of the questions, measured on the other "
        "half, both ways. Saving: how many times the budget parallel sampling takes to be right as often; ≥ "
        "where it never is, with its largest budget.\n\n"
        + table(["bins", "N", "right", "less 1:N", "saving"], chosen)
    )


def draw(results: Mapping[str, Any], folder: Path) -> None:
    """ratios.png: by ratio and budget, a heat map by bin, and compute-optimal against parallel."""
    if "skipped" not in results:
        ratio_figures.draw(results, folder / "ratios.png")
