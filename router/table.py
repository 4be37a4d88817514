"""One query of a policy with everything priced: what weighing and explaining look at."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from decimal import Decimal
from math import isnan, nan

import numpy as np
from numpy.typing import NDArray

from cost_model.prices import add_usd
from router.config import Policy
from router.decision import Objective
from router.limits import allowed
from router.market import Market
from router.outlooks import Expectation
from router.pricing import Ask, ProbePrice, expected_usd, priced, probe_price
from router.prospects import Guide, Prospect
from router.types import Alternative
from router.weighing import Costs

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Case:
    """A query whose ways are to be weighed. ``text`` is what a predictor reads; ``readers`` can read it all.

    ``explained``: somebody asks why, so the plan says what was rejected and for which reason.
    """

    policy_name: str
    market: Market
    ask: Ask
    text: str
    readers: Collection[str]
    explained: bool

    @property
    def policy(self) -> Policy:
        return self.market.config.policies[self.policy_name]

    @property
    def objective(self) -> Objective:
        return self.market.objectives[self.policy_name]


@dataclass(frozen=True, slots=True)
class Prices:
    """Of the ways of one query's prospect. Each is worked out once, however often it is looked at."""

    case: Case
    prospect: Prospect
    known: dict[tuple[int, int, float | None], Alternative] = field(default_factory=dict)
    known_usd: dict[tuple[int, int, float | None], float] = field(default_factory=dict)

    def of(self, way: int, level: int, stage: int | None) -> Alternative:
        """Beyond the probe of a stage; ``None``: without one. Its accuracy is left open."""
        probes, tokens = self._basis(way, level, stage)
        key = (way, probes, tokens)
        if key not in self.known:
            open_ = Expectation(0.0, "assumed", tokens)
            found = self.prospect.ways[way]
            case = self.case
            self.known[key] = priced(case.market, case.policy_name, found, open_, case.ask, probes)
        return self.known[key]

    def expected_usd(self, offered: Bools, stage: int | None) -> Floats:
        """[1, L, A] of the ways that are ``offered`` [L, A] at L levels; NaN of the others."""
        rows = [
            [self._expected_usd(way, level, stage) if there else nan for way, there in enumerate(row)]
            for level, row in enumerate(offered.tolist())
        ]
        return np.array([rows])

    def _expected_usd(self, way: int, level: int, stage: int | None) -> float:
        probes, tokens = self._basis(way, level, stage)
        key = (way, probes, tokens)
        if key not in self.known_usd:
            found = self.prospect.ways[way]
            case = self.case
            usd = expected_usd(case.market, case.policy_name, found, tokens, case.ask, probes)
            self.known_usd[key] = usd_or_nan(usd)
        return self.known_usd[key]

    def _basis(self, way: int, level: int, stage: int | None) -> tuple[int, float | None]:
        """How many samples are there, and how long one answer is expected to be."""
        if stage is None:
            probes, mean = 0, self.prospect.completion_tokens.item(0, way)
        else:
            there = self.prospect.stages[stage]
            lengths = there.completion_tokens
            probes, mean = there.samples, lengths.item(0, min(level, lengths.shape[1] - 1), way)
        return probes if self.prospect.ways[way].route == "small" else 0, None if isnan(mean) else mean


@dataclass(frozen=True, slots=True)
class Table:
    """``probe_prices`` are of each stage; stages that a limit forbids are left out of ``prospect``.

    ``unseen``: there is a predictor, but the prompt is like none that it was fitted on, so tables guide.
    """

    case: Case
    guide: Guide
    prospect: Prospect
    prices: Prices
    costs: Costs
    probe_prices: tuple[ProbePrice, ...]
    unseen: bool

    @property
    def probe_usd(self) -> Decimal | None:
        """What a probe of every stage is expected to cost."""
        return add_usd(*(price.expected_usd for price in self.probe_prices))

    def offers(self) -> tuple[Alternative, ...]:
        """What there would be without a probe, whatever a cap allows."""
        right = self.prospect.right[0]
        return tuple(
            self.alternative(int(way), float(right[way]), 0, None)
            for way in np.flatnonzero(self.prospect.offered)
        )

    def alternative(self, way: int, right: float, level: int, stage: int | None) -> Alternative:
        """A way, priced beyond the probe of a stage; ``None``: without one."""
        source = self.prospect.sources[level][way]
        return replace(self.prices.of(way, level, stage), accuracy=right, accuracy_source=source)


def lay_out(
    case: Case, guide: Guide, prospect: Prospect, readers: Collection[str], *, unseen: bool = False
) -> Table:
    """Price the prospect of one query. Models that are no ``readers`` cannot read the prompt."""
    policy = case.policy
    prices = Prices(case, prospect)
    readable = [way.model in readers for way in prospect.ways]
    limited = policy.max_cost_usd is not None or policy.max_latency_s is not None

    def within(stage: int | None, spent_usd: Decimal | None, spent_s: float) -> list[bool]:
        """Which ways a limit leaves."""
        found = readable.copy()
        for way in range(len(found)):
            if found[way]:
                one = prices.of(way, 0, stage)
                worst_usd = add_usd(spent_usd, one.worst_case_cost_usd)
                seconds = None if one.expected_latency_s is None else spent_s + one.expected_latency_s
                found[way] = allowed(worst_usd, policy.max_cost_usd) and not _too_slow(policy, seconds)
        return found

    small, sampled = small_tokens(prospect), 0
    spent_usd: Decimal | None = Decimal(0)
    spent_s = 0.0
    affordable = within(None, spent_usd, spent_s) if limited else readable
    probe_prices: list[ProbePrice] = []
    after: list[Floats] = []
    affordable_after: list[Bools] = []
    for index, stage in enumerate(prospect.stages):
        price = probe_price(case.market, case.policy_name, small, case.ask, stage.samples - sampled)
        sampled, later = stage.samples, readable
        if limited:
            spent_usd, spent_s = add_usd(spent_usd, price.worst_case_usd), spent_s + price.expected_s
            if not allowed(spent_usd, policy.max_cost_usd) or _too_slow(policy, spent_s):
                prospect = replace(prospect, stages=prospect.stages[:index])
                break
            later = within(index, spent_usd, spent_s)
        probe_prices.append(price)
        affordable_after.append(np.array(later))
        after.append(prices.expected_usd(stage.offered[0], index))
    costs = Costs(
        prices.expected_usd(prospect.offered[None], None)[:, 0],
        tuple(after),
        tuple([np.array([usd_or_nan(price.expected_usd)]) for price in probe_prices]),
        np.array(affordable),
        tuple(affordable_after),
    )
    return Table(case, guide, prospect, prices, costs, tuple(probe_prices), unseen)


def usd_or_nan(usd: Decimal | None) -> float:
    """To weigh by: unknown is NaN."""
    return nan if usd is None else float(usd)


def small_tokens(prospect: Prospect) -> float | None:
    """The expected length of one answer of the small model."""
    for column, way in enumerate(prospect.ways):
        if way.route == "small":
            mean = float(prospect.completion_tokens[0, column])
            return None if isnan(mean) else mean
    return None


def _too_slow(policy: Policy, expected_s: float | None) -> bool:
    """An unknown speed is not held against it."""
    return policy.max_latency_s is not None and expected_s is not None and expected_s > policy.max_latency_s
