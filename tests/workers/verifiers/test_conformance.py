"""What every verifier does."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.workers.verifiers.conftest import QUESTION, TEXTS
from workers.protocols import Scores, Verifier
from workers.verifiers.majority import MajorityVerifier
from workers.verifiers.prm import PrmVerifier
from workers.verifiers.scripted import ScriptedVerifier


@pytest.fixture(params=["scripted", "majority", "prm"])
def verifier(request: pytest.FixtureRequest) -> Iterator[Verifier]:
    if request.param == "prm":
        found: PrmVerifier = request.getfixturevalue("prm")
        yield found
    elif request.param == "majority":
        yield MajorityVerifier("judge")
    else:
        yield ScriptedVerifier(lambda text: [1 / (1 + len(line)) for line in text.splitlines()], name="judge")


def test_texts_are_judged_in_order(verifier: Verifier) -> None:
    forward = verifier.score(QUESTION, TEXTS)
    backward = verifier.score(QUESTION, TEXTS[::-1])
    assert [one.score for one in backward.scored][::-1] == pytest.approx(
        [one.score for one in forward.scored]
    )


def test_scores_are_between_0_and_1(verifier: Verifier) -> None:
    for one in verifier.score(QUESTION, TEXTS).scored:
        assert 0 <= one.score <= 1
        assert all(0 <= score <= 1 for score in one.step_scores)


def test_a_verifier_of_steps_scores_each_and_another_none(verifier: Verifier) -> None:
    (one,) = verifier.score(QUESTION, ["a = 1\nb = 2\nThe answer is 2."]).scored
    assert len(one.step_scores) == (3 if verifier.scores_steps else 0)


def test_no_texts_no_scores(verifier: Verifier) -> None:
    assert verifier.score(QUESTION, []) == Scores((), 0)


def test_an_empty_text_scores_0(verifier: Verifier) -> None:
    (one,) = verifier.score(QUESTION, [""]).scored
    assert one.score == 0


def test_threads_get_their_own_scores(verifier: Verifier) -> None:
    alone = [verifier.score(QUESTION, [text] * 2) for text in TEXTS]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda text: verifier.score(QUESTION, [text] * 2), TEXTS * 4))
    for scores, expected in zip(together, alone * 4, strict=True):
        assert [one.score for one in scores.scored] == pytest.approx([one.score for one in expected.scored])
        assert scores.tokens == expected.tokens


def test_the_verifier_says_who_it_is(verifier: Verifier) -> None:
    assert verifier.name == "judge"
