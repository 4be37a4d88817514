"""The engine against a real server with a real model; docs/servers.md says how to run one.

    GRADUS_TEST_SERVER_URL=http://127.0.0.1:8000/v1 GRADUS_TEST_SERVER_MODEL=smollm2 \\
        pytest tests/workers/engines/test_real_server.py

``GRADUS_TEST_SERVER_TOKENIZER`` may name the model's Hugging Face folder. What the server lacks is skipped.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from router.config import OpenAIModel
from workers.engines.server.connecting import connect
from workers.engines.server.engine import ServerEngine
from workers.errors import ContextOverflow, WorkerError
from workers.protocols import Cancellation, Prompt, SamplingParams

URL = os.environ.get("GRADUS_TEST_SERVER_URL")
CONTEXT_TOKENS = 2048

pytestmark = pytest.mark.skipif(URL is None, reason="GRADUS_TEST_SERVER_URL names no server")


@pytest.fixture(scope="module")
def engine() -> Iterator[ServerEngine]:
    model = OpenAIModel.model_validate(
        {
            "engine": "openai",
            "base_url": URL,
            "upstream_model": os.environ.get("GRADUS_TEST_SERVER_MODEL", "default"),
            "tokenizer": os.environ.get("GRADUS_TEST_SERVER_TOKENIZER") or None,
            "context_tokens": CONTEXT_TOKENS,
        }
    )
    connected = connect("real", model)
    yield connected
    connected.close()


def ask(question: str, prefix: str = "", stop_after: tuple[str, ...] = ()) -> Prompt:
    return Prompt(({"role": "user", "content": question},), prefix, stop_after=stop_after)


NUMBERS = "Write the numbers 1 to 9, one per line."


def test_samples_of_a_prompt_differ_and_greedy_ones_do_not(engine: ServerEngine) -> None:
    hot = engine.generate([ask("Tell me a story.")] * 4, SamplingParams(24, 1.0))
    assert len({one.text for one in hot.completions}) > 1
    assert all(0 < one.completion_tokens <= 24 for one in hot.completions)
    cold = engine.generate([ask("Tell me a story.")] * 2, SamplingParams(24, 0.0))
    assert len({one.text for one in cold.completions}) == 1


def test_a_turn_goes_on_where_it_was_cut(engine: ServerEngine) -> None:
    if not engine.continues_turns:
        pytest.skip("the server continues no turns")
    (whole,) = engine.generate([ask(NUMBERS)], SamplingParams(40, 0.0)).completions
    cut = whole.text.index("\n") + 1
    (rest,) = engine.generate([ask(NUMBERS, whole.text[:cut])], SamplingParams(12, 0.0)).completions
    assert whole.text[cut:].startswith(rest.text[:8])


def test_steps_end_where_they_should(engine: ServerEngine) -> None:
    done = engine.generate([ask(NUMBERS, stop_after=("\n",))] * 2, SamplingParams(40, 0.0))
    assert all(one.text.endswith("\n") and one.text.count("\n") == 1 for one in done.completions)
    assert all(one.ended == "step" for one in done.completions)


def test_a_stop_text_is_cut_off(engine: ServerEngine) -> None:
    (one,) = engine.generate([ask(NUMBERS)], SamplingParams(40, 0.0, stop=("3",))).completions
    assert one.ended == "stop"
    assert "3" not in one.text


def test_a_deadline_is_kept(engine: ServerEngine) -> None:
    begin_s = time.monotonic()
    done = engine.generate(
        [ask("Tell me a long story.")] * 2,
        SamplingParams(1500, 1.0),
        cancellation=Cancellation(begin_s + 0.5),
    )
    assert time.monotonic() - begin_s < 2
    assert all(one.ended in ("cancelled", "stop") for one in done.completions)


def test_jobs_at_once_get_their_own_answers(engine: ServerEngine) -> None:
    def run(number: int) -> str:
        prompt = ask(f"Repeat after me: number {number}.")
        return engine.generate([prompt], SamplingParams(12, 0.0)).completions[0].text

    alone = [run(number) for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(run, range(4))) == alone


def test_what_is_too_long_is_refused_by_name(engine: ServerEngine) -> None:
    with pytest.raises(WorkerError) as failure:
        engine.generate([ask("word " * 3 * CONTEXT_TOKENS)], SamplingParams(8))
    if engine.capabilities.counts or engine.capabilities.prompts in ("tokens", "text"):
        assert isinstance(failure.value, ContextOverflow)
