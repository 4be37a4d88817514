"""An engine over a server that breaks off: what it had read and written by then is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.workers.engines.conftest import Serve
from tests.workers.engines.openai_server import LLAMA_CPP, VLLM, Fault, Personality
from workers.engines.estimate import estimated_tokens
from workers.engines.server.wire import Patience
from workers.errors import EngineFailed
from workers.protocols import Generation, Prompt, SamplingParams

SOON = Patience(small_answer_s=2.0, first_event_s=2.0, next_event_s=2.0, busy_s=0.1)
COUNT = Prompt(({"role": "user", "content": "count"},))


def failed(serve: Serve, personality: Personality, fault: Fault, choices: int = 2) -> Generation:
    engine, server = serve(personality, patience=SOON)
    engine.count_tokens(COUNT)  # it remembers that
    server.fault = fault
    server.personality = replace(personality, has_tokenize=False)  # what is dead counts nothing
    with pytest.raises(EngineFailed) as failure:
        engine.generate([COUNT] * choices, SamplingParams(50))
    assert failure.value.generated is not None
    assert [one.ended for one in failure.value.generated.completions] == ["cancelled"] * choices
    return failure.value.generated


@pytest.mark.parametrize("fault", ["cut", "silent midway"])
def test_what_had_been_streamed_is_told_and_the_prompt_as_the_server_counts_it(
    serve: Serve, fault: Fault
) -> None:
    engine, _ = serve(VLLM)
    by_then = failed(serve, VLLM, fault)
    assert by_then.completion_tokens >= 1
    assert any(one.text for one in by_then.completions)
    assert by_then.prompt_tokens == engine.count_tokens(COUNT)


@pytest.mark.parametrize("personality", [replace(VLLM, usage="final"), LLAMA_CPP])
def test_a_prompt_that_the_server_did_not_count_in_time_is_estimated(
    serve: Serve, personality: Personality
) -> None:
    by_then = failed(serve, personality, "cut")
    assert by_then.completion_tokens >= 1
    assert by_then.prompt_tokens == estimated_tokens(COUNT)


def test_who_wrote_nothing_consumed_nothing(serve: Serve) -> None:
    by_then = failed(serve, VLLM, "500")
    assert (by_then.prompt_tokens, by_then.completion_tokens) == (0, 0)


def test_an_answer_is_not_lost_because_its_prompt_cannot_be_counted(serve: Serve) -> None:
    personality = replace(VLLM, usage="none")
    engine, server = serve(personality)
    engine.context_tokens = 10_000  # so far from the end that nothing is counted before
    server.personality = replace(personality, has_tokenize=False)
    done = engine.generate([COUNT], SamplingParams(50))
    assert [one.ended for one in done.completions] == ["stop"]
    assert done.prompt_tokens == estimated_tokens(COUNT)
