"""What a streaming OpenAI client gets: progress, text as it comes, one end with usage and decision."""

from __future__ import annotations

from typing import Any

import httpx
import openai
import pytest

from tests.gateway.doubles import ScriptedWorker, hard
from tests.gateway.upstream import CHUNKS, USAGE_CHUNK, UpstreamDouble, chunk

MESSAGES: list[Any] = [{"role": "user", "content": "Calculate 3 + 4."}]


def ask(client: openai.OpenAI, model: str = "gradus", **options: Any) -> Any:
    return client.chat.completions.create(model=model, messages=MESSAGES, **options)


def gradus(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = answer.model_extra["gradus"]
    return found


@pytest.mark.parametrize("include_usage", [True, False])
def test_a_search_streams_progress_then_the_answer(
    client: openai.OpenAI, worker: ScriptedWorker, include_usage: bool
) -> None:
    options: Any = {"stream_options": {"include_usage": True}} if include_usage else {}
    chunks = list(ask(client, stream=True, **options))

    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(choice.delta.content or "" for each in chunks for choice in each.choices)
    assert text == "3 + 4 = 7\nThe answer is 7."
    finished = [choice.finish_reason for each in chunks for choice in each.choices if choice.finish_reason]
    assert finished == ["stop"]
    assert gradus(chunks[-1])["tokens"]["probe"] == 220
    assert len({each.id for each in chunks}) == 1
    if include_usage:
        assert chunks[-1].choices == []
        assert chunks[-1].usage.total_tokens == 720
    else:
        assert all(each.usage is None for each in chunks)


def test_progress_is_a_comment_that_clients_skip(url: str, worker: ScriptedWorker) -> None:
    body = {"model": "gradus", "messages": MESSAGES, "stream": True}
    with httpx.stream("POST", f"{url}/v1/chat/completions", json=body) as answer:
        lines = [line for line in answer.iter_lines() if line]

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert ": gradus probe 4/4" in lines
    assert lines[-1] == "data: [DONE]"


def test_progress_is_an_event_for_who_asks(url: str, worker: ScriptedWorker) -> None:
    body = {"model": "gradus", "messages": MESSAGES, "stream": True, "gradus": {"progress": True}}
    text = httpx.post(f"{url}/v1/chat/completions", json=body).text

    assert 'event: gradus.progress\ndata: {"stage":"probe","done":4,"total":4}\n\n' in text
    assert "\n: gradus" not in text


def test_an_escalated_stream_passes_the_large_models_text_on_as_it_comes(
    client: openai.OpenAI, worker: ScriptedWorker
) -> None:
    worker.script = hard

    chunks = list(ask(client, stream=True))

    assert worker.jobs[1].stream
    deltas = [choice.delta for each in chunks for choice in each.choices]
    assert [delta.content for delta in deltas if delta.content] == ["3 + 4 = 7\n", "The answer is 7."]
    assert [delta.role for delta in deltas if delta.role] == ["assistant"]
    assert gradus(chunks[-1])["model"] == "big"


@pytest.mark.parametrize("model", ["gradus/remote", "gradus/lite"])
def test_an_escalated_stream_of_a_server_keeps_one_id_and_one_role(
    client: openai.OpenAI, worker: ScriptedWorker, upstream: UpstreamDouble, model: str
) -> None:
    worker.script = hard

    chunks = list(ask(client, model, stream=True, stream_options={"include_usage": True}))

    assert len({each.id for each in chunks}) == 1
    assert {each.model for each in chunks} == {model}
    deltas = [choice.delta for each in chunks for choice in each.choices]
    assert "".join(delta.content or "" for delta in deltas) == "The answer is 7."
    assert [delta.role for delta in deltas if delta.role] == ["assistant"]
    assert chunks[-1].usage.total_tokens == 220 + 300 + 18
    assert upstream.bodies[0]["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("include_usage", [True, False])
def test_a_server_streams_straight_through(
    client: openai.OpenAI, upstream: UpstreamDouble, include_usage: bool
) -> None:
    options: Any = {"stream_options": {"include_usage": True}} if include_usage else {}
    with ask(client, "remote", stream=True, **options) as stream:
        assert stream.response.headers["x-gradus-model"] == "remote"
        chunks = list(stream)

    assert [each.choices[0].delta.content for each in chunks[:3]] == ["", "The answer ", "is 7."]
    assert chunks[2].system_fingerprint == "fp-1"
    assert gradus(chunks[-1])["tokens"]["direct"] == 18
    assert len(chunks) == len(CHUNKS) - (0 if include_usage else 1)
    assert (chunks[-1].usage is not None) == include_usage


def test_a_stream_keeps_choices_tool_calls_and_odd_line_separators_as_they_came(
    client: openai.OpenAI, upstream: UpstreamDouble
) -> None:
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    other = {"index": 1, "delta": {"content": "two"}, "finish_reason": "length"}
    upstream.chunks = (
        chunk({"content": "one\u2028\x85line"}),
        chunk({"tool_calls": [call]}, "tool_calls"),
        chunk({}, choices=[other]),
        USAGE_CHUNK,
    )

    chunks = list(ask(client, "remote", stream=True, n=2))

    assert chunks[0].choices[0].delta.content == "one\u2028\x85line"
    assert chunks[1].choices[0].delta.tool_calls[0].function.name == "f"
    assert [each.choices[0].finish_reason for each in chunks] == [None, "tool_calls", "length"]
    assert [each.choices[0].index for each in chunks] == [0, 0, 1]
    assert [each.model_extra is not None and "gradus" in each.model_extra for each in chunks] == [
        False,
        False,
        True,
    ]


def test_a_stream_without_usage_is_billed_by_estimate(
    client: openai.OpenAI, upstream: UpstreamDouble
) -> None:
    upstream.chunks = CHUNKS[:-1]

    chunks = list(ask(client, "remote", stream=True, stream_options={"include_usage": True}))

    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (7, 6)
    assert "estimated" in gradus(chunks[-1])["notice"]


def test_the_asynchronous_streaming_helper_of_the_client_accepts_the_chunks(
    client: openai.OpenAI, worker: ScriptedWorker
) -> None:
    with client.chat.completions.stream(model="gradus", messages=MESSAGES) as stream:
        final = stream.get_final_completion()

    assert final.choices[0].message.content == "3 + 4 = 7\nThe answer is 7."
    assert final.choices[0].message.role == "assistant"
