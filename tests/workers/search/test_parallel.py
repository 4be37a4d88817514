from __future__ import annotations

import pytest

from router.types import StrategyName, StrategySpec
from tests.workers.search.players import Judge, Player, probes, problem
from workers.errors import NoAnswer
from workers.search import STRATEGIES

SEVEN, EIGHT, NINE = (
    "3 + 4 = 7\nThe answer is 7.",
    "3 + 4 = 8\nThe answer is 8.",
    "3 + 4 = 9\nThe answer is 9.",
)
PARALLEL: tuple[StrategyName, ...] = ("majority", "best_of_n", "best_of_n_weighted")


def judge() -> Judge:
    return Judge(lambda text: 0.9 if "7" in text else 0.4)


@pytest.mark.parametrize("name", PARALLEL)
def test_a_search_of_n_after_a_probe_of_n_generates_nothing(name: StrategyName) -> None:
    player, scores = Player([SEVEN]), judge()
    initial = probes(scores, SEVEN, EIGHT, EIGHT, NINE)
    result = STRATEGIES[name](problem(*initial), StrategySpec(name, samples=4), player.generate, scores.score)
    assert player.prefixes == []
    assert scores.texts == []
    assert result.candidates == initial


@pytest.mark.parametrize("name", PARALLEL)
def test_a_search_of_n_tops_the_probe_up_to_n_in_one_batch(name: StrategyName) -> None:
    player, scores = Player([SEVEN, EIGHT]), judge()
    initial = probes(scores, NINE, NINE)
    result = STRATEGIES[name](problem(*initial), StrategySpec(name, samples=5), player.generate, scores.score)
    assert player.prefixes == [("", "", "")]
    assert scores.texts == ([] if name == "majority" else [(SEVEN, EIGHT)])  # equal turns once
    assert [one.answer for one in result.candidates] == ["9", "9", "7", "8", "7"]


def test_each_rule_chooses_in_its_own_way() -> None:
    scores = Judge(lambda text: {"7": 0.9, "8": 0.5, "9": 0.2}[text.split("= ")[1][0]])
    initial = probes(scores, SEVEN, EIGHT, EIGHT, NINE, NINE, NINE)
    chosen = {
        name: STRATEGIES[name](
            problem(*initial), StrategySpec(name, 6), Player([]).generate, scores.score
        ).best.answer
        for name in PARALLEL
    }
    assert chosen == {"majority": "9", "best_of_n": "7", "best_of_n_weighted": "8"}


@pytest.mark.parametrize("name", PARALLEL)
def test_broken_off_turns_are_no_candidates(name: StrategyName) -> None:
    player, scores = Player([SEVEN], batches=0), judge()
    initial = probes(scores, EIGHT)
    spec = StrategySpec(name, samples=4)
    assert STRATEGIES[name](problem(*initial), spec, player.generate, scores.score).candidates == initial
    with pytest.raises(NoAnswer):
        STRATEGIES[name](problem(), spec, player.generate, scores.score)


def test_direct_is_one_turn_that_nobody_judges() -> None:
    player, scores = Player([SEVEN]), judge()
    result = STRATEGIES["direct"](problem(), StrategySpec("direct"), player.generate, scores.score)
    assert (result.best.text, result.best.answer, result.confidence) == (SEVEN, "7", None)
    assert player.prefixes == [("",)]
    assert scores.texts == []


def test_direct_without_time_is_no_answer() -> None:
    with pytest.raises(NoAnswer):
        STRATEGIES["direct"](
            problem(), StrategySpec("direct"), Player([SEVEN], batches=0).generate, judge().score
        )
