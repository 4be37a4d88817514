"""Multiple choice: the letter that was chosen, and never an article."""

from __future__ import annotations

import pytest

from router.types import Task
from workers.answers import answers_for

CHOICES = answers_for(Task("choice"))


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("(B)", "B"),
        ("B.", "B"),
        ("b", "B"),
        ("Answer: B", "B"),
        ("**Answer: (c)**", "C"),
        (r"so \boxed{\text{(D)}}", "D"),
        ("The correct option is B", "B"),
        ("The correct choice: **E**.", "E"),
        ("Option B is correct.", "B"),
        ("Let us see.\nB) Paris", "B"),
        ("The answer is option (C).", "C"),
        ("The answer is B because of this", "B"),
        ("The answer is A, since nothing else fits", "A"),
        ("The answer is Paris (C)", "C"),
        ("Answer: B. Paris", "B"),
        ("(A) is wrong. (B) is wrong.\nThe answer is (J).", "J"),
        ("answer is I", "I"),
    ],
)
def test_the_chosen_letter_is_read(text: str, letter: str) -> None:
    assert CHOICES.extract(text) == letter


@pytest.mark.parametrize(
    "text",
    [
        "A dog is an animal",
        "I think so",
        "The answer is A dog",
        "the answer is a good one",
        "Both are fine",
        "Because.",
        "K",
        "",
    ],
)
def test_words_are_no_choice(text: str) -> None:
    assert CHOICES.extract(text) is None
