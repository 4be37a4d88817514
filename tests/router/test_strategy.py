"""Algorithm 6, method "search", as a table."""

from __future__ import annotations

import pytest

from router.strategy import search_strategy
from router.types import Bin, StrategySpec


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
    spec = search_strategy(difficulty_bin, samples)
    assert (spec.name, spec.samples) == (name, samples)


def test_beam_search_has_the_paper_s_width_and_rounds() -> None:
    assert search_strategy(Bin.HARD, 16) == StrategySpec("beam", 16, beam_width=4, max_rounds=40)


@pytest.mark.parametrize("difficulty_bin", [None, *Bin])
def test_a_verifier_that_cannot_judge_steps_leaves_the_vote(difficulty_bin: Bin | None) -> None:
    assert search_strategy(difficulty_bin, 16, scores_steps=False).name == "majority"


def test_a_query_of_unknown_difficulty_gets_best_of_n() -> None:
    assert search_strategy(None, 16).name == "best_of_n_weighted"


@pytest.mark.parametrize("field", ["samples", "beam_width", "max_rounds"])
def test_a_strategy_without_samples_beams_or_rounds_cannot_be_made(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field} must be at least 1, not 0"):
        StrategySpec("beam", **{field: 0})
