from __future__ import annotations

import pytest

from router.types import StrategySpec
from tests.workers.search.players import Judge, Player, probes, problem
from tests.workers.search.traces import Book, trace
from workers.search.lookahead import lookahead

PAGES = {
    "": ["a\n", "b\n"],
    "a\n": ["p\n", "s\n", "t\n"],
    "b\n": ["q\n"],
    "a\ns\n": ["The answer is 1."],
    "a\nt\n": ["The answer is 2."],
}
WORTH = {"a\n": 0.1, "b\n": 0.9, "a\np\n": 0.8, "b\nq\n": 0.3}


def worth(text: str) -> float:
    return WORTH.get(text, 0.7 if "1" in text else 0.5)


def test_a_step_is_worth_what_the_end_of_its_rollout_is() -> None:
    """N = 2, M = 2, k = 1. "b" looks better than "a", but leads to "q"; "a" leads to "p", and is kept."""
    spec = StrategySpec("lookahead", samples=2, beam_width=2, lookahead_steps=1)
    seen = trace(spec, Book(PAGES), worth)
    assert seen.batches == [
        ("", ""),
        ("a\n", "b\n"),  # roll out both
        ("a\n", "a\n"),  # keep a
        ("a\ns\n", "a\nt\n"),  # roll out both
        ("a\ns\n", "a\ns\n"),  # keep s, whose rollout ended better
    ]
    assert seen.temperatures == [0.8, 0.0, 0.8, 0.0, 0.8]
    assert seen.judged == [
        ("a\np\n", "b\nq\n"),
        ("a\ns\nThe answer is 1.", "a\nt\nThe answer is 2."),
    ]
    # Complete rollouts are candidates; so is each of the last two continuations, which says the same.
    assert seen.answers == ["1", "2", "1", "1"]
    assert seen.result.best.answer == "1"
    # Prompts 6 + (8 + 8) + 8 + (10 + 10) + 10; completions 2 + 2, 2 + 2, 2 + 2, 5 + 5, 5 + 5.
    assert seen.bill["candidate"] == (10, 60, 32)
    assert seen.bill["verifier"] == (4, 2 + 2 + 6 + 6, 0)


@pytest.mark.parametrize("steps_ahead", [1, 3])
def test_a_round_costs_one_step_and_so_many_more_as_it_looks_ahead(steps_ahead: int) -> None:
    """Snell et al. 2024, section 5.2: N (k + 1) steps a round, where all beams differ."""
    turns = [f"{first}\n2\n3\n4\n5\nThe answer is {first}." for first in "abcd"]
    spec = StrategySpec("lookahead", samples=4, beam_width=1, max_rounds=1, lookahead_steps=steps_ahead)
    player, judge = Player(turns), Judge(lambda text: 0.5)
    lookahead(problem(), spec, player.generate, judge.score)
    *rounds, end = player.prefixes
    assert sum(map(len, rounds)) == 4 * (steps_ahead + 1)
    assert player.temperatures == [None] + [0.0] * steps_ahead + [None]
    assert end == ("d\n", "c\n", "b\n", "a\n")
    assert [len(batch) for batch in judge.texts] == [4, 4]


def test_equal_beams_are_rolled_out_once() -> None:
    player, judge = Player(["a\nb\nThe answer is 1."]), Judge(lambda text: 0.5)
    spec = StrategySpec("lookahead", samples=4, beam_width=2, max_rounds=1, lookahead_steps=2)
    result = lookahead(problem(), spec, player.generate, judge.score)
    assert player.prefixes == [("",) * 4, ("a\n",), ("a\nb\n",), ("a\n",)]
    assert len(result.candidates) == 2  # the rollout, and the beam that went on to its end


def test_the_probes_first_steps_are_judged_by_the_steps_that_follow_them_there() -> None:
    turns = ["a\np\nThe answer is 1.", "b\nq\nThe answer is 2."]
    player, judge = Player(turns), Judge(worth)
    initial = probes(judge, *turns)
    judge.seen.clear()
    spec = StrategySpec("lookahead", samples=2, beam_width=2, lookahead_steps=1)
    result = lookahead(problem(*initial), spec, player.generate, judge.score)
    assert judge.texts[0] == ("a\np\n", "b\nq\n")
    assert player.prefixes[0] == ("a\n", "a\n")
    assert result.candidates[:2] == initial
