from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.features.conversation import MAX_CHARACTERS, text_of

HARD = "Prove that the series of reciprocals of the primes diverges, and bound its partial sums from below."


def said(*turns: str) -> list[dict[str, Any]]:
    """The user's turns, with an answer behind each but the last."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": "Be brief."}]
    for turn in turns:
        messages += [{"role": "user", "content": turn}, {"role": "assistant", "content": "Well, ..."}]
    return messages[:-1]


@pytest.mark.parametrize(
    "turn",
    [
        "yes",
        "why?",
        "go on",
        "And for the squares of the primes?",
        "Can you explain it in more detail?",
        "Could you please try to explain that?",
        "为什么?",
    ],
)
def test_a_turn_that_leans_on_others_brings_them_along(turn: str) -> None:
    assert text_of(said(HARD, turn)) == f"{HARD}\n\n{turn}"


@pytest.mark.parametrize(
    "turn",
    [
        "What is 12 * (7 + 5)?",
        "Write a poem of four lines about the sea in winter, please.",
        "A farmer has 17 sheep and buys 5 more; it rains for days. How many sheep does the farmer have now?",
    ],
)
def test_a_turn_that_stands_by_itself_is_read_alone(turn: str) -> None:
    assert text_of(said(HARD, turn)) == turn


def test_turns_are_followed_back_to_one_that_stands_by_itself() -> None:
    assert text_of(
        said("Hello there, who are you and what can you do for me today?", HARD, "why?", "yes")
    ) == (f"{HARD}\n\nwhy?\n\nyes")


def test_texts_of_a_content_list_are_joined_and_images_left_out() -> None:
    content = [
        {"type": "text", "text": "What is"},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        {"type": "text", "text": "12 + 30 in this picture?"},
    ]
    assert text_of([{"role": "user", "content": content}]) == "What is\n12 + 30 in this picture?"


@pytest.mark.parametrize(
    "messages", [[], [{"role": "system", "content": "x"}], [{"role": "user", "content": None}]]
)
def test_without_a_word_of_the_user_the_text_is_empty(messages: list[dict[str, Any]]) -> None:
    assert text_of(messages) == ""


@given(st.lists(st.text(max_size=3 * MAX_CHARACTERS // 2), max_size=4))
def test_a_text_is_bounded_whatever_is_said(turns: list[str]) -> None:
    assert len(text_of([{"role": "user", "content": turn} for turn in turns])) <= MAX_CHARACTERS


def test_of_a_long_text_head_and_tail_are_kept() -> None:
    text = text_of(said(f"First. {'word ' * 5000} What is the last word?"))
    assert text.startswith("First.")
    assert text.endswith("What is the last word?")
