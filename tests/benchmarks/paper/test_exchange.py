"""What a small model may spend in place of pretraining, and what comes of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.paper import exchange, ratios
from benchmarks.paper.exchange import Family, Line, at_equal_dollars, at_equal_flops, reached, relative
from benchmarks.paper.grid import weightings
from benchmarks.paper.setting import Setting
from tests.benchmarks.paper.doubles import QUESTIONS, scripted_setting
from tests.benchmarks.paper.revising import revising_setting


@pytest.fixture
def setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setting:
    monkeypatch.setattr(ratios, "SMALL", ratios.Extent(6, (4, 16), 16))
    return revising_setting(tmp_path / "work")


def rows(*values: list[float]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.array(values, dtype=float)


def test_between_two_budgets_accuracy_is_on_a_line_in_log_spending() -> None:
    right, spent = rows([0.2, 0.4, 0.8], [0.0, 0.0, 1.0]), rows([1, 4, 16], [1, 4, 16])
    found, is_beyond = reached(right, spent, np.array([8.0, 4.0]))
    assert found.tolist() == pytest.approx([0.6, 0.0])
    assert not is_beyond


def test_beyond_the_largest_budget_the_largest_counts_and_that_is_said() -> None:
    found, is_beyond = reached(rows([0.2, 0.4]), rows([1, 4]), np.array([250.0]))
    assert (found.tolist(), is_beyond) == ([0.4], True)


def test_budgets_need_not_cost_more_the_larger_they_are() -> None:
    """A search by steps at a small budget may cost more than parallel sampling at a larger one."""
    found, _ = reached(rows([0.2, 0.8, 0.5]), rows([1, 16, 4]), np.array([8.0]))
    assert found.tolist() == pytest.approx([0.65])


def line(turns: list[float], right: list[float], flops: list[float]) -> Line:
    return Line(rows(turns, turns), rows(right, right), rows(flops, flops), rows(flops, flops))


def test_the_growth_is_the_papers_and_judging_is_paid_from_it_where_flops_are_counted() -> None:
    """M = 2: the inference may grow 2 + 3 / R times. Each judged turn costs as much again as the turn."""
    measured = line([1, 4, 16, 64], [0.1, 0.2, 0.3, 0.4], [1, 8, 32, 128])
    found = list(at_equal_flops(measured, np.array([0.2, 0.2]), 2.0))
    assert [(each["inference_per_pretraining"], each["unit"]) for each in found[:2]] == [
        (0.16, "turns"),
        (0.16, "flops"),
    ]
    growth = 2 + 3 / 0.16
    assert [each["growth"] for each in found[:2]] == pytest.approx([growth, growth])
    turns, flops = found[:2]
    assert turns["turns"] == pytest.approx(growth)
    assert flops["turns"] == pytest.approx(growth / 2)
    assert turns["small"]["value"] > flops["small"]["value"] > 0.2
    assert turns["relative"]["value"] == pytest.approx(turns["small"]["value"] / 0.2 - 1)
    assert not any(each["beyond"] for each in found)


def test_where_the_large_model_is_never_right_there_is_no_relative_gain() -> None:
    assert relative(np.array([0.5, 0.5]), np.array([0.0, 0.1])).value is None
    often = relative(np.array([0.5] * 8), np.array([0.25] * 2 + [0.0] * 6))
    assert (often.value, often.low) == (1.0, None)


def test_dollars_tell_the_price_at_which_the_small_model_catches_up() -> None:
    measured = line([1, 4], [0.1, 0.5], [0.001, 0.004])
    found = at_equal_dollars(measured, np.array([0.3, 0.3]), np.array([0.01, 0.01]))
    assert found["catches_up_usd"] == pytest.approx(0.002)
    assert (found["beyond"], found["largest_usd"]) == (True, 0.004)
    never = at_equal_dollars(measured, np.array([0.9, 0.9]), np.array([0.002, 0.002]))
    assert never["catches_up_usd"] is None
    assert never["small"]["value"] == pytest.approx(0.3)


def test_the_way_of_a_bin_is_chosen_on_the_other_half() -> None:
    """A way that is right on every other question only looks the best to the half that it is right on."""
    questions = np.arange(8)
    lucky, steady = (questions % 2 == 0).astype(float), np.full(8, 0.4)
    values = {("direct", 1): np.zeros(8), ("lucky", 4): lucky, ("steady", 4): steady}
    same = {key: np.full(8, float(key[1])) for key in values}
    family = Family("any", (1, 4), values, same, same)
    found = exchange.line_of(family, np.ones(8, bool), np.zeros(8, int), weightings(8, 4))
    # The even half chooses "lucky", which is never right on the odd ones; the odd half "steady".
    assert found.right[0].tolist() == [0.0, pytest.approx((0.0 + 0.4) / 2)]
    assert found.flops[0].tolist() == [1.0, 4.0]


def test_both_families_meet_the_large_model_in_every_bin_and_are_told_from_the_results_alone(
    setting: Setting, tmp_path: Path
) -> None:
    results = json.loads(json.dumps(exchange.run(setting)))
    assert results["times_larger"] == pytest.approx(13.6, abs=0.1)
    found = {(each["family"], each["group"]) for each in results["flops"]}
    assert {("search", f"bin {number}") for number in range(1, 6)} <= found
    assert ("revisions", "all questions") in found
    asked = {each["family"]: each["questions"] for each in results["flops"] if each["group"][0] == "a"}
    assert asked == {"search": QUESTIONS, "revisions": 6}
    assert all(1 <= one["turns"] <= 16 + 1e-9 for one in results["flops"])
    assert all(one["beyond"] is (one["growth"] > 16) for one in results["flops"] if one["unit"] == "turns")
    asked_large = setting.models["abacus-large"].engine.calls  # type: ignore[attr-defined]
    assert sum(len(prompts) for prompts, _ in asked_large) == QUESTIONS
    assert {params.temperature for _, params in asked_large} == {0.0}
    text = exchange.section(results)
    assert "15 times at R = 22" in text
    assert "nan" not in text
    exchange.draw(results, tmp_path)
    assert (tmp_path / "exchange.png").stat().st_size > 10_000


def test_without_a_model_that_revises_there_is_only_search(tmp_path: Path) -> None:
    assert [each.name for each in exchange.families(scripted_setting(tmp_path))] == ["search"]
