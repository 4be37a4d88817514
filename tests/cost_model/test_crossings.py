"""Break-even points, verified by putting them in: on either side another option is ahead."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given

from cost_model.crossings import exchange, price_factor, share, volumes, worth, worths
from cost_model.exchange import inference_growth
from cost_model.planner import Option, option, options
from cost_model.prices import Price
from cost_model.situation import Situation
from tests.cost_model.situations import situation, situations

MIX = {"easy": "search", "hard": "large"}


def _with_price(there: Situation, model: str, factor: Decimal) -> Situation:
    price = there.models[model].price
    assert price.usd_per_prompt_token is not None
    assert price.usd_per_completion_token is not None
    dearer = Price(price.usd_per_prompt_token * factor, price.usd_per_completion_token * factor)
    return replace(there, models={**there.models, model: replace(there.models[model], price=dearer)})


def _with_share(there: Situation, easy: Decimal) -> Situation:
    shares = {"easy": easy, "hard": 1 - easy}
    return replace(there, bins={name: replace(each, share=shares[name]) for name, each in there.bins.items()})


def _ahead(there: Situation, one: Option, other: Option) -> float:
    """By how many USD a query, with the same choices."""
    again = [option(there, each.name, each.choice).value_usd_per_year for each in (one, other)]
    return float((again[0] - again[1]) / (there.queries_per_day * 365))


@given(situations)
def test_at_a_volume_crossing_both_cost_the_same_and_beside_it_the_named_one_less(there: Situation) -> None:
    found = options(there, {"mix": MIX})
    for crossing in volumes(found):
        for factor, cheaper, dearer in (
            (Decimal("0.9"), crossing.below, crossing.above),
            (Decimal("1.1"), crossing.above, crossing.below),
        ):
            moved = replace(there, queries_per_day=crossing.queries_per_day * factor)
            costs = {each.name: option(moved, each.name, each.choice).usd_per_year for each in found}
            assert costs[cheaper] < costs[dearer]
        level = replace(there, queries_per_day=crossing.queries_per_day)
        both = [
            float(option(level, each.name, each.choice).usd_per_year)
            for each in found
            if each.name in (crossing.below, crossing.above)
        ]
        assert both[0] == pytest.approx(both[1])


@given(situations)
def test_at_the_prices_shares_and_worths_said_a_mix_is_worth_as_much_as_the_other(there: Situation) -> None:
    found = options(there, {"mix": MIX})
    by_name = {each.name: each for each in found}
    for crossing in worths(there, found):
        mix, other = by_name[crossing.mix], by_name[crossing.other]
        moved = []
        if crossing.usd_per_right_answer is not None:
            moved.append(replace(there, usd_per_right_answer=crossing.usd_per_right_answer))
        if crossing.price_factor is not None:
            moved.append(_with_price(there, crossing.model, crossing.price_factor))
        if crossing.share is not None:
            moved.append(_with_share(there, crossing.share))
        for level in moved:
            scale = float(mix.usd_per_query + other.usd_per_query) + float(
                (mix.fixed_usd + other.fixed_usd) / (there.queries_per_day * 365)
            )
            assert _ahead(level, mix, other) == pytest.approx(0, abs=1e-12 + 1e-9 * scale)


def test_the_order_changes_at_a_crossing() -> None:
    there = situation(worth="0.05")
    mix, large = option(there, "mix", MIX), option(there, "large", dict.fromkeys(MIX, "large"))
    factor = price_factor(there, mix, large, "l")
    at_share, at_worth = share(there, mix, large, "easy"), worth(there, mix, large)
    assert factor is not None
    assert at_share is None  # whatever the mix, easy queries are better off with the large model
    assert at_worth is None  # which costs less and is right more often
    assert _ahead(there, mix, large) < 0
    assert _ahead(_with_price(there, "l", factor * Decimal("1.01")), mix, large) > 0
    assert _ahead(_with_price(there, "l", factor * Decimal("0.99")), mix, large) < 0


def test_ways_of_one_price_have_no_crossing_of_volumes() -> None:
    assert volumes(options(situation(), {})) == []


def test_the_exchange_is_snell_s_formula_for_this_traffic() -> None:
    found = exchange(situation(), pretraining_tokens=1e9)
    assert found is not None
    assert (found.small, found.large, found.times_larger) == ("s", "l", 10)
    assert found.ratio == pytest.approx(300 * 365_000 / 1e9)
    assert found.growth == pytest.approx(3300 / 300)
    assert found.allowed == pytest.approx(inference_growth(10, found.ratio, 1))
    assert found.break_even_ratio == pytest.approx(27 / (11 - 10))


def test_there_is_no_exchange_without_two_sizes_and_a_search() -> None:
    there = situation()
    alike = {name: replace(each, parameters=7) for name, each in there.models.items()}
    assert exchange(replace(there, models=alike), 1e9) is None
    searchless = {
        name: replace(each, work={way: work for way, work in each.work.items() if way != "search"})
        for name, each in there.bins.items()
    }
    assert exchange(replace(there, bins=searchless), 1e9) is None
