"""What a pass reads: made anew only where sequences come, go or outgrow it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workers.engines.test_transformers import answer_all, ask
from workers.engines.steps import Steps
from workers.engines.transformers import TransformersEngine
from workers.protocols import SamplingParams


def count(monkeypatch: pytest.MonkeyPatch, name: str) -> list[None]:
    calls: list[None] = []
    method = getattr(Steps, name)

    def counted(*arguments: Any) -> None:
        calls.append(None)
        method(*arguments)

    monkeypatch.setattr(Steps, name, counted)
    return calls


def test_a_sequence_that_only_goes_on_makes_new_tensors_once_a_page(
    transformers_engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, counted = count(monkeypatch, "_start"), count(monkeypatch, "_count_on")
    made = transformers_engine.generate([ask("long")], SamplingParams(64, 0.0)).completions[0]
    assert len(started) + len(counted) == made.completion_tokens
    assert len(started) <= made.completion_tokens / 16 + 2


def test_counting_on_says_what_tensors_made_anew_would(
    transformers_engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = ["long", "tea", "x" * 13, "list", "count", "two of", "two of"]  # they turn pages one by one
    going_on = answer_all(transformers_engine, questions, 50)
    counted = count(monkeypatch, "_count_on")
    monkeypatch.setattr(Steps, "_rest", property(lambda _: 0, lambda *_: None), raising=False)
    assert answer_all(transformers_engine, questions, 50) == going_on
    assert not counted
