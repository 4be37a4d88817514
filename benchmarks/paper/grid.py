"""Choosing ways and budgets by difficulty bin on one fold, and measuring the choice on the other.

Everything is worked out for many weightings of the questions at once: the first gives each the weight 1, the
others are bootstrap resamples. So choices are made anew in every resample, and intervals include their luck.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.paper.difficulty import BINS, folds
from benchmarks.paper.statistics import Values, resamples

_TIE = 1e-9
"""What the larger of two costs weighs where two actions are right equally often."""
_PRICES = np.logspace(-6, 1, 85)
"""Of a turn, where the smallest budget is one turn: in shares of right answers."""


@dataclass(frozen=True, slots=True)
class Action:
    way: str
    budget: int


@dataclass(frozen=True, slots=True)
class Grid:
    """What every action came to on every question: ``right`` and ``cost`` are (actions, questions)."""

    actions: Sequence[Action]
    right: Values
    cost: Values

    def only(self, keep: Sequence[bool]) -> Grid:
        chosen = [at for at, kept in enumerate(keep) if kept]
        return Grid([self.actions[at] for at in chosen], self.right[chosen], self.cost[chosen])


@dataclass(frozen=True, slots=True)
class Measured:
    """One number a weighting, and the chosen actions of the first one: ``choices[fold][bin]``."""

    right: Values
    cost: Values
    choices: list[list[Action]]


def weightings(questions: int, count: int) -> Values:
    """(1 + count, questions): ones, then how often each question is in each bootstrap resample."""
    drawn = resamples(questions, count)
    counts = np.zeros((count, questions))
    np.add.at(counts, (np.arange(count)[:, None], drawn), 1.0)
    return np.concatenate([np.ones((1, questions)), counts])


def fixed(values: Values, weights: Values) -> Values:
    """The weighted means of one number a question, a weighting."""
    found: Values = weights @ values / weights.sum(axis=1)
    return found


def choose_best(grid: Grid, bins: Sequence[int], weights: Values) -> Measured:
    """In every bin the action that is right most often on the other fold; of equals the cheaper one."""
    cells = _Cells(grid, bins, weights)
    at = (cells.right - _TIE * cells.cost / cells.cost.max()).argmax(axis=1)
    return cells.measure(at)


def choose_marginal(
    grid: Grid, bins: Sequence[int], weights: Values, budgets: Sequence[float]
) -> list[Measured]:
    """The actions by bin that are right most often at a mean cost of each of ``budgets``, on the other fold.

    One price for all bins: in each the action with the best ``right - price * cost``; the smallest price at
    which the mean cost keeps to the budget. That is where all marginal gains are alike (Damani et al. 2024,
    section 3.1). Beyond the paper, which gives every question the same budget.
    """
    cells = _Cells(grid, bins, weights)
    cheapest = cells.cost.argmin(axis=1)
    best = [cheapest.copy() for _ in budgets]
    found = [np.zeros(cheapest.shape[:2], dtype=bool) for _ in budgets]
    for price in np.concatenate([[0.0], _PRICES / min(budgets)]):
        at = (cells.right - price * cells.cost).argmax(axis=1)
        spent = (_taken(cells.cost, at) * cells.count).sum(axis=2) / np.maximum(cells.count.sum(axis=2), 1.0)
        for number, budget in enumerate(budgets):
            fits = (spent <= budget) & ~found[number]
            best[number][fits] = at[fits]
            found[number] |= fits
    return [cells.measure(chosen) for chosen in best]


def reaching(
    accuracy: Values, budgets: Sequence[float] | Values, wanted: Values
) -> tuple[Values, NDArray[np.bool_]]:
    """The smallest budget at which a baseline is right as often as ``wanted``, and whether it ever is.

    ``accuracy`` is (weightings, budgets), ``budgets`` the same or one row. Between two budgets accuracy is
    read off a line in log budget; a baseline that gets worse keeps its best. Where it is never reached, the
    largest budget is given: a lower bound.
    """
    best = np.maximum.accumulate(accuracy, axis=1)
    logs = np.log(np.broadcast_to(np.asarray(budgets, dtype=float), best.shape))
    needed = np.empty(len(best))
    for at, (curve, log, goal) in enumerate(zip(best, logs, wanted, strict=True)):
        above = int(np.searchsorted(curve, goal))
        if above == 0:
            needed[at] = log[0]
        elif above == len(curve):
            needed[at] = log[-1]
        else:
            share = (goal - curve[above - 1]) / (curve[above] - curve[above - 1])
            needed[at] = log[above - 1] + share * (log[above] - log[above - 1])
    return np.exp(needed), wanted <= best[:, -1] + _TIE


class _Cells:
    """Means by fold and bin: ``right`` and ``cost`` are (weightings, actions, folds, bins)."""

    def __init__(self, grid: Grid, bins: Sequence[int], weights: Values) -> None:
        self._actions = grid.actions
        questions = len(bins)
        member = np.zeros((questions, 2, BINS))
        member[np.arange(questions), folds(questions), list(bins)] = 1.0
        self.count = np.einsum("rq,qfb->rfb", weights, member)
        held = np.maximum(self.count, 1.0)[:, None]
        spread = weights[:, :, None, None] * member
        self.right = np.einsum("aq,rqfb->rafb", grid.right, spread, optimize=True) / held
        self.cost = np.einsum("aq,rqfb->rafb", grid.cost, spread, optimize=True) / held

    def measure(self, chosen: NDArray[np.int64]) -> Measured:
        """What the actions ``chosen`` on each fold, (weightings, folds, bins), come to on the other."""
        other = chosen[:, ::-1]
        total = self.count.sum(axis=(1, 2))
        right = (_taken(self.right, other) * self.count).sum(axis=(1, 2)) / total
        cost = (_taken(self.cost, other) * self.count).sum(axis=(1, 2)) / total
        return Measured(right, cost, [[self._actions[at] for at in fold] for fold in chosen[0]])


def _taken(values: Values, at: NDArray[np.int64]) -> Values:
    found: Values = np.take_along_axis(values, at[:, None], axis=1)[:, 0]
    return found
