from __future__ import annotations

import pytest

from router.types import StrategySpec
from tests.workers.search.players import Judge, Player, probes, problem
from tests.workers.search.traces import Book, trace
from workers.errors import NoAnswer
from workers.search.backtrack import TRIES, backtrack

WORTH = {"a": 0.9, "bad": 0.3, "good": 0.85, "1.": 0.9, "2.": 0.2}


def worth(text: str) -> float:
    return WORTH.get(text.split()[-1], 0.5)


def test_a_step_after_which_the_score_falls_is_sampled_again() -> None:
    """N = M = 4: one path. "bad" falls by 0.6, "good" by 0.05; the end falls once, and is kept as a leaf."""
    pages = {
        "": ["a\n"],
        "a\n": ["bad\n", "good\n"],
        "a\ngood\n": ["The answer is 2.", "The answer is 1."],
    }
    seen = trace(StrategySpec("backtrack", samples=4, beam_width=4, max_drop=0.1), Book(pages), worth)
    assert seen.batches == [("",), ("a\n",), ("a\n",), ("a\ngood\n",), ("a\ngood\n",)]
    assert seen.answers == ["2", "1"]
    assert seen.result.best.answer == "1"
    # Every rejected step is on the bill: prompts 6 + 8 + 8 + 10 + 10, completions 3 * 2 + 2 * 5.
    assert seen.bill["candidate"] == (5, 42, 16)
    assert seen.bill["verifier"] == (5, 1 + 2 + 2 + 6 + 6, 0)


def test_after_so_many_rejections_the_step_before_is_dropped_too() -> None:
    pages = {
        "": ["a\n", "c\n"],
        "a\n": ["bad\n", "bad\n", "bad\n"],
        "c\n": ["The answer is 1."],
    }
    seen = trace(StrategySpec("backtrack", samples=4, beam_width=4), Book(pages), worth)
    assert TRIES == 3
    assert seen.batches == [("",), ("a\n",), ("a\n",), ("a\n",), ("",), ("c\n",)]
    assert seen.judged == [("a\n",), ("a\nbad\n",), ("c\n",), ("c\nThe answer is 1.",)]  # equal ones once
    assert seen.result.best.answer == "1"


def test_a_drop_within_the_limit_is_accepted() -> None:
    pages = {"": ["a\n"], "a\n": ["bad\n"], "a\nbad\n": ["The answer is 1."]}
    seen = trace(StrategySpec("backtrack", samples=4, beam_width=4, max_drop=0.65), Book(pages), worth)
    assert len(seen.batches) == 3


def test_the_last_turns_worth_of_rounds_rejects_nothing() -> None:
    """A verifier that likes no continuation cannot keep a path from its end."""
    pages = {"": ["a\n"], "a\n": ["bad\n"], "a\nbad\n": ["The answer is 2."]}
    spec = StrategySpec("backtrack", samples=2, beam_width=2, max_rounds=3)
    seen = trace(spec, Book(pages), worth)
    assert len(seen.batches) <= 2 * 3
    assert seen.answers == ["2"]


def test_a_path_asks_for_m_times_as_many_steps_as_it_is_long_and_then_takes_what_comes() -> None:
    """M = 3: the sixth step asked for is the second one, however it falls, and the ninth is the third."""
    pages = {"": ["a\n"], "a\n": ["bad\n"], "a\nbad\n": ["2.\n"], "a\nbad\n2.\n": ["The answer is 2."]}
    spec = StrategySpec("backtrack", samples=3, beam_width=3)
    seen = trace(spec, Book(pages), lambda text: 1 / 2 ** text.count("\n"))
    assert [batch[0].count("\n") for batch in seen.batches] == [0, 1, 1, 1, 0, 1, 2, 2, 2, 3]
    assert seen.answers == ["2"]


def test_paths_stand_side_by_side_in_one_batch() -> None:
    pages = {"": ["a\n"], "a\n": ["The answer is 1."]}
    seen = trace(StrategySpec("backtrack", samples=12, beam_width=4), Book(pages), worth)
    assert seen.batches == [("",) * 3, ("a\n",) * 3]
    assert seen.answers == ["1"] * 3


def test_a_probe_is_walked_along_up_to_its_first_fall() -> None:
    turns = ["a\ngood\nbad\nThe answer is 2.", "a\nThe answer is 1."]
    judge, player = Judge(worth), Player(["a\ngood\nThe answer is 1."])
    initial = probes(judge, *turns)
    result = backtrack(problem(*initial), StrategySpec("backtrack", 8, 4), player.generate, judge.score)
    assert player.prefixes == [("a\ngood\n",)]  # the second probe never falls: nothing is to be done
    assert result.candidates[:2] == initial
    assert len(result.candidates) == 3


def test_out_of_time_it_answers_with_what_is_complete() -> None:
    judge = Judge(worth)
    spec = StrategySpec("backtrack", 4, 4)
    (only,) = probes(judge, "a\nbad\nThe answer is 2.")
    late = Player(["a\nThe answer is 1."], batches=0)
    assert backtrack(problem(only), spec, late.generate, judge.score).best == only
    assert len(late.asked) == 1
    with pytest.raises(NoAnswer):
        backtrack(problem(), spec, late.generate, judge.score)
