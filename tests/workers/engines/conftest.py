"""The engines under the conformance suite: each knows the conversations of `tiny.TURNS`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workers.engines import tiny
from workers.engines.scripted import ScriptedEngine
from workers.engines.transformers import TransformersEngine
from workers.protocols import Engine, Prompt


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make_language_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def transformers_engine(tiny_folder: Path) -> Iterator[TransformersEngine]:
    engine = TransformersEngine(
        tiny_folder, model="tiny", context_tokens=tiny.CONTEXT_TOKENS, device="cpu", threads=1
    )
    yield engine
    engine.close()


@pytest.fixture(params=["scripted", "transformers"])
def engine(request: pytest.FixtureRequest) -> Engine:
    if request.param == "scripted":
        return ScriptedEngine(_recite, model="tiny", context_tokens=tiny.CONTEXT_TOKENS)
    found: TransformersEngine = request.getfixturevalue("transformers_engine")
    return found


def _recite(prompt: Prompt, _index: int, _seed: int) -> str:
    turn = tiny.TURNS.get(prompt.messages[-1]["content"], "?")
    return turn.removeprefix(prompt.prefix)
