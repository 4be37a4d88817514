"""Learned compute-optimal searches: theta*(bin, budget) of one small model and verifier.

As in Snell et al. 2024, section 3.2: questions fall into quantiles of how likely the small model is right, by
its probe; in each bin the search that is right most often at a budget is chosen on one half of the questions
and measured on the other, and the other way round. The table that is kept is chosen on all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from router.artifacts import read_artifact
from router.errors import ArtifactInvalid, OutcomesInvalid
from router.evaluation.bootstrap import Interval, intervals
from router.evaluation.crossval import folds
from router.evaluation.groups import by_story
from router.outcome_table import Floats, OutcomeTable
from router.probe import bin_of
from router.strategy import BY_STEPS, search_strategy
from router.types import StrategyName, StrategySpec

Indices = NDArray[np.intp]

COMMAND = "gradus fit"
_PRIOR_QUESTIONS = 1.0
"""A bin's means are as if it had one more question, of the mean of all: so an empty one takes what is best
for all."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class MeasuredInterval(_Part):
    """A mean with its 95% interval: bootstrap over groups of questions, all choices made again."""

    value: float
    low: float
    high: float


class Cell(_Part):
    """The search that a bin gets at a budget (``samples``); ``right`` is measured out of fold."""

    bin: Annotated[int, Field(ge=0)]
    samples: Annotated[int, Field(ge=1)]
    strategy: StrategyName
    questions: Annotated[int, Field(ge=0)]
    right: MeasuredInterval


class Budget(_Part):
    """What the table is worth at a budget, out of fold, against the same search for all (chosen on the same
    half) and against Algorithm 6 of the paper; ``None`` where its searches were not recorded."""

    samples: Annotated[int, Field(ge=1)]
    right: MeasuredInterval
    over_one_search: MeasuredInterval
    over_algorithm_6: MeasuredInterval | None


class StrategyTable(_Part):
    """``edges`` between bins rise: bin 0 is hardest, a question of exactly an edge is in the bin above.

    ``weights`` are SHA-256 by the name of model or verifier, ``data_sha256`` of the outcomes' file.
    """

    version: Literal[1] = 1
    model: str
    verifier: str
    weights: Mapping[str, str]
    data_sha256: str
    questions: Annotated[int, Field(ge=1)]
    created: str
    edges: tuple[float, ...]
    cells: tuple[Cell, ...]
    budgets: tuple[Budget, ...]

    def bin_of(self, p_right: float) -> int:
        """The bin of a question that the small model gets right so often."""
        return int(np.searchsorted(self.edges, p_right, side="right"))

    def best(self, difficulty_bin: int, samples: int) -> StrategyName:
        """What to search in a bin: as measured for the largest budget up to ``samples``, or the smallest."""
        measured = [each.samples for each in self.budgets]
        budget = max((each for each in measured if each <= samples), default=min(measured))
        return next(
            each.strategy for each in self.cells if (each.bin, each.samples) == (difficulty_bin, budget)
        )


def fit_strategy_table(
    table: OutcomeTable,
    *,
    model: str,
    verifier: str,
    weights: Mapping[str, str],
    data_sha256: str,
    created: str,
    p_right: Floats | None = None,
    bins: int = 5,
    seeds: int = 5,
    resamples: int = 1000,
) -> StrategyTable:
    """From searches of the small model at several budgets.

    ``p_right`` [N] says how likely one sample is right, by default the mean score of the probe; it must not
    come from the outcomes. ``created`` is a date, for people. Raises :class:`OutcomesInvalid` where no search
    was recorded, or no probe.
    """
    table = by_story(table)
    searches = [each for each in table.actions if each.route == "small" and each.samples > 1]
    if not searches:
        raise OutcomesInvalid("no search on the small model was recorded: there is no strategy to choose")
    likely = _mean_scores(table) if p_right is None else np.asarray(p_right, float)
    known = np.flatnonzero(
        np.isfinite(likely) & np.isfinite(table.only([each.name for each in searches]).right).all(axis=1)
    )
    if len(set(np.asarray(table.groups)[known])) < 2 * bins:
        raise OutcomesInvalid(
            f"{len(known)} questions have a probe and an outcome of every search, of "
            f"{len(set(np.asarray(table.groups)[known]))} groups; at least {2 * bins} groups are wanted"
        )
    table, likely = table.take(known), likely[known]
    # Edges are scores that occur, and no two are the same: no bin is empty, even where many scores are.
    quantiles = np.unique(np.quantile(likely, np.linspace(0, 1, bins + 1)[1:-1], method="higher"))
    edges = quantiles[quantiles > likely.min()]
    bins = len(edges) + 1
    member = np.searchsorted(edges, likely, side="right")
    halves = [test for seed in range(seeds) for _, test in folds(table.groups, 2, seed)]
    cells: list[Cell] = []
    budgets: list[Budget] = []
    for samples in sorted({each.samples for each in searches}):
        names = [each.strategy for each in searches if each.samples == samples]
        right = table.only([each.name for each in searches if each.samples == samples]).right
        found = _measured(
            right, member, halves, bins, _algorithm_6(likely, names, samples), table.groups, resamples
        )
        best = _choices(right, member, np.ones(len(table)), bins)
        cells += [
            Cell(
                bin=each,
                samples=samples,
                strategy=names[best[each]],
                questions=int((member == each).sum()),
                right=_part(found[each]),
            )
            for each in range(bins)
        ]
        overall, one, paper = found[bins:]
        budgets.append(
            Budget(
                samples=samples,
                right=_part(overall),
                over_one_search=_part(one),
                over_algorithm_6=None if np.isnan(paper.value) else _part(paper),
            )
        )
    return StrategyTable(
        model=model,
        verifier=verifier,
        weights=weights,
        data_sha256=data_sha256,
        questions=len(table),
        created=created,
        edges=tuple(edges.tolist()),
        cells=tuple(cells),
        budgets=tuple(budgets),
    )


