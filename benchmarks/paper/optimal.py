"""4. Compute-optimal search: the way is chosen by difficulty and budget, on one half, measured on the other.

The price of knowing the difficulty is told in three ways: not at all, as the paper does; in full (16 probes
beside the budget); and refunded, where the probes are the first samples of a parallel search. Searches by
steps are given no refund: of a probe only the first step is used, and what else it saves is not measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks.paper.difficulty import Difficulty, difficulties
from benchmarks.paper.figures import Curve, panels
from benchmarks.paper.grid import (
    Action,
    Grid,
    Measured,
    choose_best,
    choose_marginal,
    fixed,
    reaching,
    weightings,
)
from benchmarks.paper.rows import PARALLEL
from benchmarks.paper.search import BASELINE, all_rows, cost_of
from benchmarks.paper.setting import Setting
from benchmarks.paper.statistics import Interval, Values, accuracy, by_question, of_weightings
from benchmarks.paper.tables import cell, number, table

TITLE = "Compute-optimal search"
BASELINES = tuple(way.label for way in PARALLEL)
Unit = Literal["turns", "flops"]
Known = Literal["oracle", "predicted"]
Counting = Literal["free", "in full", "refunded"]
_RESAMPLES = 1000
_EXAMPLE = 16
_UNITS: Mapping[Unit, str] = {"turns": "generated turns", "flops": "FLOPs, judging included"}


@dataclass(frozen=True, slots=True)
class Account:
    """How difficulty is known, how that is paid for, and in which unit."""

    difficulty: Known
    counting: Counting
    unit: Unit


_KNOWN: Sequence[tuple[Known, Counting]] = (
    ("oracle", "free"),
    ("predicted", "free"),
    ("predicted", "in full"),
    ("predicted", "refunded"),
)
ACCOUNTS = [Account(known, counting, unit) for unit in _UNITS for known, counting in _KNOWN]


def run(setting: Setting) -> dict[str, Any]:
    """Accuracy and saving of the paper's rule at every budget, and of the marginal one, for every account."""
    rows, hard = all_rows(setting), difficulties(setting)
    right = accuracy(rows)
    flops = by_question(rows, lambda row: cost_of("generation_flops", row) + cost_of("verifier_flops", row))
    actions = [Action(*key) for key in right]
    matrix = np.array([right[key] for key in right])
    weights = weightings(matrix.shape[1], _RESAMPLES)
    probes = setting.size.probes
    costs = {account: _costs(account, actions, flops, hard, probes) for account in ACCOUNTS}
    plain = {unit: _costs(Account("oracle", "free", unit), actions, flops, hard, probes) for unit in _UNITS}
    base = {
        unit: {name: _baseline(Grid(actions, matrix, plain[unit]), name, weights) for name in BASELINES}
        for unit in _UNITS
    }
    found: list[dict[str, Any]] = []
    for account in ACCOUNTS:
        grid = Grid(actions, matrix, costs[account])
        bins = hard.oracle if account.difficulty == "oracle" else hard.predicted
        for rule, budget, measured in _measured(
            grid, plain[account.unit], bins, weights, setting.size.budgets
        ):
            found.append(
                {
                    "account": asdict(account),
                    "rule": rule,
                    "budget": budget,
                    "right": of_weightings(measured.right).json(),
                    "cost": float(measured.cost[0]),
                    "saving": {
                        name: _saving(line, measured).json() | {"reached": bool(_reached(line, measured))}
                        for name, line in base[account.unit].items()
                    },
                    "choices": [[asdict(each) for each in fold] for fold in measured.choices],
                }
            )
    return {
        "probes": probes,
        "found": found,
        "baselines": [
            {
                "unit": unit,
                "way": name,
                "budget": budget,
                "cost": float(cost),
                **of_weightings(accuracies).json(),
            }
            for unit, lines in base.items()
            for name, line in lines.items()
            for budget, cost, accuracies in zip(line.budgets, line.cost[0], line.right.T, strict=True)
        ],
    }


@dataclass(frozen=True, slots=True)
class Line:
    """A baseline: ``right`` and ``cost`` are (weightings, budgets)."""

    budgets: list[int]
    right: Values
    cost: Values


def _baseline(grid: Grid, way: str, weights: Values) -> Line:
    at = [each for each, action in enumerate(grid.actions) if action.way == way]
    at.sort(key=lambda each: grid.actions[each].budget)
    right = np.stack([fixed(grid.right[each], weights) for each in at], axis=1)
    cost = np.stack([fixed(grid.cost[each], weights) for each in at], axis=1)
    return Line([grid.actions[each].budget for each in at], right, cost)


def _measured(
    grid: Grid, plain: Values, bins: Sequence[int], weights: Values, budgets: Sequence[int]
) -> Iterator[tuple[str, int, Measured]]:
    """Both rules at every budget. The marginal one may spend what the baseline costs, probes included."""
    for budget in budgets:
        same = grid.only([one.budget == budget for one in grid.actions])
        yield "by bin", budget, choose_best(same, bins, weights)
    allowed = [float(plain[grid.actions.index(Action(BASELINE, budget))].mean()) for budget in budgets]
    for budget, measured in zip(budgets, choose_marginal(grid, bins, weights, allowed), strict=True):
        yield "marginal", budget, measured


