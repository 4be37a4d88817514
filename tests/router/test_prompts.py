"""How long a prompt may be, without a tokenizer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.prompts import prompt_size
from router.types import Query
from tests.router.examples import query


@given(st.lists(st.text(max_size=200), min_size=1, max_size=4))
def test_the_bound_leaves_a_token_a_byte_and_the_estimate_is_below_it(contents: list[str]) -> None:
    size = prompt_size(Query(tuple({"role": "user", "content": content} for content in contents)))
    assert size.at_most is not None
    text_bytes = sum(len(content.encode("utf-8", "surrogatepass")) for content in contents)
    assert text_bytes < size.at_most
    assert size.at_least <= size.expected < size.at_most
    assert size.expected > 0


def test_a_length_that_is_known_is_taken_as_it_is() -> None:
    size = prompt_size(query("x" * 1000), 42)
    assert (size.expected, size.at_most) == (42, 42)


def test_text_in_parts_counts_as_text() -> None:
    parts = Query(({"role": "user", "content": [{"type": "text", "text": "x" * 300}]},))
    assert prompt_size(parts).expected >= prompt_size(query("x" * 300)).expected


def test_an_image_is_as_long_as_its_model_makes_it() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 9000}}
    size = prompt_size(Query(({"role": "user", "content": [image]},)))
    assert (size.at_least, size.at_most) == (0, None)


def test_tools_are_read_too_and_so_they_count() -> None:
    tools = [{"type": "function", "function": {"name": "f", "description": "x" * 900}}]
    plain, with_tools = query(), query(needs=("tools",), extra={"tools": tools})
    assert prompt_size(with_tools).expected >= prompt_size(plain).expected + 300


MISTRAL_SMALL_TOKENS, CLAUDE_TOOLS_TOKENS = 161, 530


@pytest.mark.parametrize(
    ("extra", "added"),
    [
        ({}, MISTRAL_SMALL_TOKENS),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, CLAUDE_TOOLS_TOKENS),
        ({"functions": [{"name": "f"}]}, CLAUDE_TOOLS_TOKENS),
        ({"response_format": {"type": "json_object"}}, CLAUDE_TOOLS_TOKENS),
    ],
)
def test_what_templates_and_providers_say_to_their_models_is_within_the_bound(
    extra: dict[str, Any], added: int
) -> None:
    shortest = prompt_size(query("x", extra=extra, needs=("tools",) if extra else ()))
    assert shortest.at_most is not None
    assert shortest.at_most > added + 10


@pytest.mark.parametrize(
    "extra", [{"documents": [{"text": "x" * 900}]}, {"chat_template_kwargs": {"a": "x" * 900}}]
)
def test_what_a_template_may_show_its_model_counts_at_most(extra: dict[str, Any]) -> None:
    plain, more = prompt_size(query()), prompt_size(query(extra=extra))
    assert plain.at_most is not None
    assert more.at_most is not None
    assert more.at_most >= plain.at_most + 900
    assert (more.at_least, more.expected) == (plain.at_least, plain.expected)
