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


GERMAN = (
    "Beweise, dass die Summe der Kehrwerte aller Primzahlen divergiert, und schätze ihre Teilsummen von "
    "unten ab, ohne den Primzahlsatz zu verwenden."
)
CHINESE = "证明所有素数的倒数之和发散，并且在不使用素数定理的情况下，从下方估计它的部分和的增长速度。"
SPANISH = (
    "Demuestra que la suma de los recíprocos de todos los números primos diverge y acota sus sumas parciales "
    "por debajo sin usar el teorema de los números primos."
)
HINDI = "सिद्ध कीजिए कि सभी अभाज्य संख्याओं के व्युत्क्रमों का योग अपसारी है और उसके आंशिक योगों का नीचे से अनुमान लगाइए।"


@pytest.mark.parametrize(
    ("question", "turn"),
    [
        (GERMAN, "Ja"),
        (GERMAN, "Kannst du das bitte noch einmal erklären?"),
        (GERMAN, "Und was ändert sich für die Quadrate der Primzahlen?"),
        (CHINESE, "为什么？"),
        (CHINESE, "你能再详细解释一下第二步吗？"),
        (CHINESE, "如果换成素数的平方会怎么样呢？"),
        (SPANISH, "Sí, por favor"),
        (SPANISH, "¿Puedes explicarme otra vez el segundo paso?"),
        (SPANISH, "¿Y qué pasa si tomamos los cuadrados?"),
        (HINDI, "क्या आप इसे फिर से समझा सकते हैं?"),
    ],
)
def test_in_any_language_a_short_turn_after_an_answer_brings_a_longer_question_along(
    question: str, turn: str
) -> None:
    assert text_of(said(question, turn)) == f"{question}\n\n{turn}"


@pytest.mark.parametrize(
    ("question", "turn"),
    [
        (GERMAN, "Schreibe bitte ein Gedicht in vier Zeilen über das Meer im Winter und die Möwen."),
        (GERMAN, "Was ist 17 mal 23?"),
        (CHINESE, "请写一首关于冬天大海的四行诗，要求押韵，并且每一行都要提到一种不同的海鸟。"),
        (CHINESE, "17乘以23等于多少？"),
        (SPANISH, "Escribe por favor un poema de cuatro versos sobre el mar en invierno y las gaviotas."),
        (SPANISH, "¿Cuánto es 17 por 23?"),
    ],
)
def test_in_any_language_a_turn_that_says_enough_or_has_its_own_numbers_is_read_alone(
    question: str, turn: str
) -> None:
    assert text_of(said(question, turn)) == turn


def test_what_nobody_answered_is_no_reason_to_read_a_turn_of_some_words_with_it() -> None:
    turn = "Kannst du das bitte noch einmal erklären?"
    unanswered = [{"role": "user", "content": GERMAN}, {"role": "user", "content": turn}]
    assert text_of(unanswered) == turn


@given(st.text(max_size=400))
def test_a_single_turn_is_read_as_it_stands(turn: str) -> None:
    """So predictors that were fitted to single turns read what they were fitted to."""
    assert text_of(said(turn)) == turn.strip()


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


@given(st.lists(st.text() | st.text("・。…?! \n日a1", max_size=60), max_size=4), st.booleans())
def test_any_text_at_all_is_read(turns: list[str], answered: bool) -> None:
    messages = said(*turns) if answered else [{"role": "user", "content": turn} for turn in turns]
    assert len(text_of(messages)) <= MAX_CHARACTERS


def test_a_turn_of_marks_alone_stands_by_itself() -> None:
    dots = "・" * 20
    asked = [{"role": "user", "content": "What is it?"}, {"role": "user", "content": dots}]
    assert text_of(asked) == dots
