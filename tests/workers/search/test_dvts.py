from __future__ import annotations

from router.types import StrategySpec
from tests.workers.search.players import Judge, Player, probes, problem
from tests.workers.search.traces import Book, trace
from workers.search.dvts import dvts

SPEC = StrategySpec("dvts", samples=4, beam_width=2)


def test_each_subtree_continues_the_best_of_its_own() -> None:
    """N = 4, M = 2. The subtrees {a, b} and {c, d} keep b and c, though a is better than both c and d."""
    pages = {
        "": ["a\n", "b\n", "c\n", "d\n"],
        "b\n": ["e\n", "The answer is 1."],
        "c\n": ["The answer is 2.", "The answer is 3."],
        "b\ne\n": ["The answer is 2.", "The answer is 4."],
    }
    scores = {"a": 0.8, "b": 0.9, "c": 0.3, "d": 0.2, "e": 0.7, "1.": 0.6, "2.": 0.5, "3.": 0.4, "4.": 0.3}
    seen = trace(SPEC, Book(pages), lambda text: scores[text.split()[-1]])
    assert seen.batches == [
        ("", "", "", ""),
        ("b\n", "b\n", "c\n", "c\n"),
        ("b\ne\n", "b\ne\n"),  # c's subtree is complete; the complete leaf of b's lost to e
    ]
    assert seen.answers == ["1", "2", "3", "2", "4"]
    assert seen.result.best.answer == "2"  # 0.5 + 0.5
    # Prompts 6 + (8 + 8) + 10; completions 4 * 2, 2 + 3 * 5, 2 * 5. Words 4 + (2 + 3 * 5) + 2 * 6.
    assert seen.bill["candidate"] == (10, 32, 35)
    assert seen.bill["verifier"] == (10, 33, 0)


def test_probes_are_dealt_out_to_the_subtrees_and_topped_up_there() -> None:
    turns = [f"{first}\nThe answer is {first}." for first in "123"]
    judge, player = Judge(lambda text: int(text[0]) / 10), Player(turns)
    dvts(problem(*probes(judge, *turns)), SPEC, player.generate, judge.score)
    assert player.prefixes[0] == ("",)  # of {1, 3} and {2, new} only one place is free
    assert player.prefixes[1] == ("3\n", "3\n", "2\n", "2\n")


def test_more_probes_than_places_all_compete() -> None:
    turns = [f"{first}\nThe answer is {first}." for first in "123456"]
    judge, player = Judge(lambda text: int(text[0]) / 10), Player(turns)
    initial = probes(judge, *turns)
    result = dvts(problem(*initial), SPEC, player.generate, judge.score)
    assert player.prefixes[0] == ("5\n", "5\n", "6\n", "6\n")
    assert result.candidates[:6] == initial


def test_fewer_samples_than_the_width_are_one_subtree() -> None:
    player = Player(["1\nThe answer is 1."])
    dvts(problem(), StrategySpec("dvts", 3, 4), player.generate, Judge(lambda text: 0.5).score)
    assert player.prefixes == [("", "", ""), ("1\n", "1\n", "1\n")]
