"""The helper process: it answers, it says what was wrong, and it may die."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from workers.answers.bounded import Refused, TooMuch, ask


def test_a_question_is_answered() -> None:
    assert ask("fits_pattern", "aaa", "a+") is True
    assert ask("fits_pattern", "aab", "a+") is False


def test_what_a_library_refuses_is_said_and_the_helper_lives_on() -> None:
    with pytest.raises(Refused, match="unterminated"):
        ask("check_pattern", "(a")
    assert ask("fits_pattern", "b", "b")


def test_what_takes_for_ever_is_ended_and_the_next_question_is_answered() -> None:
    with pytest.raises(TooMuch, match="fits_pattern"):
        ask("fits_pattern", "a" * 60 + "b", "(a+)+", limit_s=0.05)
    assert ask("fits_pattern", "b", "b")


def test_threads_get_their_own_answers() -> None:
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda n: ask("fits_pattern", "a" * n, f"a{{{n}}}"), range(1, 60))
    assert all(found)
