"""The engines under the conformance suite: each knows the conversations of `tiny.TURNS`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from router.config import OpenAIModel
from tests.workers.engines import tiny
from tests.workers.engines.openai_server import (
    PERSONALITIES,
    OpenAIServer,
    Personality,
    serving,
)
from workers.engines.scripted import ScriptedEngine
from workers.engines.server.connecting import connect
from workers.engines.server.engine import ServerEngine
from workers.engines.server.wire import USUAL, Patience
from workers.engines.transformers import TransformersEngine
from workers.protocols import Engine, Prompt

Serve = Callable[..., tuple[ServerEngine, OpenAIServer]]


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make_language_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def transformers_engine(tiny_folder: Path) -> Iterator[TransformersEngine]:
    engine = TransformersEngine(
        tiny_folder,
        model="tiny",
        context_tokens=tiny.CONTEXT_TOKENS,
        device=tiny.DEVICE,
        dtype="float32",
        threads=1,
    )
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def tiny_parse(tiny_folder: Path) -> Callable[[Any], tuple[Prompt, int]]:
    """Reads a prompt that was rendered by the tiny model's template, as text or token ids."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)

    def parse(rendered: Any) -> tuple[Prompt, int]:
        ids = tokenizer.encode(rendered, add_special_tokens=False) if isinstance(rendered, str) else rendered
        head, _, prefix = tokenizer.decode(ids).rpartition("<assistant>")
        question = head.rpartition("<user>")[2].removesuffix("<eos>")
        return Prompt(({"role": "user", "content": question},), prefix), len(ids)

    return parse


@pytest.fixture
def serve(tiny_parse: Callable[[Any], tuple[Prompt, int]]) -> Iterator[Serve]:
    """Starts a server of a personality, and connects an engine to it."""
    with ExitStack() as resources:

        def start(
            personality: Personality,
            *,
            tokenizer: Path | None = None,
            delay_s: float = 0.0,
            patience: Patience = USUAL,
        ) -> tuple[ServerEngine, OpenAIServer]:
            backend = ScriptedEngine(
                _recite, model="tiny", context_tokens=tiny.CONTEXT_TOKENS, delay_s=delay_s
            )
            server = OpenAIServer(backend, personality, tiny_parse)
            url = resources.enter_context(serving(server.app()))
            model = OpenAIModel(
                engine="openai",
                base_url=url,
                upstream_model="tiny",
                tokenizer=None if tokenizer is None else str(tokenizer),
            )
            engine = connect("tiny", model, patience=patience)
            resources.callback(engine.close)
            server.asked.clear()
            return engine, server

        yield start


@pytest.fixture(
    params=["scripted", "transformers", "vllm", "vllm, own tokenizer", "llama.cpp, own tokenizer"]
)
def engine(request: pytest.FixtureRequest, serve: Serve) -> Engine:
    match request.param:
        case "scripted":
            return ScriptedEngine(_recite, model="tiny", context_tokens=tiny.CONTEXT_TOKENS)
        case "transformers":
            found: TransformersEngine = request.getfixturevalue("transformers_engine")
            return found
        case name:
            personality, own, _ = name.partition(", own tokenizer")
            tokenizer = request.getfixturevalue("tiny_folder") if own else None
            return serve(PERSONALITIES[personality], tokenizer=tokenizer, delay_s=0.001)[0]


def _recite(prompt: Prompt, index: int, seed: int) -> str:
    turn = tiny.TURNS.get(prompt.messages[-1]["content"])
    if turn is None:  # what a probe asks
        turn = f"{'So, ' * (index + seed % 5)}one\ntwo\nthree\nfour\nfive"
    return turn.removeprefix(prompt.prefix)
