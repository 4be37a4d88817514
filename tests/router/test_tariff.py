"""What ways are weighed by is what they are expected to cost, to the last digit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from math import isnan, nan
from typing import Any, get_args

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_model.estimate import Judge
from cost_model.prices import Price, Tier
from router.config import Model
from router.market import Market
from router.outlooks import Expectation
from router.pricing import expected_usd, limited, priced, probe_price
from router.prompts import PromptSize
from router.prospects import LEVELS, Prospect, ProspectStage, Way
from router.tariff import tariff_of
from router.types import Stopping, StrategyName, StrategySpec
from router.workloads import Ask
from tests.router.guided import Oracle, guided

SIZES = (4, 8, 16)
OPENED = guided(Oracle((0.5,) * 4), latency=True)

usd = st.integers(0, 10**9).map(lambda femto: Decimal(femto) / 10**15)
rates = st.one_of(st.none(), usd)
flat = st.builds(Price, rates, rates)
tiered = st.lists(st.tuples(st.integers(1, 400), flat), max_size=3, unique_by=lambda each: each[0]).map(
    lambda tiers: tuple(Tier(*each) for each in sorted(tiers, key=lambda each: each[0]))
)
prices = st.builds(lambda price, tiers: replace(price, tiers=tiers), flat, tiered)
judges = st.builds(
    Judge, prices, st.none(), st.integers(1, 300), st.integers(1, 3), st.integers(0, 20), st.integers(1, 2)
)
prompts = st.builds(
    lambda expected, more: PromptSize(0, expected, None if more is None else expected + more),
    st.integers(1, 600),
    st.none() | st.integers(0, 300),
)
asks = st.builds(
    Ask, prompts, st.none() | st.integers(1, 700), st.integers(1, 3), st.sampled_from([(), ("plugins",)])
)
means = st.none() | st.floats(0, 600)


def _ways(window: int | None) -> tuple[Way, ...]:
    """Every strategy; the small model's own answer, and the large one's."""
    stopping = Stopping(window=window)
    specs = [StrategySpec(name, 8, stopping=stopping) for name in get_args(StrategyName) if name != "direct"]
    direct = StrategySpec("direct")
    small = [Way(spec.name, "small", "tiny", spec) for spec in (direct, *specs)]
    return (*small, Way("big", "large", "big", direct))


def _market(
    priced_at: Mapping[str, Price],
    judged_by: tuple[Judge, ...],
    together: bool,
    unbounded: Mapping[str, None],
) -> Market:
    models: dict[str, Model] = {**OPENED.config.models}
    models["big"] = models["big"].model_copy(update=unbounded)
    counter = replace(
        OPENED.counters["default"],
        models=models,
        prices=priced_at,
        price=priced_at["tiny"],
        judges=judged_by,
        judged_together=together,
    )
    config = OPENED.config.model_copy(update={"models": models})
    return replace(OPENED, config=config, model_prices=priced_at, counters={"default": counter})


def _prospect(ways: tuple[Way, ...], lengths: Any) -> Prospect:
    """Of those lengths, and of whatever else."""
    right = np.full(lengths.shape, 0.5)
    offered = np.full(len(ways), True)
    stages = tuple(
        ProspectStage(size, right[:, :1], right[:, None], offered[None, None], lengths[:, None])
        for size in SIZES
    )
    return Prospect(ways, right, lengths, offered, LEVELS, stages, right[:, 0], (), right[:, 0])


@settings(max_examples=200, deadline=None)
@given(
    st.fixed_dictionaries({"tiny": prices, "big": prices}),
    st.lists(judges, max_size=2),
    st.booleans(),
    st.fixed_dictionaries({}, optional={"max_tokens": st.none(), "context_tokens": st.none()}),
    st.none() | st.integers(2, 9),
    st.lists(st.tuples(asks, means, means), min_size=1, max_size=3),
)
def test_ways_are_weighed_by_what_they_are_expected_to_cost(
    priced_at: dict[str, Price],
    judged_by: list[Judge],
    together: bool,
    unbounded: dict[str, None],
    window: int | None,
    asked: list[tuple[Ask, float | None, float | None]],
) -> None:
    market, ways = _market(priced_at, tuple(judged_by), together, unbounded), _ways(window)
    lengths = np.array([[*[_or_nan(small)] * (len(ways) - 1), _or_nan(big)] for _, small, big in asked])
    tariff = tariff_of(market.counters["default"], ways, SIZES)
    direct, probes, beyond = tariff.expected_usd([ask for ask, *_ in asked], _prospect(ways, lengths))
    for row, (ask, small, big) in enumerate(asked):
        for column, way in enumerate(ways):
            of_small = way.route == "small"
            exact = [
                expected_usd(market, "default", way, small if of_small else big, ask, size * of_small)
                for size in (0, *SIZES)
            ]
            found = [direct[row, column], *(usd[row, 0, column] for usd in beyond)]
            assert all(map(_same, found, exact))
        fresh = [size - before for before, size in zip((0, *SIZES), SIZES, strict=False)]
        of_probes = [probe_price(market, "default", small, ask, samples).expected_usd for samples in fresh]
        assert all(map(_same, [usd[row] for usd in probes], of_probes))


@given(
    st.fixed_dictionaries({"tiny": prices, "big": prices}),
    st.lists(judges, max_size=2),
    st.fixed_dictionaries({}, optional={"max_tokens": st.none(), "context_tokens": st.none()}),
    st.sampled_from(_ways(None)),
    asks,
    means,
    st.sampled_from((0, *SIZES)),
)
def test_limits_look_at_what_an_alternative_says(
    priced_at: dict[str, Price],
    judged_by: list[Judge],
    unbounded: dict[str, None],
    way: Way,
    ask: Ask,
    mean: float | None,
    probes: int,
) -> None:
    market = _market(priced_at, tuple(judged_by), False, unbounded)
    one = priced(market, "default", way, Expectation(0.5, "assumed", mean), ask, probes)
    found = limited(market, "default", way, mean, ask, probes)
    assert found == (one.worst_case_cost_usd, one.expected_latency_s)


def test_a_search_that_nobody_is_offered_has_no_price_rather_than_none_to_pay() -> None:
    ways = _ways(None)
    prospect = _prospect(ways, np.full((1, len(ways)), 40.0))
    beam = np.array([way.name == "beam" for way in ways])
    stages = tuple(replace(stage, offered=~beam[None, None]) for stage in prospect.stages)
    ask = Ask(PromptSize(0, 100, 100), None)
    tariff = tariff_of(OPENED.counters["default"], ways, SIZES)
    direct, _, beyond = tariff.expected_usd([ask], replace(prospect, offered=~beam, stages=stages))
    for usd in (direct[0], *(each[0, 0] for each in beyond)):
        assert np.array_equal(np.isnan(usd), beam)


def _or_nan(mean: float | None) -> float:
    return nan if mean is None else mean


def _same(found: float, exact: Decimal | None) -> bool:
    return isnan(found) if exact is None else found == float(exact)
