"""What ways are expected to cost, to weigh them by: all ways of many queries at once, as arrays.

They are those that :mod:`router.pricing` has as decimals, which is what is billed, shown or capped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isnan, nan
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cost_model.rates import FEMTO, JudgeRates, Rates, usd_or_nan
from cost_model.searches import Sampling, sampling
from router.config import Model
from router.types import StrategySpec
from router.workloads import Ask, Counter, assumed_tokens, is_complete, search_load, search_of, size_of

if TYPE_CHECKING:
    from router.prospects import Prospect, Way

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Indices = NDArray[np.intp]

_VOTE = Sampling(0, 0, 0)
"""Of samples that are there."""


@dataclass(frozen=True, slots=True)
class Tariff:
    """What no query changes, of A ways and a probe of S stages, worked out once.

    Priced are, as P columns: A ways without a probe, S stages of the probe, and A ways beyond each stage. A
    column is so many ``prompts`` read and ``turns`` generated [P] by one of the ``models`` (``model`` [P] is
    its place), and what ``judges`` read of them. One that ``answers`` [P] is generated as often as a request
    wants answers, and where that is done by a provider, there may be ``fees`` [P]. ``lengths`` [A + S] are
    the ways whose completions the first columns have. Searches whose turns go on from others are priced one
    by one: ``grown`` says the column, the search, and how many samples it begins with.
    """

    ways: int
    counter: Counter
    models: tuple[Model, ...]
    rates: Rates
    judges: tuple[JudgeRates, ...]
    model: Indices
    prompts: Floats
    turns: Floats
    answers: Bools
    fees: Bools
    lengths: Indices
    grown: tuple[tuple[int, StrategySpec, int], ...]

    def expected_usd(
        self, asks: Sequence[Ask], prospect: Prospect
    ) -> tuple[Floats, tuple[Floats, ...], tuple[Floats, ...]]:
        """USD of N queries, NaN is unknown: [N, A] without a probe, [N] of each stage, [N, L, A] beyond each.

        L is 1 where no level of a stage differs in how long answers are, else K.
        """
        means = self._means(prospect)
        usd = self._sampled_usd(asks, means)
        first = len(self.lengths)
        beyond = range(first, usd.shape[-1], self.ways)
        if self.grown:
            offered = np.zeros(usd.shape[1:], dtype=np.bool_)
            offered[0, : self.ways] = prospect.offered
            for at, stage in zip(beyond, prospect.stages, strict=True):
                offered[:, at : at + self.ways] = stage.offered[0]
            self._price_grown(usd, asks, means, offered)
        return (
            usd[:, 0, : self.ways],
            tuple([usd[:, 0, column] for column in range(self.ways, first)]),
            tuple([usd[..., at : at + self.ways] for at in beyond]),
        )

    def _means(self, prospect: Prospect) -> Floats:
        """[N, L, P] how long one completion is expected to be; NaN where nobody knows."""
        first = prospect.completion_tokens[:, None, self.lengths]
        later = [stage.completion_tokens for stage in prospect.stages]
        levels = max((each.shape[1] for each in later), default=1)
        if levels > 1:
            first = np.broadcast_to(first, (len(first), levels, first.shape[2]))
        return np.concatenate([first, *later], axis=2)

    def _sampled_usd(self, asks: Sequence[Ask], means: Floats) -> Floats:
        """[N, L, P] of whole turns side by side."""
        limits = {asked: self._limits(asked) for asked in {ask.max_tokens for ask in asks}}
        texts = np.array([_texts(ask, limits[ask.max_tokens]) for ask in asks])[:, self.model]
        read, assumed, limit = texts.transpose(2, 0, 1)[:, :, None]
        completion = np.minimum(np.where(np.isnan(means), assumed, np.ceil(means)), limit)
        turns = self.turns
        if any(ask.answers > 1 for ask in asks):
            answers = np.array([ask.answers for ask in asks])[:, None, None]
            turns = np.where(self.answers, answers, turns)
        cost = self.rates.femtodollars(self.prompts * read, turns * completion)
        if any(ask.fees for ask in asks):
            has_fees = np.array([bool(ask.fees) for ask in asks])[:, None, None]
            cost = np.where(has_fees & self.fees, nan, cost)
        if self.judges:
            turn = np.array([[[ask.prompt.expected]] for ask in asks]) + completion
            for judge in self.judges:
                cost = cost + judge.femtodollars(turn)
        return cost / FEMTO

    def _limits(self, asked: int | None) -> list[tuple[float, float, float]]:
        """How long an answer of each model may be and is assumed to be, and how long its context is."""
        found: list[tuple[float, float, float]] = []
        for model in self.models:
            limit, context = model.completion_limit(asked), model.context_tokens
            longest = inf if limit is None else limit
            found.append((longest, assumed_tokens(limit), inf if context is None else context))
        return found

    def _price_grown(self, usd: Floats, asks: Sequence[Ask], means: Floats, offered: Bools) -> None:
        """Searches whose turns go on from others, where they are ``offered`` [L, P]; NaN elsewhere."""
        for column, spec, probes in self.grown:
            usd[:, :, column] = nan
            for level in np.flatnonzero(offered[:, column]).tolist():
                for row, ask in enumerate(asks):
                    mean = means.item(row, level, column)
                    size = size_of(self.counter.small, ask, None if isnan(mean) else mean)
                    load = search_load(self.counter, spec, size, probes)
                    exact = load.expected.cost_usd(self.counter.price, self.counter.judges)
                    usd[row, level, column] = usd_or_nan(exact)


def _texts(ask: Ask, limits: Sequence[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    """Of each model how much of the prompt is paid, how long an answer is assumed to be, and at most is."""
    prompt, at_most = ask.prompt.expected, ask.prompt.at_most
    most = inf if at_most is None else at_most
    # No more than in the worst case, where there is one.
    return [
        (min(prompt, most, context) if limit < inf else prompt, assumed, limit)
        for limit, assumed, context in limits
    ]


@dataclass(frozen=True, slots=True)
class _Column:
    """``sampling`` is ``None`` where turns go on from others; ``asked``: the model answers the request."""

    way: Way
    probes: int
    sampling: Sampling | None
    asked: bool


def tariff_of(counter: Counter, ways: Sequence[Way], sizes: Sequence[int]) -> Tariff:
    """``sizes`` are how many samples there are after each stage of a probe."""
    small = next((place for place, way in enumerate(ways) if way.route == "small"), 0)
    fresh = [size - before for before, size in zip([0, *sizes], sizes, strict=False)]
    columns = [_column(counter, way, 0) for way in ways]
    columns += [_Column(ways[small], 0, Sampling(1, samples, samples), asked=False) for samples in fresh]
    columns += [_column(counter, way, size) for size in sizes for way in ways]
    models = {name: counter.models[name] for name in dict.fromkeys(way.model for way in ways)}
    names, names_in_workers = [*models], {name for name in models if models[name].engine == "transformers"}
    sampled = [column.sampling or _VOTE for column in columns]
    judged = np.array([float(each.judged) for each in sampled])
    return Tariff(
        ways=len(ways),
        counter=counter,
        models=tuple(models.values()),
        rates=Rates.of([counter.prices[column.way.model] for column in columns]),
        judges=tuple(JudgeRates.of(judge, judged) for judge in counter.judges),
        model=np.array([names.index(column.way.model) for column in columns]),
        prompts=np.array([float(each.prompts) for each in sampled]),
        turns=np.array([float(each.turns) for each in sampled]),
        answers=np.array([column.asked for column in columns]),
        fees=np.array([column.asked and column.way.model not in names_in_workers for column in columns]),
        lengths=np.array([*range(len(ways)), *(small for _ in sizes)], dtype=np.intp),
        grown=tuple(
            (place, column.way.spec, column.probes)
            for place, column in enumerate(columns)
            if column.sampling is None
        ),
    )


def _column(counter: Counter, way: Way, probes: int) -> _Column:
    """A way, beyond so many samples of the small model."""
    probes, spec = probes if way.route == "small" else 0, way.spec
    if spec.name == "direct":
        return _Column(way, probes, _VOTE if probes else Sampling(1, 1, 0), asked=not probes)
    if is_complete(spec, probes):
        return _Column(way, probes, _VOTE, asked=False)
    return _Column(way, probes, sampling(spec.name, search_of(counter, spec, probes)), asked=False)
