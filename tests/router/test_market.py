"""What is known before a query comes: prices, and accuracies measured or assumed."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cost_model.prices import UNKNOWN, Price, Tier
from cost_model.usage import Usage
from router.artifacts import weights_sha256
from router.config import load_config
from router.market import open_market
from router.outlooks import ASSUMED_RIGHT
from router.types import Bin
from tests.router.examples import calibration, config, market


def _sources(folder: Path, policy: str = "default", **changes: Any) -> list[tuple[str, str]]:
    outlooks = market(folder, calibration=calibration(**changes)).outlooks[policy]
    return [(outlook.small.source, outlook.large.source) for outlook in outlooks]


def test_a_calibration_of_the_same_models_is_what_was_measured(tmp_path: Path) -> None:
    outlooks = market(tmp_path, calibration=calibration()).outlooks["default"]
    assert [outlook.difficulty_bin for outlook in outlooks] == list(Bin)
    assert [outlook.small.right for outlook in outlooks] == [0.97, 0.7, 0.4, 0.05]
    assert [outlook.large.right for outlook in outlooks] == [0.98, 0.9, 0.8, 0.6]
    assert [outlook.share for outlook in outlooks] == [0.5, 0.25, 0.15, 0.1]
    assert _sources(tmp_path) == [("measured", "measured")] * 4


@pytest.mark.parametrize("changes", [{"small": "other"}, {"verifier": "other"}, {"search_samples": 64}])
def test_another_small_model_verifier_or_larger_search_says_nothing_about_this_one(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    assert _sources(tmp_path, **changes) == [("assumed", "assumed")] * 4


def test_another_large_model_leaves_what_the_small_one_does_measured(tmp_path: Path) -> None:
    assert _sources(tmp_path, large="other") == [("measured", "assumed")] * 4
    assert _sources(tmp_path, "alone") == [("measured", "assumed")] * 4


EMBEDDED = {"small": "abacus-small", "verifier": "abacus-prm", "large": "abacus-large"}


@pytest.mark.parametrize(
    ("trained_again", "left"),
    [
        (None, ("measured", "measured")),
        ("abacus-small", ("assumed", "assumed")),
        ("abacus-prm", ("assumed", "assumed")),
        ("abacus-large", ("measured", "assumed")),
    ],
)
def test_a_calibration_holds_for_the_weights_that_it_measured(
    trained_again: str | None, left: tuple[str, str]
) -> None:
    models = {name: weights_sha256(f"embedded:{name}") for name in EMBEDDED.values()}
    assert None not in models.values()
    if trained_again:
        models[trained_again] = "0" * 64
    opened = open_market(load_config("abacus", {}), calibration=calibration(**EMBEDDED, models=models))
    assert {(each.small.source, each.large.source) for each in opened.outlooks["default"]} == {left}


def test_weights_that_are_not_here_are_taken_for_the_measured_ones(tmp_path: Path) -> None:
    assert _sources(tmp_path, models={"tiny": "0" * 64}) == [("measured", "measured")] * 4


def test_a_bin_that_was_never_seen_is_assumed_and_expected_never(tmp_path: Path) -> None:
    seen = calibration().bins
    only_easy = calibration(bins={"easy": seen[Bin.EASY]})
    outlooks = market(tmp_path, calibration=only_easy).outlooks["default"]
    assert [outlook.small.source for outlook in outlooks] == ["measured", *["assumed"] * 3]
    assert [outlook.share for outlook in outlooks] == [1.0, 0.0, 0.0, 0.0]


def test_without_a_calibration_accuracy_is_assumed_and_falls_with_difficulty(tmp_path: Path) -> None:
    outlooks = market(tmp_path).outlooks["default"]
    assert {outlook.small.source for outlook in outlooks} == {"assumed"}
    assert [(o.small.right, o.large.right) for o in outlooks] == list(ASSUMED_RIGHT.values())
    assert list(ASSUMED_RIGHT.values()) == sorted(ASSUMED_RIGHT.values(), reverse=True)


def test_the_average_weighs_bins_by_how_often_they_come(tmp_path: Path) -> None:
    average = market(tmp_path, calibration=calibration()).average["default"]
    assert average.difficulty_bin is None
    assert average.small.right == pytest.approx(0.5 * 0.97 + 0.25 * 0.7 + 0.15 * 0.4 + 0.1 * 0.05)
    assert average.small.completion_tokens == pytest.approx(0.5 * 40.5 + 0.25 * 50 + 0.15 * 60 + 0.1 * 70)


def test_a_price_map_prices_the_litellm_models_that_have_no_price(tmp_path: Path) -> None:
    listed = {"litellm_provider": "openai", "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06}
    price_map = {"somebody": listed}
    prices = open_market(config(tmp_path), price_map=price_map).model_prices
    assert prices["unpriced"] == Price(Decimal("0.000001"), Decimal("0.000002"))
    assert prices["big"] == Price(Decimal("0.00001"), Decimal("0.0001"))


def test_usage_is_priced_by_the_model_or_verifier_it_names(tmp_path: Path) -> None:
    lines = (
        Usage("probe", "tiny", 16, 100, 1000),
        Usage("verifier", "prm", 16, 2000),
        Usage("verifier", "votes", 16),
        Usage("escalation", "big", 1, 100, 10),
        Usage("direct", "unpriced", 1, 100, 10),
        Usage("direct", "stranger", 1, 100, 10),
    )
    priced = market(tmp_path).priced(lines)
    assert [line.cost_usd for line in priced] == [
        Decimal("0.0101"),
        Decimal("0.002"),
        0,
        Decimal("0.002"),
        None,
        None,
    ]
    assert [line.flops for line in priced] == [2.2e9, 4e9, 0.0, 3.08e9, None, None]


def test_a_bill_takes_the_turns_that_a_judge_read_for_so_many_prompts(tmp_path: Path) -> None:
    opened = market(tmp_path)
    tiered = replace(opened.judges["prm"].price, tiers=(Tier(500, UNKNOWN),))
    opened = replace(opened, judges={"prm": replace(opened.judges["prm"], price=tiered)})
    (short,) = opened.priced([Usage("verifier", "prm", 16, 2000)])
    (long,) = opened.priced([Usage("verifier", "prm", 2, 2000)])
    assert short.cost_usd == Decimal("0.002")
    assert long.cost_usd is None
