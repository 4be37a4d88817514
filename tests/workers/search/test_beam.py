from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.types import StrategySpec
from tests.workers.search.players import Judge, Player, probes, problem
from tests.workers.search.traces import Book, trace
from workers.errors import NoAnswer
from workers.search.beam import beam
from workers.steps import LINES

# Every turn of three lines over digits: the answer is what the two digits before it say.
TURNS = [f"first {a}\nthen {b}\nThe answer is {a}{b}." for a, b in product("0123456789", repeat=2)]


def digits(text: str) -> float:
    """A verifier that likes large digits: the score of a turn is its last digit's."""
    return max(0.05, int([sign for sign in text if sign.isdigit()][-1]) / 10)


def mean_digit(text: str) -> float:
    found = [int(sign) for sign in text if sign.isdigit()]
    return sum(found) / (10 * len(found))


def test_only_the_best_beams_are_continued_each_as_often_as_the_width() -> None:
    """Snell et al. 2024, Algorithm 3: N = 4 slots, the best N/M = 2 get M = 2 continuations each."""
    player, judge = Player(TURNS[::11]), Judge(digits)  # first 0, first 1, first 2, first 3
    beam(problem(), StrategySpec("beam", samples=4, beam_width=2), player.generate, judge.score)
    assert player.prefixes[0] == ("", "", "", "")
    assert player.prefixes[1] == ("first 3\n", "first 3\n", "first 2\n", "first 2\n")
    assert len(player.prefixes) == 3


def test_what_is_extended_what_is_dropped_and_what_it_costs() -> None:
    """N = 4, M = 2: b and c are kept of the first steps; of theirs, the complete "1" and "c e"."""
    pages = {
        "": ["a\n", "b\n", "c\n", "d\n"],
        "b\n": ["The answer is 1.", "The answer is 2."],
        "c\n": ["e\n", "The answer is 3."],
        "c\ne\n": ["The answer is 4.", "The answer is 4."],
    }
    scores = {"a": 0.1, "b": 0.4, "c": 0.3, "d": 0.2, "e": 0.7, "1.": 0.9, "2.": 0.5, "3.": 0.6, "4.": 0.5}
    seen = trace(
        StrategySpec("beam", samples=4, beam_width=2), Book(pages), lambda text: scores[text.split()[-1]]
    )
    assert seen.batches == [("",) * 4, ("b\n", "b\n", "c\n", "c\n"), ("c\ne\n", "c\ne\n")]
    assert seen.answers == ["1", "2", "3", "4", "4"]
    assert seen.result.best.answer == "4"  # 0.5 + 0.5
    # Prompts 6 + (8 + 8) + 10; completions 4 * 2, 3 * 5 + 2, 2 * 5. Equal turns are judged once.
    assert seen.bill["candidate"] == (10, 32, 35)
    assert seen.bill["verifier"] == (9, 4 + (3 * 5 + 2) + 6, 0)


def test_it_finds_an_answer_that_was_never_sampled_whole() -> None:
    """A good first step with a bad second one, and the other way round: the search combines the good ones."""
    player, judge = Player(TURNS), Judge(mean_digit)
    initial = probes(judge, TURNS[90], TURNS[19])
    result = beam(
        problem(*initial), StrategySpec("beam", samples=20, beam_width=4), player.generate, judge.score
    )
    assert result.best.text.startswith("first 9\nthen 9\n")


def test_the_probes_first_steps_are_the_first_beams_and_are_not_judged_again() -> None:
    player, judge = Player(TURNS), Judge(digits)
    initial = probes(judge, TURNS[90], TURNS[10], TURNS[20], TURNS[30])
    beam(problem(*initial), StrategySpec("beam", samples=4, beam_width=4), player.generate, judge.score)
    assert player.prefixes[0] == ("first 9\n",) * 4
    assert all("then" in text for batch in judge.texts for text in batch)


def test_complete_probes_stay_candidates_though_their_beams_lose() -> None:
    player, judge = Player(TURNS), Judge(digits)
    initial = probes(judge, *TURNS[:4])
    result = beam(problem(*initial), StrategySpec("beam", samples=4), player.generate, judge.score)
    assert result.candidates[:4] == initial


