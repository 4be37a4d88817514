"""Classes of answers: the same however they arrive, and found with few comparisons."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.answers.grouping import LONGEST_TEXT, GroupedAnswers, Leaders


def by_definition(answers: list[str], same: Callable[[str, str], bool]) -> dict[str, str]:
    """The first member of each answer's class: the shortest first, each joins the first that it equals."""
    leader_of: dict[str, str] = {}
    for answer in sorted(set(answers), key=lambda one: (len(one), one)):
        leaders = [one for one, leader in leader_of.items() if one == leader]
        leader_of[answer] = next((one for one in leaders if same(one, answer)), answer)
    return leader_of


numerals = st.integers(0, 60).map(str)


@given(arriving=st.lists(st.lists(numerals, max_size=6), max_size=8), near=st.integers(0, 9))
def test_answers_that_come_later_are_grouped_as_if_they_had_been_there(
    arriving: list[list[str]], near: int
) -> None:
    def same(one: str, other: str) -> bool:
        return abs(int(one) - int(other)) <= near

    leaders = Leaders(same)
    there: list[str] = []
    for new in arriving:
        there += new
        assert dict(leaders(there)) == by_definition(there, same)
    assert dict(leaders(there[:3])) == by_definition(there[:3], same)


def test_what_was_compared_is_not_compared_again() -> None:
    compared: list[tuple[str, str]] = []

    def same(one: str, other: str) -> bool:
        compared.append((one, other))
        return False

    answers = GroupedAnswers(lambda text: text, Leaders(same))
    said = [str(number) for number in range(100, 164)]
    for arrived in range(1, len(said) + 1):
        for _ in range(3):
            answers.classes(said[:arrived])
            answers.support(said[:arrived], [1.0] * arrived)

    assert len(compared) == len(set(compared)) == 64 * 63 // 2


def test_each_text_is_read_once() -> None:
    read: list[str] = []

    def reading(text: str) -> None:
        read.append(text)

    answers = GroupedAnswers(reading)

    assert [answers.extract(text) for text in ("a", "b", "a", "x" * LONGEST_TEXT + "a")] == [None] * 4
    assert len(read) == 3


@pytest.mark.parametrize(("keys", "is_exact"), [(None, True), (Leaders(lambda _a, _b: False), False)])
def test_only_answers_that_are_equal_as_texts_are_exact(keys: Leaders | None, is_exact: bool) -> None:
    assert GroupedAnswers(lambda text: text, keys).is_exact is is_exact
