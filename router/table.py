"""One query of a policy with everything priced: what weighing and explaining look at."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from decimal import Decimal
from math import isnan

import numpy as np
from numpy.typing import NDArray

from cost_model.prices import add_usd
from router.decision import Objective
from router.limits import allowed
from router.market import Market
from router.outlooks import Expectation
from router.pricing import Ask, ProbePrice, priced, probe_price, way_usd
from router.prospects import Guide, Prospect
from router.types import Alternative
from router.weighing import Costs

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Table:
    """``probe_prices`` are of each stage; stages that the cap forbids are left out of ``prospect``."""

    policy_name: str
    market: Market
    ask: Ask
    guide: Guide
    prospect: Prospect
    costs: Costs
    probe_prices: tuple[ProbePrice, ...]

    @property
    def objective(self) -> Objective:
        return self.market.objectives[self.policy_name]

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
        return _alternative(self.policy_name, self.market, self.ask, self.prospect, way, right, level, stage)


def lay_out(
    policy_name: str, market: Market, ask: Ask, guide: Guide, prospect: Prospect, readers: Collection[str]
) -> Table:
    """Price the prospect of one query. Models that are no ``readers`` cannot read the prompt."""
    policy = market.config.policies[policy_name]
    readable = np.array([way.model in readers for way in prospect.ways])
    limited = policy.max_cost_usd is not None or policy.max_latency_s is not None

    def within(stage: int | None, spent_usd: Decimal | None) -> Bools:
        if not limited:
            return readable
        found = readable.copy()
        for way in np.flatnonzero(readable):
            one = _alternative(policy_name, market, ask, prospect, int(way), 0.0, 0, stage)
            worst_usd = add_usd(spent_usd, one.worst_case_cost_usd)
            slow = (
                policy.max_latency_s is not None
                and one.expected_latency_s is not None
                and one.expected_latency_s > policy.max_latency_s
            )
            found[way] = allowed(worst_usd, policy.max_cost_usd) and not slow
        return found

    def costs(lengths: Floats, probes: int) -> Floats:
        """[1, L, A] for lengths [1, L, A]"""
        rows = [
            [
                way_usd(market, policy_name, way, None if isnan(mean) else mean, ask, probes)
                for way, mean in zip(prospect.ways, row, strict=True)
            ]
            for row in lengths[0]
        ]
        return np.array([rows])

    prices: list[ProbePrice] = []
    after: list[Floats] = []
    affordable: list[Bools] = []
    spent_usd: Decimal | None = Decimal(0)
    sampled = 0
    for index, stage in enumerate(prospect.stages):
        price = probe_price(market, policy_name, small_tokens(prospect), ask, stage.samples - sampled)
        spent_usd, sampled = add_usd(spent_usd, price.worst_case_usd), stage.samples
        if not allowed(spent_usd, policy.max_cost_usd):
            break
        prices.append(price)
        after.append(costs(stage.completion_tokens, stage.samples))
        affordable.append(within(index, spent_usd))
    known = [float("nan") if price.expected_usd is None else float(price.expected_usd) for price in prices]
    return Table(
        policy_name,
        market,
        ask,
        guide,
        replace(prospect, stages=prospect.stages[: len(prices)]),
        Costs(
            costs(prospect.completion_tokens[:, None], 0)[:, 0],
            tuple(after),
            tuple(np.array([usd]) for usd in known),
            within(None, Decimal(0)),
            tuple(affordable),
        ),
        tuple(prices),
    )


def small_tokens(prospect: Prospect) -> float | None:
    """The expected length of one answer of the small model."""
    for column, way in enumerate(prospect.ways):
        if way.route == "small":
            mean = float(prospect.completion_tokens[0, column])
            return None if isnan(mean) else mean
    return None


def _alternative(
    policy_name: str,
    market: Market,
    ask: Ask,
    prospect: Prospect,
    way: int,
    right: float,
    level: int,
    stage: int | None,
) -> Alternative:
    lengths = prospect.completion_tokens
    probes = 0
    if stage is not None:
        by_level = prospect.stages[stage].completion_tokens[0]
        lengths, probes = by_level[[min(level, len(by_level) - 1)]], prospect.stages[stage].samples
    mean = float(lengths[0, way])
    source = prospect.sources[level][way]
    expectation = Expectation(right, source, None if isnan(mean) else mean)
    return priced(market, policy_name, prospect.ways[way], expectation, ask, probes)
