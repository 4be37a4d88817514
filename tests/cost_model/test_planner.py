"""The planner: costs and accuracies by hand, probes paid once, queues, and the best way for each bin."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import product
from math import inf

import pytest
from hypothesis import given

from cost_model.latency import DecodeSpeed, queue_s
from cost_model.planner import best_per_bin, is_mix, option, options
from cost_model.prices import UNKNOWN
from cost_model.situation import Situation, Speed, Work
from tests.cost_model.situations import WAYS, situation, situations

PROBE = Work("s", 4, Decimal(100), Decimal(800), Decimal(1200), 1.5)
MIX = {"easy": "search", "hard": "large"}


def test_a_way_for_all_costs_its_tokens_and_is_right_as_its_bins_are() -> None:
    search = option(situation(), "search", dict.fromkeys(("easy", "hard"), "search"))
    a_query = (100 * Decimal(1) + 3200 * Decimal(2) + 4800 * Decimal(1)) / 1_000_000
    assert search.usd_per_query == a_query
    assert search.usd_by_model == {"s": a_query - Decimal("0.0048")}
    assert search.usd_per_year == a_query * 1000 * 365
    assert search.right == Decimal("0.8") * Decimal("0.9") + Decimal("0.2") * Decimal("0.3")
    assert search.value_usd_per_year == (Decimal("0.05") * search.right - a_query) * 365_000
    assert search.seconds == pytest.approx(3.0)
    assert search.flops_per_year == pytest.approx(2 * (7_000 * 3300 + 500 * 4800) * 365_000)


def test_what_is_paid_once_lasts_for_its_years_and_only_where_it_is_used() -> None:
    there = replace(situation(fixed="9000"), years=Decimal(3))
    small, _, large, *_ = options(there, {})
    assert [small.fixed_usd, large.fixed_usd, large.fixed_usd_per_year] == [0, 9000, 3000]
    assert large.usd_per_year == large.usd_per_query * 365_000 + 3000


def test_a_mix_costs_what_its_ways_cost_in_their_bins() -> None:
    there = situation()
    mix = option(there, "mix", MIX)
    alone = [option(there, way, dict.fromkeys(MIX, way)).usd_per_query for way in ("search", "large")]
    assert mix.usd_per_query == Decimal("0.8") * alone[0] + Decimal("0.2") * alone[1]
    assert mix.seconds == pytest.approx(0.8 * 3 + 0.2 * 2)


def test_a_search_begins_with_its_probe_and_the_large_model_comes_on_top_of_it() -> None:
    there = situation(probe=PROBE)
    mix = option(there, "mix", MIX)
    free = option(situation(), "mix", MIX)
    probing = (100 * Decimal(1) + 800 * Decimal(2) + 1200 * Decimal(1)) / 1_000_000
    assert mix.by_bin["easy"] == free.by_bin["easy"]
    assert mix.by_bin["hard"][0] == free.by_bin["hard"][0] + probing
    assert mix.seconds == pytest.approx(0.8 * 3 + 0.2 * (1.5 + 2))
    small = option(there, "mix", {"easy": "small", "hard": "large"})
    assert small.by_bin["easy"][0] == probing  # one of its samples is the answer


def test_nobody_probes_to_do_the_same_in_every_bin() -> None:
    for way in WAYS:
        same = dict.fromkeys(MIX, way)
        assert option(situation(probe=PROBE), way, same) == option(situation(), way, same)


@given(situations)
def test_no_mix_is_worth_more_than_the_best_way_for_each_bin(there: Situation) -> None:
    """As long as what is paid once does not count and the probe is paid anyway."""
    there = replace(
        there, models={name: replace(each, fixed_usd=Decimal(0)) for name, each in there.models.items()}
    )
    mixes = {f"{a} {b}": {"easy": a, "hard": b} for a, b in product(WAYS, WAYS) if a != b}
    best = option(there, "best", best_per_bin(there))
    for found in options(there, mixes):
        if is_mix(found):
            assert found.value_usd_per_year <= best.value_usd_per_year


@given(situations)
def test_every_option_is_worth_its_right_answers_less_what_it_costs(there: Situation) -> None:
    for found in options(there, {"mix": MIX}):
        shares = [there.bins[name].share for name in found.by_bin]
        costs, rights = zip(*found.by_bin.values(), strict=True)
        assert found.usd_per_query == sum(a * b for a, b in zip(shares, costs, strict=True))
        assert found.right == sum(a * b for a, b in zip(shares, rights, strict=True))
        assert 0 <= found.right <= 1
        queries = there.queries_per_day * 365
        assert found.usd_per_year == found.usd_per_query * queries + found.fixed_usd_per_year
        assert found.usd_per_year > 0


def test_an_unknown_price_is_refused_and_unknown_sizes_leave_flops_unknown() -> None:
    there = situation()
    unpriced = replace(there, models={**there.models, "l": replace(there.models["l"], price=UNKNOWN)})
    with pytest.raises(ValueError, match="nobody knows what l"):
        option(unpriced, "large", dict.fromkeys(MIX, "large"))
    unsized = replace(there, models={**there.models, "l": replace(there.models["l"], parameters=None)})
    assert option(unsized, "large", dict.fromkeys(MIX, "large")).flops_per_year is None


SPEED = Speed(1000.0, DecodeSpeed(0.01, 0.001), batch=32)


def _fast(speed: Speed, queries: str = "86400") -> Situation:
    there = situation(queries=queries)
    models = {name: replace(each, speed=speed) for name, each in there.models.items()}
    return replace(there, models=models, verifier=replace(there.verifier, tokens_per_second=48_000.0))


def test_on_enough_machines_an_answer_takes_its_prefill_its_steps_and_its_judging() -> None:
    small, search, *_ = options(_fast(SPEED), {})
    assert small.seconds == pytest.approx(0.1 + 200 * 0.011)
    assert search.seconds == pytest.approx(0.1 + 200 * (0.01 + 16 * 0.001) + 0.1)


def test_more_samples_than_a_batch_holds_take_rounds() -> None:
    _, search, *_ = options(_fast(replace(SPEED, batch=8)), {})
    assert search.seconds == pytest.approx(0.1 + 2 * 200 * (0.01 + 8 * 0.001) + 0.1)


def test_machines_are_busy_with_every_token_at_the_throughput_of_a_full_batch() -> None:
    _, search, *_ = options(_fast(SPEED), {})
    per_second = 32 / (0.01 + 32 * 0.001)
    assert search.busy_machines == {"s": pytest.approx(0.1 + 3200 / per_second)}


def test_on_few_machines_queries_wait_and_on_too_few_for_ever() -> None:
    # One query a second; a search takes 4.3 s of a whole machine, of which two fit into a batch.
    machine_s = 0.1 + 3200 / (32 / 0.042)
    _, search, *_ = options(_fast(replace(SPEED, replicas=6)), {})
    waiting = queue_s(1.0, 2 * machine_s, 12)
    assert search.seconds == pytest.approx(waiting + 2 * machine_s + 0.1)
    _, overloaded, *_ = options(_fast(replace(SPEED, replicas=4)), {})
    assert overloaded.seconds == inf


def test_a_verifier_of_unknown_speed_leaves_the_time_unknown() -> None:
    there = _fast(SPEED)
    slow = replace(there, verifier=replace(there.verifier, tokens_per_second=None))
    assert [each.seconds is None for each in options(slow, {})[:3]] == [False, True, False]
