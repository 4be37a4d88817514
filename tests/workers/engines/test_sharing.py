"""What the transformers engine computes of the prompts it is given, seen from its forward passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.workers.engines.test_transformers import ask, load
from workers.engines import batching
from workers.engines.transformers import TransformersEngine
from workers.protocols import SamplingParams


def processed_tokens(engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tokens each forward pass from now on reads."""
    seen: list[int] = []
    model = engine._batcher._model
    forward = model.forward

    def count(**batch: Any) -> Any:
        seen.append(batch["input_ids"].numel())
        return forward(**batch)

    monkeypatch.setattr(model, "forward", count)
    return seen


def test_samples_of_a_prompt_read_it_once(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = load(tiny_folder)
    seen = processed_tokens(engine, monkeypatch)
    prompt = ask("sixteen samples of one prompt")
    tokens = engine.count_tokens(prompt)
    done = engine.generate([prompt] * 16, SamplingParams(1, 0.0))
    assert (done.prompt_tokens, done.cached_prompt_tokens) == (tokens, 0)
    assert sum(seen) == tokens - 1 + 16  # each sample reads the last token itself
    engine.close()


def test_beams_read_only_what_is_new_of_a_shared_prefix(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = load(tiny_folder)
    stem = "one, two, three, four, five, six,\n"
    engine.generate([ask("count", stem)] * 4, SamplingParams(4, 0.0))
    seen = processed_tokens(engine, monkeypatch)
    beams = [ask("count", stem + step) for step in ("a", "bb", "ccc", "dddd")]
    done = engine.generate(beams, SamplingParams(1, 0.0))
    whole_pages = engine.count_tokens(ask("count", stem)) // batching.PAGE_TOKENS
    assert whole_pages > 1
    assert done.cached_prompt_tokens >= 4 * (whole_pages - 1) * batching.PAGE_TOKENS
    assert sum(seen) == done.prompt_tokens - done.cached_prompt_tokens
    engine.close()