def _costs(
    account: Account,
    actions: Sequence[Action],
    flops: Mapping[tuple[str, int], Values],
    hard: Difficulty,
    probes: int,
) -> Values:
    """(actions, questions): what each would cost with the probes as the account has it."""
    drawn, judged = np.array(hard.probe_generation_flops), np.array(hard.probe_verifier_flops)
    found = []
    for action in actions:
        own = (
            flops[action.way, action.budget]
            if account.unit == "flops"
            else np.full(len(drawn), float(action.budget))
        )
        extra = drawn + judged if account.unit == "flops" else np.full(len(drawn), float(probes))
        if account.counting == "free":
            found.append(own)
        elif account.counting == "in full" or action.way not in BASELINES:
            found.append(own + extra)
        elif account.unit == "flops" and action.way == "majority":
            found.append(np.maximum(own, drawn) + judged)
        else:
            found.append(np.maximum(own, extra))
    return np.array(found)


def _saving(line: Line, measured: Measured) -> Interval:
    """How many times as much the baseline costs at equal accuracy; a lower bound where it stays below."""
    needed, _ = reaching(line.right, line.cost, measured.right)
    return of_weightings(needed / measured.cost)


def _reached(line: Line, measured: Measured) -> bool:
    return bool(reaching(line.right[:1], line.cost[:1], measured.right[:1])[1][0])


def section(results: Mapping[str, Any]) -> str:
    text = (
        "The way with the most right answers in each of five difficulty bins is chosen on one half of the "
        "questions for every budget, and measured on the other half, and the other way round. Saving: how "
        "many times its cost a baseline needs for the same accuracy, interpolated in log cost between "
        "budgets from 1 to 256; above 1 it pays. A baseline that gets worse with its budget is taken at its "
        "best. ≥ marks baselines that never get so far: the largest budget is taken for them. Intervals are "
        f"95%, over {_RESAMPLES} resamples in which all choices are made again.\n"
    )
    text += f"\n**Saving against {BASELINE}, at N = {_EXAMPLE}** (the paper's example for search)\n\n"
    text += _headline(results)
    for unit, name in _UNITS.items():
        for rule, title in _RULES.items():
            text += f"\n**{title}, by {name}**\n\n" + _table(results, unit, rule)
    return text + "\n**What was chosen** (bins 1 to 5, on each half)\n\n" + _choices(results)


_RULES = {
    "by bin": "The paper's rule",
    "marginal": "Beyond the paper: way and budget by bin, at a mean budget",
}


def _headline(results: Mapping[str, Any]) -> str:
    found = {
        (_label(one), one["rule"], one["account"]["unit"]): one
        for one in results["found"]
        if one["budget"] == _EXAMPLE
    }
    rows = [
        [label, *(_saved(found[label, rule, unit], BASELINE) for rule in _RULES for unit in _UNITS)]
        for label in dict.fromkeys(label for label, _, _ in found)
    ]
    heads = [
        f"{rule}, in {unit}".replace("flops", "FLOPs")
        for rule in ("the paper's rule", "marginal")
        for unit in _UNITS
    ]
    return table(["difficulty", *heads], rows)


def _saved(one: Mapping[str, Any], baseline: str) -> str:
    saving = one["saving"][baseline]
    return ("" if saving["reached"] else "≥ ") + cell(saving, 2)


def _table(results: Mapping[str, Any], unit: Unit, rule: str) -> str:
    rows = []
    for one in _of(results, unit, rule):
        cost = one["cost"] if unit == "turns" else one["cost"] / 1e9
        rows.append(
            [
                _label(one),
                str(one["budget"]),
                number(cost, 1),
                cell(one["right"]),
                *(_saved(one, name) for name in BASELINES),
            ]
        )
    cost_head = "turns" if unit == "turns" else "GFLOPs"
    return table(
        ["difficulty", "N", cost_head, "right", *(f"saving against {name}" for name in BASELINES)], rows
    )


def _choices(results: Mapping[str, Any]) -> str:
    rows = [
        [
            _label(one),
            str(one["budget"]),
            *("; ".join(action["way"] for action in fold) for fold in one["choices"]),
        ]
        for one in _of(results, "turns", "by bin")
        if one["account"]["counting"] == "free"
    ]
    return table(["difficulty", "N", "half 1", "half 2"], rows)


def _of(results: Mapping[str, Any], unit: Unit, rule: str) -> list[Mapping[str, Any]]:
    return [one for one in results["found"] if one["account"]["unit"] == unit and one["rule"] == rule]


def _label(one: Mapping[str, Any]) -> str:
    counting = one["account"]["counting"]
    paid = {"free": "not counted", "in full": "counted in full", "refunded": "probes refunded"}[counting]
    return f"{one['account']['difficulty']}, {paid}"


def draw(results: Mapping[str, Any], folder: Path) -> None:
    """compute-optimal.png: accuracy by cost of both rules and the baselines, in turns and in FLOPs."""
    drawn = []
    for unit, name in _UNITS.items():
        lines = [
            Curve.of(
                way,
                [each for each in results["baselines"] if (each["unit"], each["way"]) == (unit, way)],
                "cost",
            )
            for way in BASELINES
        ]
        for rule in _RULES:
            found = _of(results, unit, rule)
            title = "The paper's rule" if rule == "by bin" else "Beyond the paper: budgets differ by bin"
            chosen = [
                Curve.of(
                    label,
                    [each["right"] | {"cost": each["cost"]} for each in found if _label(each) == label],
                    "cost",
                    style="s--",
                )
                for label in dict.fromkeys(map(_label, found))
            ]
            drawn.append((title, f"mean {name}, a question", lines + chosen))
    panels(folder / "compute-optimal.png", drawn, y="share right", base=10, columns=2)
