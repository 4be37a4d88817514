"""The tokenizer loses nothing, and line ends are token boundaries."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from workers.engines.chat import Chat
from workers.protocols import Prompt
from workers.training.abacus.tokenizer import build_tokenizer, chat_ids
from workers.training.files import MODELS_DIR

SOLUTION = "3 * 4 = 12\n2 + 12 = 14\nThe answer is 14."


@cache
def _shipped() -> Any:
    return AutoTokenizer.from_pretrained(MODELS_DIR / "abacus-small")


@given(st.text())
def test_any_text_survives(text: str) -> None:
    tokenizer = _shipped()
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == text


@given(st.lists(st.integers(0, 9999), min_size=1))
def test_digits_stand_alone(values: list[int]) -> None:
    text = " + ".join(map(str, values))
    tokens = _shipped().tokenize(text)
    assert [token for token in tokens if token.isdigit()] == [c for c in text if c.isdigit()]


@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n<>|")), min_size=2, max_size=5),
    st.data(),
)
def test_a_partial_turn_is_a_token_prefix_at_line_ends(lines: list[str], data: st.DataObject) -> None:
    chat = Chat(_shipped(), "abacus-small")
    asked = ({"role": "user", "content": "Calculate 2 + 3 * 4."},)
    cut = data.draw(st.integers(1, len(lines) - 1))
    full = chat.encode(Prompt(asked, "\n".join(lines)))
    partial = chat.encode(Prompt(asked, "\n".join(lines[:cut]) + "\n"))
    assert full[: len(partial)] == partial


def test_the_chat_template_agrees_with_training() -> None:
    tokenizer = _shipped()
    chat = [
        {"role": "system", "content": "Think."},
        {"role": "user", "content": "Calculate 2 + 3 * 4."},
        {"role": "assistant", "content": SOLUTION},
    ]
    ids, written = chat_ids(tokenizer, chat)
    text = tokenizer.apply_chat_template(chat, tokenize=False)
    assert tokenizer(text, add_special_tokens=False)["input_ids"] == ids
    said = tokenizer.decode([token for token, own in zip(ids, written, strict=True) if own])
    assert said == SOLUTION + tokenizer.eos_token


def test_a_partial_assistant_turn_is_continued() -> None:
    tokenizer = _shipped()
    chat = [
        {"role": "user", "content": "Calculate 2 + 3 * 4."},
        {"role": "assistant", "content": "3 * 4 = 12\n"},
    ]
    going_on = tokenizer.apply_chat_template(chat, continue_final_message=True, tokenize=False)
    asked = tokenizer.apply_chat_template(chat[:1], add_generation_prompt=True, tokenize=False)
    assert going_on == asked + "3 * 4 = 12\n"


@pytest.mark.parametrize("token", ["eos_token", "pad_token", "bos_token"])
def test_special_tokens_are_set(token: str) -> None:
    assert getattr(_shipped(), token)


def test_building_is_deterministic() -> None:
    texts = ["Calculate 2 + 3.", "How many apples has John?", SOLUTION] * 5
    first, second = build_tokenizer(texts), build_tokenizer(texts)
    assert first.get_vocab() == second.get_vocab()
