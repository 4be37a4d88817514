"""What is said of revision chains, on chains that are made up."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workers.training.abacus.judged import RIGHT, judged, some_right
from workers.training.abacus.revising import WEIGHTED, Revised, revising
from workers.verifiers.quality import Judged


def _chain(right: str, score: float = 0.5) -> Judged:
    """ "-+" is a wrong attempt, then a right one; right ones score higher."""
    answers = [RIGHT if sign == "+" else str(10 + at) for at, sign in enumerate(right)]
    return judged(answers, [0.9 if sign == "+" else score for sign in right])


def _question(*chains: str) -> Revised:
    return Revised(tuple(map(_chain, chains)), some_right(8, 16), some_right(4, 16))


def test_pass_1_is_that_of_each_place_in_a_chain() -> None:
    found = revising([_question("-+++", "--++"), _question("--++", "---+")], 4, [4])
    assert [one.value for one in found.along] == [0.0, 0.25, 0.75, 1.0]
    assert (found.first_attempts.value, found.small.value) == (0.5, 0.25)


def test_right_answers_that_the_next_attempt_breaks_are_told_from_wrong_ones_that_it_mends() -> None:
    found = revising([_question("+-+-"), _question("++--")], 4, [4])
    assert found.broken is not None
    assert found.mended is not None
    assert found.broken.value == pytest.approx(3 / 4)
    assert found.mended.value == pytest.approx(1 / 2)


def test_an_answer_that_was_broken_again_is_found_within_its_chain() -> None:
    found = revising([_question("-+--")], 4, [4])
    (chosen,) = [one for one in found.chosen if "1 chain of 4" in one.way]
    assert chosen.right.value == 1.0
    assert chosen.gain.value == 1.0 - next(one.right.value for one in found.chosen if one.way == WEIGHTED)


def test_a_budget_is_spent_on_as_many_attempts_whatever_the_chains() -> None:
    chains = ("-+++",) * 4
    found = revising([_question(*chains)], 4, [4, 16])
    ways = {(one.budget, one.way) for one in found.chosen if "Algorithm 7" in one.way}
    assert ways == {
        (4, "abacus-revision, 1 chain of 4, Algorithm 7"),
        (16, "abacus-revision, 4 chains of 4, Algorithm 7"),
    }


def test_coverage_of_a_chain_stands_beside_that_of_independent_samples() -> None:
    found = revising([_question("--+-")], 4, [4])
    assert [found.any_of[k][0].value for k in (1, 2, 4)] == [0.0, 0.0, 1.0]
    assert found.any_of[1][1].value == 0.5


def test_a_verifier_that_scores_right_attempts_higher_ranks_perfectly() -> None:
    found = revising([_question("-+-+"), _question("+---")], 4, [4])
    assert (found.chains.auc, found.chains.within_question_auc) == (1.0, 1.0)


@settings(max_examples=25)
@given(st.lists(st.text("+-", min_size=1, max_size=6), min_size=1, max_size=4))
def test_every_share_is_one_even_where_attempts_are_missing(chains: list[str]) -> None:
    found = revising([_question(*chains), _question("+-")], max(map(len, [*chains, "+-"])), [4])
    for one in (*found.along, found.broken, found.mended):
        assert one is None or 0 <= one.low <= one.value <= one.high <= 1