def test_fewer_probes_than_slots_are_topped_up() -> None:
    player, judge = Player(TURNS), Judge(digits)
    beam(problem(*probes(judge, *TURNS[:4])), StrategySpec("beam", samples=6), player.generate, judge.score)
    assert player.prefixes[0] == ("", "")


def test_equal_beams_share_one_place_and_the_whole_budget() -> None:
    player, judge = Player(TURNS[90:]), Judge(digits)  # every first step is "first 9"
    beam(problem(), StrategySpec("beam", samples=8, beam_width=4), player.generate, judge.score)
    assert player.prefixes[1] == ("first 9\n",) * 8


def test_a_complete_beam_keeps_its_place_and_is_not_continued() -> None:
    short, long = "The answer is 9.", "first 8\nthen 8\nThe answer is 88."
    player, judge = Player([short, long]), Judge(digits)
    result = beam(problem(), StrategySpec("beam", samples=4, beam_width=2), player.generate, judge.score)
    assert player.prefixes[1] == ("first 8\n", "first 8\n")
    assert [one.answer for one in result.candidates].count("9") == 2


def test_it_ends_when_the_best_beams_are_complete() -> None:
    player, judge = Player(["The answer is 9."]), Judge(digits)
    assert beam(problem(), StrategySpec("beam", samples=4), player.generate, judge.score).best.answer == "9"
    assert len(player.prefixes) == 1


def test_out_of_time_it_selects_from_what_is_complete() -> None:
    player, judge = Player(TURNS, batches=1), Judge(digits)
    initial = probes(judge, *TURNS[:2])
    result = beam(problem(*initial), StrategySpec("beam", samples=4), player.generate, judge.score)
    assert result.candidates == initial


@pytest.mark.parametrize("batches", [0, 1, 2])
def test_out_of_time_with_nothing_complete_it_has_no_answer(batches: int) -> None:
    with pytest.raises(NoAnswer):
        beam(problem(), StrategySpec("beam", 4), Player(TURNS, batches=batches).generate, Judge(digits).score)


def test_after_the_last_round_the_best_beams_go_on_to_their_end_in_one_batch() -> None:
    player, judge = Player(TURNS[::11]), Judge(digits)
    spec = StrategySpec("beam", 4, beam_width=2, max_rounds=2)
    result = beam(problem(), spec, player.generate, judge.score)
    assert player.prefixes[2:] == [("first 3\nthen 3\n", "first 2\nthen 2\n")]
    assert [prompt.stop_after for prompt in player.asked[2]] == [(), ()]
    assert [one.answer for one in result.candidates] == ["33", "22"]
    assert result.best.score == digits(result.best.text)


@given(
    samples=st.integers(1, 12),
    width=st.integers(1, 6),
    max_rounds=st.integers(1, 5),
    sampled=st.lists(st.sampled_from(TURNS), max_size=14),
    worth=st.dictionaries(st.integers(0, 9), st.floats(0.0, 1.0)),
)
def test_no_round_asks_for_more_than_the_budget(
    samples: int, width: int, max_rounds: int, sampled: list[str], worth: dict[int, float]
) -> None:
    """What the worst case price rests on: at most N sequences a round, over at most N/M distinct turns."""
    player = Player(TURNS)
    judge = Judge(lambda text: worth.get(int(10 * digits(text)), 0.5))
    spec = StrategySpec("beam", samples, width, max_rounds)
    result = beam(problem(*probes(judge, *sampled)), spec, player.generate, judge.score)
    assert len(player.prefixes) <= max_rounds + 1
    assert all(len(batch) <= samples for batch in player.prefixes)
    later = [batch for batch in player.prefixes if any(batch)]
    assert all(len(set(batch)) <= max(1, samples // width) for batch in later)
    assert all(len(LINES.split(one.text)) == 3 for one in result.candidates)


def test_continuations_that_agree_are_judged_once() -> None:
    player, judge = Player(["first 9\nthen 9\nThe answer is 99."]), Judge(digits)
    result = beam(problem(), StrategySpec("beam", samples=4), player.generate, judge.score)
    assert [len(batch) for batch in judge.texts] == [1, 1, 1]
    assert [one.answer for one in result.candidates] == ["99"] * 4
