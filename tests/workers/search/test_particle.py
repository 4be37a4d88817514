from __future__ import annotations

from collections import Counter

import pytest

from router.types import StrategySpec
from tests.workers.search.players import Judge, Player, candidate, probes, problem
from tests.workers.search.traces import Book, trace
from workers.errors import NoAnswer
from workers.protocols import Scored
from workers.search.particle import _weight, particle
from workers.search.tree import Path

PAGES = {
    "": ["a\n", "b\n", "c\n", "d\n"],
    "a\n": ["The answer is 1."],
    "b\n": ["The answer is 2."],
    "c\n": ["The answer is 3."],
    "d\n": ["The answer is 4."],
}
SPEC = StrategySpec("particle", samples=4)


def test_weights_are_the_softmax_of_logits_of_scores() -> None:
    """Puri et al. 2025: exp(logit(s)) = s / (1 - s), normalised by the draw; 0 and 1 stay finite."""
    weights = [_weight(Path("", "step", Scored((), score))) for score in (0.0, 0.2, 0.5, 0.8, 1.0)]
    assert weights == pytest.approx([1e-6, 0.25, 1.0, 4.0, 1e6], rel=1e-3)


def test_hopeless_particles_are_replaced_by_copies_of_the_promising() -> None:
    seen = trace(SPEC, Book(PAGES), lambda text: 0.9 if text.startswith("b") else 0.0)
    assert seen.batches == [("",) * 4, ("b\n",) * 4]
    assert seen.judged == [("a\n", "b\n", "c\n", "d\n"), ("b\nThe answer is 2.",)]
    assert seen.answers == ["2"] * 4
    # Prompts 6 + 8 (four equal ones); completions 4 * 2 + 4 * 5; words 4 + 5.
    assert seen.bill["candidate"] == (8, 14, 28)
    assert seen.bill["verifier"] == (5, 9, 0)


def test_a_doubtful_particle_is_likely_to_survive() -> None:
    """Of scores 0.8 and 0.2 the weights are 4 and 0.25: of 400 draws about 24 are the second."""
    pages = {"": ["a\n", "b\n"], "a\n": ["The answer is 1."], "b\n": ["The answer is 2."]}
    spec = StrategySpec("particle", samples=400)
    seen = trace(spec, Book(pages), lambda text: 0.8 if text.startswith("a") else 0.2)
    assert 5 <= Counter(seen.batches[1])["b\n"] <= 60


def test_equal_samples_and_scores_give_an_equal_search_and_another_spec_another() -> None:
    def run(rounds: int) -> list[tuple[str, ...]]:
        spec = StrategySpec("particle", samples=12, max_rounds=rounds)
        return trace(spec, Book(PAGES), lambda text: 0.5).batches

    assert run(40) == run(40)
    assert run(40) != run(39)


def test_complete_particles_stay_and_compete_but_are_not_continued() -> None:
    pages = {"": ["The answer is 1.", "a\n"], "a\n": ["The answer is 2."]}
    seen = trace(StrategySpec("particle", samples=8), Book(pages), lambda text: 0.5)
    assert 0 < len(seen.batches[1]) < 8
    assert set(seen.batches[1]) == {"a\n"}


def test_the_best_scored_complete_particle_wins() -> None:
    seen = trace(SPEC, Book(PAGES), lambda text: {"a": 0.5, "b": 0.6, "c": 0.5, "d": 0.5}[text[0]])
    assert seen.result.best.answer == ("2" if "b\n" in seen.batches[1] else seen.answers[0])
    assert max(one.score for one in seen.result.candidates) == seen.result.best.score


def test_probes_are_the_first_particles_and_stay_candidates() -> None:
    turns = ["a\nThe answer is 1.", "b\nThe answer is 2."]
    player, judge = Player(turns), Judge(lambda text: 0.5)
    initial = probes(judge, *turns)
    result = particle(problem(*initial), SPEC, player.generate, judge.score)
    assert player.prefixes[0] == ("", "")
    assert result.candidates[:2] == initial
    again = Player(turns)
    particle(problem(*initial, *initial, *initial), SPEC, again.generate, judge.score)
    assert "" not in again.prefixes[0]


def test_out_of_time_it_answers_with_the_best_there_is_or_not_at_all() -> None:
    judge, player = Judge(lambda text: 0.5), Player(["a\nThe answer is 1."], batches=1)
    only = candidate("7", 0.1)
    assert particle(problem(only), SPEC, player.generate, judge.score).best == only
    with pytest.raises(NoAnswer):
        particle(problem(), SPEC, Player(["a\nThe answer is 1."], batches=1).generate, judge.score)
