"""Tokens are counted by the model's own tokenizer where it is configured, and never fail an answer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from gateway.upstreams.tokens import LONGEST_COUNTED, TokenCounter, by_bytes
from router.config import LiteLLMModel, OpenAIModel

SERVER = {"engine": "openai", "base_url": "http://x", "upstream_model": "theirs"}


def loaded(counter: TokenCounter) -> TokenCounter:
    asyncio.run(counter.load())
    return counter


def test_the_configured_tokenizer_counts(tmp_path: Path) -> None:
    words = Tokenizer(WordLevel({"a": 0, "?": 1}, unk_token="?"))
    words.pre_tokenizer = Whitespace()
    words.save(str(tmp_path / "tokenizer.json"))
    counter = TokenCounter(OpenAIModel.model_validate({**SERVER, "tokenizer": str(tmp_path)}))

    assert counter("a bb ccc") == by_bytes("a bb ccc") == 2  # not loaded yet
    assert loaded(counter)("a bb ccc") == 3


def test_without_one_the_tokenizer_of_the_models_name_counts() -> None:
    old = LiteLLMModel.model_validate({"engine": "litellm", "litellm_model": "openai/gpt-4"})
    unknown = OpenAIModel.model_validate(SERVER)
    text = "Überraschend, nicht wahr? 三加四等于七。"
    assert loaded(TokenCounter(old))(text) == 19  # cl100k_base
    assert loaded(TokenCounter(unknown))(text) == 14  # o200k_base


def test_what_is_too_long_to_be_counted_beside_others_is_estimated() -> None:
    text = "a " * LONGEST_COUNTED
    assert loaded(TokenCounter(OpenAIModel.model_validate(SERVER)))(text) == by_bytes(text)


def test_a_tokenizer_that_cannot_be_read_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    counter = TokenCounter(OpenAIModel.model_validate({**SERVER, "tokenizer": str(tmp_path)}))
    assert loaded(counter)("abcde") == 2
    assert "estimated by their bytes" in caplog.text
