"""Algorithm 6, method "search", as a table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from router.strategy import Judging, contradictions, search_strategy, square_root_width
from router.types import Bin, Stopping, StrategyName, StrategySpec

BUDGET = StrategySpec("majority", 16)


@pytest.mark.parametrize("samples", [4, 16, 28, 32, 64, 256])
@pytest.mark.parametrize(
    ("difficulty_bin", "name"),
    [
        (Bin.EASY, "best_of_n_weighted"),
        (Bin.MEDIUM, "beam"),
        (Bin.HARD, "beam"),
        (Bin.VERY_HARD, "beam"),
    ],
)
def test_easy_queries_get_best_of_n_and_others_beam_search_at_any_budget(
    difficulty_bin: Bin, name: str, samples: int
) -> None:
    spec = search_strategy(difficulty_bin, replace(BUDGET, samples=samples), "steps")
    assert (spec.name, spec.samples) == (name, samples)


def test_beam_search_has_the_paper_s_width_and_rounds() -> None:
    assert search_strategy(Bin.HARD, BUDGET, "steps") == StrategySpec("beam", 16, beam_width=4, max_rounds=40)


@pytest.mark.parametrize("difficulty_bin", [None, *Bin])
def test_a_verifier_that_cannot_judge_steps_leaves_best_of_n_and_one_that_counts_the_vote(
    difficulty_bin: Bin | None,
) -> None:
    assert search_strategy(difficulty_bin, BUDGET, "turns").name == "best_of_n_weighted"
    assert search_strategy(difficulty_bin, BUDGET, "votes").name == "majority"


def test_a_query_of_unknown_difficulty_gets_best_of_n() -> None:
    assert search_strategy(None, BUDGET, "steps").name == "best_of_n_weighted"


def test_every_parameter_of_the_budget_reaches_the_search() -> None:
    budget = StrategySpec("majority", 8, 2, 20, 3, 2, 0.2, Stopping("window", window=2))
    assert search_strategy(Bin.HARD, budget, "steps") == replace(budget, name="beam")


@pytest.mark.parametrize(("samples", "width"), [(1, 1), (4, 2), (8, 2), (12, 3), (16, 4), (64, 8), (7, 1)])
def test_the_square_root_width_is_the_divisor_that_is_nearest(samples: int, width: int) -> None:
    assert square_root_width(samples) == width


@pytest.mark.parametrize(
    ("strategy", "budget", "judging", "parameter"),
    [
        ("beam", StrategySpec("beam", 15), "steps", "beam_width"),
        ("auto", StrategySpec("beam", 15), "steps", "beam_width"),
        ("dvts", StrategySpec("beam", 2), "steps", "beam_width"),
        ("lookahead", StrategySpec("beam", 16), "turns", "strategy"),
        ("particle", StrategySpec("beam", 15), "votes", "strategy"),
        ("revisions", StrategySpec("beam", 16, chain_length=5), "turns", "chain_length"),
        ("reflect", StrategySpec("beam", 2), "votes", "chain_length"),
    ],
)
def test_a_search_that_cannot_be_done_names_the_parameter_at_fault(
    strategy: StrategyName, budget: StrategySpec, judging: Judging, parameter: str
) -> None:
    found = list(contradictions(strategy, budget, judging, "budget"))
    assert [name for name, _ in found] == [parameter]


@pytest.mark.parametrize(
    ("strategy", "judging"),
    [
        ("auto", "turns"),
        ("auto", "votes"),
        ("majority", "votes"),
        ("best_of_n", "turns"),
        ("particle", "steps"),
    ],
)
def test_a_width_that_nobody_uses_may_be_any(strategy: StrategyName, judging: Judging) -> None:
    assert not list(contradictions(strategy, StrategySpec("majority", 15, chain_length=4), judging, "budget"))


@pytest.mark.parametrize("field", ["samples", "beam_width", "max_rounds", "lookahead_steps", "chain_length"])
def test_a_strategy_without_samples_beams_or_rounds_cannot_be_made(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field} must be at least 1, not 0"):
        replace(BUDGET, **{field: 0})  # type: ignore[arg-type]
