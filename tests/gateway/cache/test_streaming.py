from __future__ import annotations

import copy
from typing import Any

import pytest
from openai.types.chat import ChatCompletionChunk

from gateway.cache.streaming import Collector, chunks_of
from tests.gateway.upstream import CHUNKS, USAGE_CHUNK, chunk, completion


def _collected(*chunks: Any) -> dict[str, Any] | None:
    collector = Collector(262_144)
    before = copy.deepcopy(chunks)
    for each in chunks:
        collector.add(each)
    assert chunks == before  # they are on their way to the client
    return collector.completion()


def test_nothing_is_no_completion() -> None:
    assert _collected() is None
    assert _collected(USAGE_CHUNK) is None


def test_a_stream_is_put_together() -> None:
    whole = _collected(*CHUNKS)
    assert whole is not None
    (choice,) = whole["choices"]
    assert choice["message"] == {"role": "assistant", "content": "The answer is 7."}
    assert (choice["index"], choice["finish_reason"]) == (0, "stop")
    assert (whole["system_fingerprint"], "usage" in whole) == ("fp-1", False)


CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": ""}}


def test_tool_calls_and_log_probabilities_are_put_together() -> None:
    whole = _collected(
        chunk({"role": "assistant", "content": None, "tool_calls": [{"index": 0, **CALL}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]}),
        chunk({"content": None, "tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]}),
        chunk({"tool_calls": [{"index": 1, **CALL, "id": "c2"}]}),
        chunk({"content": None, "tool_calls": None}, "tool_calls"),
    )
    assert whole is not None
    first, second = whole["choices"][0]["message"]["tool_calls"]
    assert first == {**CALL, "function": {"name": "add", "arguments": '{"a": 1}'}}
    assert second == {**CALL, "id": "c2"}

    said = [{"token": "7"}]
    choices = [{"index": 0, "delta": {"content": "7"}, "logprobs": {"content": said}, "finish_reason": None}]
    twice = [chunk({}, choices=choices)] * 2
    whole = _collected(*twice, chunk({}, "stop"))
    assert whole is not None
    assert whole["choices"][0]["logprobs"] == {"content": said * 2}
    assert whole["choices"][0]["message"]["content"] == "77"


def test_equal_parts_of_a_text_are_all_there_and_what_a_server_repeats_is_there_once() -> None:
    def calls(text: str) -> dict[str, Any]:
        call = {"index": 0, "id": "c1", "type": "custom", "custom": {"name": "run", "input": text}}
        return chunk({"role": "assistant", "tool_calls": [call]})

    whole = _collected(calls("ha"), calls("ha"), calls(""), calls("!"), chunk({}, "tool_calls"))
    assert whole is not None
    (call,) = whole["choices"][0]["message"]["tool_calls"]
    assert call == {"id": "c1", "type": "custom", "custom": {"name": "run", "input": "haha!"}}


def test_what_is_too_large_to_be_kept_is_not_collected() -> None:
    collector = Collector(10)
    for _ in range(9):
        collector.add(chunk({"content": "0123456789"}))
    assert collector.completion() is None
    assert not collector._choices


def test_a_long_answer_is_put_together_once() -> None:
    collector = Collector(1_000_000)
    for _ in range(1000):
        collector.add(chunk({"content": "word "}))
    (parts,) = [each["message"]["content"] for each in collector._choices.values()]
    assert len(parts) == 1000  # nothing is copied on the way
    whole = collector.completion()
    assert whole is not None
    assert whole["choices"][0]["message"]["content"] == "word " * 1000


def test_choices_stay_apart() -> None:
    def says(index: int, text: str) -> dict[str, Any]:
        return chunk({}, choices=[{"index": index, "delta": {"content": text}, "finish_reason": "stop"}])

    whole = _collected(says(1, "b"), says(0, "a"))
    assert whole is not None
    assert [one["message"]["content"] for one in whole["choices"]] == ["a", "b"]


@pytest.mark.parametrize(
    "odd",
    [
        [chunk({"audio_seed": 1}), chunk({"audio_seed": 2})],
        [chunk({"name": "a"}), chunk({"name": "b"})],
        [chunk({"annotations": [1]}), chunk({"annotations": [2]})],
        [chunk({"annotations": [1]}), chunk({"annotations": [1]})],
        [chunk({"audio": {"data": "AAAA"}}), chunk({"audio": {"data": "AAAA"}})],
        [chunk({"audio": {"transcript": "ha"}}), chunk({"audio": {"transcript": "ha"}})],
        [chunk({"reasoning_details": [{"text": "hm"}]})] * 2,
        [chunk({"thinking": "hm"})] * 2,
        [chunk({"tool_calls": [{"index": 3, **CALL}]})],
        [chunk({"tool_calls": [{"id": "no index"}]})],
        [chunk({}, choices=[{"delta": {"content": "no index"}}])],
        [chunk({}, choices=["?"])],
    ],
)
def test_what_is_not_clear_is_no_completion(odd: list[Any]) -> None:
    assert _collected(*CHUNKS[:2], *odd, *CHUNKS[2:]) is None


@pytest.mark.parametrize(
    "kept",
    [
        completion(),
        completion(
            choices=[
                {"index": 0, "message": {"role": "assistant", "content": "a"}, "finish_reason": "stop"},
                {
                    "index": 1,
                    "message": {"role": "assistant", "content": None, "tool_calls": [CALL]},
                    "logprobs": {"content": [{"token": "x", "logprob": -0.5, "top_logprobs": []}]},
                    "finish_reason": "tool_calls",
                },
            ],
            system_fingerprint="fp",
        ),
    ],
)
def test_a_completion_that_is_streamed_is_the_same_completion(kept: dict[str, Any]) -> None:
    chunks = [*chunks_of(kept)]
    for each in chunks:
        assert ChatCompletionChunk.model_validate(each).object == "chat.completion.chunk"
    whole = _collected(*chunks)
    wanted = [{"logprobs": None, **one} for one in kept["choices"]]
    rest = {name: value for name, value in kept.items() if name != "usage"}
    assert whole == {**rest, "object": "chat.completion.chunk", "choices": wanted}