def save_strategy_table(table: StrategyTable, path: Path) -> None:
    path.write_text(table.model_dump_json(indent=1) + "\n", "utf-8")


def load_strategy_table(
    reference: str, *, model: str, verifier: str, weights: Mapping[str, str | None]
) -> StrategyTable:
    """Read a table for these: what it measured of others is no guide.

    ``weights`` are SHA-256 by name, ``None`` where unknown. Raises :class:`FileNotFoundError`, or
    :class:`ArtifactInvalid` where the file is wrong, or of another model, verifier or weights.
    """
    table = read_artifact(reference, StrategyTable, "strategy table", COMMAND)
    if (table.model, table.verifier) != (model, verifier):
        raise ArtifactInvalid(
            f"{reference}: strategy table of {table.model} judged by {table.verifier}, but configured are "
            f"{model} and {verifier}; fit one for these with `{COMMAND}`"
        )
    changed = [name for name, each in table.weights.items() if weights.get(name) not in (None, each)]
    if changed:
        raise ArtifactInvalid(
            f"{reference}: strategy table measured with other weights of {', '.join(changed)}; fit it again "
            f"with `{COMMAND}`"
        )
    return table


def _mean_scores(table: OutcomeTable) -> Floats:
    return np.array(
        [np.mean(each.scores) if each is not None and each.scores else np.nan for each in table.evidence]
    )


def _measured(
    right: Floats,
    member: Indices,
    halves: Sequence[Indices],
    bins: int,
    paper: Indices | None,
    groups: Sequence[str],
    resamples: int,
) -> list[Interval]:
    """Out of fold: P(right) of each bin, of all, above one search for all, above Algorithm 6 (or NaN)."""

    def numbers(weights: Floats) -> list[float]:
        ours, one = np.zeros(len(right)), np.zeros(len(right))
        for test in halves:
            training = weights.copy()
            training[test] = 0.0
            best = _choices(right, member, training, bins)
            single = _choices(right, np.zeros_like(member), training, 1)[0]
            ours[test] += right[test, best[member[test]]]
            one[test] += right[test, single]
        seeds = len(halves) / 2
        ours, one = ours / seeds, one / seeds
        total = weights.sum()
        in_bin = np.bincount(member, weights, minlength=bins)
        by_bin = np.bincount(member, weights * ours, minlength=bins) / np.where(in_bin > 0, in_bin, np.nan)
        ruled = ours * np.nan if paper is None else np.take_along_axis(right, paper[:, None], axis=1)[:, 0]
        mean = weights @ ours / total
        return [*by_bin, mean, mean - weights @ one / total, mean - weights @ ruled / total]

    return intervals(numbers, groups, resamples=resamples)


def _choices(right: Floats, member: Indices, weights: Floats, bins: int) -> Indices:
    """[bins] the search that is right most often in each, of equal ones the first."""
    held = np.zeros((bins, len(right)))
    held[member, np.arange(len(right))] = weights
    overall = weights @ right / weights.sum()
    means = (held @ right + _PRIOR_QUESTIONS * overall) / (held.sum(axis=1, keepdims=True) + _PRIOR_QUESTIONS)
    best: Indices = means.argmax(axis=1)
    return best


def _algorithm_6(likely: Floats, names: Sequence[StrategyName], samples: int) -> Indices | None:
    """[N] which of ``names`` the paper's rule takes; ``None`` where one of them was not recorded."""
    judging: Literal["steps", "turns"] = "steps" if BY_STEPS & set(names) else "turns"
    budget = StrategySpec("best_of_n_weighted", samples)
    ruled = [search_strategy(bin_of(each), budget, judging).name for each in likely.tolist()]
    if not set(ruled) <= set(names):
        return None
    return cast("Indices", np.array([list(names).index(each) for each in ruled]))


def _part(interval: Interval) -> MeasuredInterval:
    return MeasuredInterval(value=interval.value, low=interval.low, high=interval.high)
