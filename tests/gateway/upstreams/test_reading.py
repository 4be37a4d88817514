"""Usage in every form that servers give it, and what stands in for it where they give none."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.upstreams.reading import Calls, Reading
from gateway.upstreams.tokens import by_bytes

CHAT = {"prompt_tokens": 5, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 2}}
RESPONSE = {
    "input_tokens": 5,
    "output_tokens": 7,
    "input_tokens_details": {"cached_tokens": 2},
    "output_tokens_details": {"reasoning_tokens": 3},
}
# xAI's: what was thought is beside what was written. Gemini's servers say the total only.
THOUGHT_BESIDE = {
    "prompt_tokens": 5,
    "completion_tokens": 7,
    "total_tokens": 212,
    "completion_tokens_details": {"reasoning_tokens": 200},
}


def reading(**body: Any) -> Reading:
    return Reading("big", body, len)


def counts_of(call: Reading) -> tuple[int, int]:
    """Prompt and completion tokens."""
    line = call.usage("direct")
    return line.prompt_tokens, line.completion_tokens


@pytest.mark.parametrize(
    ("answer", "counts"),
    [
        ({"choices": [{}], "usage": CHAT}, (5, 7, 2, 0)),
        ({"choices": [], "usage": CHAT}, (5, 7, 2, 0)),
        ({"output": [], "usage": RESPONSE}, (5, 7, 2, 3)),
        ({"type": "response.completed", "response": {"usage": RESPONSE}}, (5, 7, 2, 3)),
        ({"object": "list", "data": [], "usage": {"prompt_tokens": 5, "total_tokens": 5}}, (5, 0, 0, 0)),
        ({"choices": [{}], "usage": THOUGHT_BESIDE}, (5, 207, 0, 200)),
        ({"choices": [{}], "usage": {**CHAT, "total_tokens": 300}}, (5, 295, 2, 0)),
        ({"choices": [{}], "usage": {**CHAT, "total_tokens": 0}}, (5, 7, 2, 0)),
    ],
)
def test_what_a_server_reports_is_what_counts(answer: dict[str, Any], counts: tuple[int, ...]) -> None:
    call = reading()
    call.see(answer)
    line = call.usage("direct")
    found = (line.prompt_tokens, line.completion_tokens, line.cached_prompt_tokens, line.reasoning_tokens)
    assert (found, call.estimated, call.counted) == (counts, False, True)


@pytest.mark.parametrize(
    "usage",
    [
        None,
        [],
        3,
        {},
        {"prompt_tokens": -1},
        {"prompt_tokens": "5"},
        {"prompt_tokens": True},
        {"prompt_tokens": 5, "completion_tokens": -7},
        {"input_tokens": 5},
    ],
)
def test_usage_that_is_none_is_not_taken_for_it(usage: object) -> None:
    call = reading(prompt="12345")
    call.see({"choices": [{"text": "abc"}], "usage": usage})
    assert (call.estimated, counts_of(call)) == (True, (5, 3))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"messages": [{"content": "abc"}, {"content": [{"type": "text", "text": "d"}, {"x": 1}]}]}, "abcd"),
        ({"messages": [{"content": None, "tool_calls": [1]}], "tools": [{}]}, "[1][{}]"),
        ({"prompt": ["ab", "c"]}, '["ab","c"]'),
        ({"input": "abc", "instructions": "d"}, "abcd"),
    ],
)
def test_what_is_read_is_counted_where_nothing_is_reported(body: dict[str, Any], text: str) -> None:
    assert counts_of(reading(**body)) == (len(text), 0)


@pytest.mark.parametrize(
    ("answers", "text"),
    [
        ([{"choices": [{"delta": {"content": "ab", "reasoning_content": "c"}}]}, {"choices": []}], "abc"),
        ([{"choices": [{"message": {"content": "a"}}, {"message": {"content": "b"}}]}], "ab"),
        ([{"choices": [{"delta": {"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}}]}], "f{}"),
        ([{"choices": [{"delta": {"function_call": {"name": "f"}}}]}], "f"),
        ([{"choices": [{"delta": {"reasoning": "ab"}}, {"delta": {"refusal": "c"}}]}], "abc"),
        ([{"choices": [{"delta": {"thinking": "ab"}}]}], "ab"),
        ([{"choices": [{"delta": {"reasoning": "ab", "reasoning_content": "ab"}}]}], "ab"),
        ([{"choices": [{"text": "a"}]}, {"choices": [{"text": "b"}]}], "ab"),
        ([{"type": "response.output_text.delta", "delta": "ab"}, {"type": "response.created"}], "ab"),
        ([{"output": [{"content": [{"text": "ab"}]}]}], "ab"),
    ],
)
def test_what_is_written_is_counted_where_nothing_is_reported(
    answers: list[dict[str, Any]], text: str
) -> None:
    call = reading()
    for answer in answers:
        call.see(answer)
    assert counts_of(call) == (0, len(text))


ZEROS = {"prompt_tokens": 0, "completion_tokens": 0}
FIRST = {"prompt_tokens": 9, "completion_tokens": 0}


@pytest.mark.parametrize(
    ("answers", "counts"),
    [
        ([{"choices": [{"message": {"content": "abc"}}], "usage": ZEROS}], (5, 3)),
        ([{"choices": [{"message": {"content": "abc"}}], "usage": {"prompt_tokens": 9}}], (9, 3)),
        (
            [{"choices": [{"delta": {}}], "usage": FIRST}, {"choices": [{"delta": {"content": "abc"}}]}],
            (9, 3),
        ),
        ([{"choices": [{"delta": {"content": "abc"}, "finish_reason": None}], "usage": CHAT}], (5, 7)),
    ],
)
def test_usage_of_zeros_of_a_part_or_from_before_the_end_is_no_less_than_what_was_heard(
    answers: list[dict[str, Any]], counts: tuple[int, int]
) -> None:
    call = reading(prompt="12345")
    for answer in answers:
        call.see(answer)
    assert (call.estimated, counts_of(call)) == (True, counts)


@pytest.mark.parametrize(
    ("body", "counted"),
    [
        ({}, (True, False)),  # of a model that does not think by itself, and of one that does
        ({"reasoning_effort": None}, (True, False)),
        ({"reasoning_effort": "none"}, (True, True)),
        ({"reasoning_effort": "minimal"}, (False, False)),
        ({"reasoning": {"effort": "none"}}, (True, True)),
        ({"reasoning": {"enabled": False}}, (True, True)),
        ({"reasoning": {"max_tokens": 100}}, (False, False)),
        ({"thinking": {"type": "disabled"}}, (True, True)),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, (False, False)),
        ({"reasoning_effort": "none", "thinking": {"type": "enabled"}}, (False, False)),
    ],
)
@pytest.mark.parametrize("whole", [False, True])
def test_what_was_heard_of_an_answer_without_usage_is_all_of_it_unless_its_model_thought(
    body: dict[str, Any], counted: tuple[bool, bool], whole: bool
) -> None:
    calls = [Reading("big", body, len, thinks=thinks) for thinks in (False, True)]
    for call in calls:
        call.see({"choices": [{"delta": {"content": "ab"}}]})
        call.whole = whole
    assert tuple(call.counted for call in calls) == counted


def test_what_a_server_counted_is_known_though_its_model_thought() -> None:
    call = Reading("big", {}, len, thinks=True)
    call.see({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 9}})
    assert (call.counted, counts_of(call)) == (True, (1, 9))


def test_a_stream_that_was_cut_before_its_first_word_costs_its_prompt() -> None:
    call = reading(prompt="12345")
    call.see({"choices": [{"delta": {"role": "assistant", "content": ""}}]})
    assert (call.counted, counts_of(call)) == (True, (5, 0))


def test_bytes_stand_in_for_tokens_in_every_script() -> None:
    assert (by_bytes(""), by_bytes("four"), by_bytes("fives"), by_bytes("三加四")) == (0, 1, 2, 3)


def test_under_a_cap_a_call_that_went_out_and_was_not_refused_is_the_last() -> None:
    refused, open_ = reading(), reading()
    refused.send()
    refused.refuse()
    open_.send()
    assert Calls(once=True, made=[refused]).may_go_on
    assert not Calls(once=True, made=[refused, open_]).may_go_on
    assert Calls(once=False, made=[refused, open_]).may_go_on
