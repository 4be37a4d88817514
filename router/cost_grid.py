"""Expected costs of thousands of queries at once: priced on a grid of lengths, and interpolated.

Costs are linear in the lengths of prompt and answer but for limits and rounding. Only rehearsals rest on the
grid; what is decided online is priced query by query (:mod:`router.tariff`), and so is what is billed, shown
or capped (:mod:`router.pricing`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from cost_model.rates import usd_or_nan
from router.pricing import expected_usd, probe_price
from router.prompts import PromptSize
from router.prospects import Prospect
from router.table import Bounds, Case
from router.weighing import Costs
from router.workloads import Ask, size_of

Floats = NDArray[np.float64]
Grid = Callable[[Floats], Floats]
"""USD [N] of N (prompt tokens, completion tokens) [N, 2]."""

_PROMPT_TOKENS = (0, 64, 512, 4096, 32768)
_COMPLETION_TOKENS = (1, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384)


def ask_for(prompt_tokens: float) -> Ask:
    """A query with a prompt of about that length."""
    tokens = round(prompt_tokens)
    return Ask(PromptSize(tokens, tokens, tokens), None)


@dataclass(frozen=True, slots=True)
class CostGrid:
    """Of one policy: ``direct`` a way, ``after`` a stage and way, ``probes`` a stage.

    ``batches`` are of one and of two samples of a probe: their difference is a sample, what is left of one is
    reading the prompt.

    ``assumed`` [A] are lengths where none is forecast. ``affordable`` and ``affordable_after`` are what caps
    allow a prompt of usual length.
    """

    direct: tuple[Grid, ...]
    after: tuple[tuple[Grid, ...], ...]
    probes: tuple[Grid, ...]
    batches: tuple[Grid, Grid]
    assumed: Floats
    small: int
    affordable: NDArray[np.bool_]
    affordable_after: tuple[NDArray[np.bool_], ...]

    def costs(self, prospect: Prospect, prompt_tokens: Floats) -> Costs:
        """Of N queries; ``prompt_tokens`` [N]."""
        direct = self._look_up(self.direct, prompt_tokens, prospect.completion_tokens[:, None])[:, 0]
        lengths = self._small(prospect, prompt_tokens)
        return Costs(
            direct,
            tuple(
                self._look_up(grids, prompt_tokens, stage.completion_tokens)
                for grids, stage in zip(self.after, prospect.stages, strict=True)
            ),
            tuple(grid(lengths) for grid in self.probes),
            self.affordable,
            self.affordable_after,
        )

    def read_share(self, prospect: Prospect, prompt_tokens: Floats, samples: Floats) -> Floats:
        """[N] of what a batch of ``samples`` [N] costs, what reading the prompt costs; NaN is unknown."""
        lengths = self._small(prospect, prompt_tokens)
        one, two = (grid(lengths) for grid in self.batches)
        reads_usd = np.maximum(2 * one - two, 0.0)
        batch_usd = reads_usd + samples * (two - one)
        free = np.where(np.isnan(batch_usd), np.nan, 0.0)
        share: Floats = np.divide(reads_usd, batch_usd, out=free, where=batch_usd > 0)
        return share

    def _small(self, prospect: Prospect, prompt_tokens: Floats) -> Floats:
        """Lengths [N, 2] of prompts, and of answers of the small model."""
        return np.stack([prompt_tokens, self._known(prospect.completion_tokens)[:, self.small]], axis=1)

    def _known(self, lengths: Floats) -> Floats:
        return np.where(np.isnan(lengths), self.assumed, lengths)

    def _look_up(self, grids: Sequence[Grid], prompt_tokens: Floats, lengths: Floats) -> Floats:
        """[N, L, A] for lengths [N, L, A]"""
        known = self._known(lengths)
        found = np.empty_like(known)
        for way, grid in enumerate(grids):
            for level in range(known.shape[1]):
                found[:, level, way] = grid(np.stack([prompt_tokens, known[:, level, way]], axis=1))
        return found


def cost_grid(case: Case, prospect: Prospect, bounds: Bounds) -> CostGrid:
    """Of the ways of a prospect; ``case`` is one usual query, and ``bounds`` are its own."""
    market, policy_name = case.market, case.policy_name

    def way(index: int, probes: int) -> Grid:
        one = prospect.ways[index]
        return _grid(lambda ask, mean: expected_usd(market, policy_name, one, mean, ask, probes))

    def probe(samples: int) -> Grid:
        return _grid(lambda ask, mean: probe_price(market, policy_name, mean, ask, samples).expected_usd)

    ways = range(len(prospect.ways))
    sizes = [stage.samples for stage in prospect.stages[: len(bounds.after)]]
    models = [market.config.models[each.model] for each in prospect.ways]
    return CostGrid(
        tuple(way(index, 0) for index in ways),
        tuple(tuple(way(index, size) for index in ways) for size in sizes),
        tuple(probe(size - before) for before, size in zip([0, *sizes], sizes, strict=False)),
        (probe(1), probe(2)),
        np.array([float(size_of(model, case.ask, None).completion) for model in models]),
        next((index for index in ways if prospect.ways[index].route == "small"), 0),
        np.array(bounds.direct),
        tuple(map(np.array, bounds.after)),
    )


def _grid(price: Callable[[Ask, float], Decimal | None]) -> Grid:
    from scipy.interpolate import RegularGridInterpolator

    values = [
        [usd_or_nan(price(ask_for(prompt), mean)) for mean in _COMPLETION_TOKENS] for prompt in _PROMPT_TOKENS
    ]
    axes = (np.array(_PROMPT_TOKENS, dtype=float), np.array(_COMPLETION_TOKENS, dtype=float))
    grid: Grid = RegularGridInterpolator(axes, np.array(values), bounds_error=False, fill_value=None)
    return grid
