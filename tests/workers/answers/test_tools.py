"""Tool calls: read from every common spelling, held to their schemas, voted on argument by argument."""

from __future__ import annotations

import json
from typing import Any

import pytest

from router.types import Task
from workers.answers import ToolCall, answers_for, parse_tool_calls
from workers.errors import InvalidTask

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["C", "F"]}, "why": {}},
            "required": ["city"],
        },
    },
}
NOW = {"type": "function", "function": {"name": "now"}}
TOOLS = answers_for(Task("tools", tools=(WEATHER, NOW)))
PARIS = '{"name": "weather", "arguments": {"city": "Paris"}}'


def call(**arguments: Any) -> str:
    answer = TOOLS.extract(json.dumps({"name": "weather", "arguments": arguments}))
    assert answer is not None
    return answer


@pytest.mark.parametrize(
    "text",
    [
        f"<tool_call>\n{PARIS}\n</tool_call>",
        f"I shall look.\n<tool_call>{PARIS}</tool_call>",
        f"<tool_call>{PARIS}",  # the end was a stop token
        '{"name": "weather", "parameters": {"city": "Paris"}}',
        '<|python_tag|>{"name": "weather", "parameters": {"city": "Paris"}}',
        f"[TOOL_CALLS] [{PARIS}]",
        f"[TOOL_CALLS][{PARIS}]</s>",
        f"```json\n{PARIS}\n```",
        '{"name": "weather", "arguments": "{\\"city\\": \\"Paris\\"}"}',
    ],
)
def test_a_call_is_read_however_it_is_written(text: str) -> None:
    assert parse_tool_calls(text) == (ToolCall("weather", {"city": "Paris"}),)
    assert TOOLS.extract(text) == '[{"arguments":{"city":"Paris"},"name":"weather"}]'


def test_where_one_call_is_wanted_several_are_no_answer() -> None:
    one_call = answers_for(Task("tools", tools=(WEATHER, NOW), one_call=True))
    assert one_call.extract(PARIS) == TOOLS.extract(PARIS)
    assert one_call.extract(f"<tool_call>{PARIS}</tool_call><tool_call>{PARIS}</tool_call>") is None


def test_calls_side_by_side_keep_their_order() -> None:
    text = f'<tool_call>{PARIS}</tool_call>\n<tool_call>{{"name": "now"}}</tool_call>'

    assert [one.name for one in parse_tool_calls(text)] == ["weather", "now"]
    answer = TOOLS.extract(text)
    assert answer is not None
    assert TOOLS.extract(answer) == answer


@pytest.mark.parametrize(
    "text",
    [
        "It is sunny in Paris.",
        '{"name": "climate", "arguments": {}}',
        '{"name": "weather", "arguments": {"city": 3}}',
        '{"name": "weather", "arguments": {}}',
        '{"name": "weather", "arguments": ["Paris"]}',
        '{"city": "Paris"}',
        "[]",
        f"<tool_call>{PARIS}</tool_call><tool_call>{{oops</tool_call>",
        f'<tool_call>{PARIS}</tool_call><tool_call>{{"name": "climate"}}</tool_call>',
        "[TOOL_CALLS] weather(Paris)",
        "",
    ],
)
def test_what_is_no_allowed_call_is_no_answer(text: str) -> None:
    assert TOOLS.extract(text) is None


def test_a_free_text_argument_does_not_split_the_vote() -> None:
    answers = [
        call(city="Rome", why="same"),
        call(city="Paris", why="the user asked"),
        call(city="Paris", why="to know"),
        call(city="Rome", why="same"),
        call(city="Paris", why="it was asked"),
    ]

    support = TOOLS.support(answers, [1.0] * 5)

    assert support == pytest.approx([(5 + 2 + 2) / 3, (5 + 3 + 1) / 3, 3, (5 + 2 + 2) / 3, 3])
    assert TOOLS.support(answers, [1, 1, 1, 1, 2])[4] == max(TOOLS.support(answers, [1, 1, 1, 1, 2]))


def test_leaving_an_argument_out_is_a_value_too() -> None:
    bare, full = call(city="Paris"), call(city="Paris", unit="C")

    support = TOOLS.support([bare, full, full], [1.0, 1.0, 1.0])

    assert support == pytest.approx([(3 + 3 + 1) / 3, (3 + 3 + 2) / 3, (3 + 3 + 2) / 3])


def test_calls_of_other_functions_do_not_back_each_other() -> None:
    now = TOOLS.extract('{"name": "now"}')
    assert now is not None
    both = TOOLS.extract(f'<tool_call>{PARIS}</tool_call><tool_call>{{"name": "now"}}</tool_call>')
    assert both is not None

    support = TOOLS.support([now, call(city="Paris"), now, both], [0.5, 1.0, 0.25, 2.0])

    assert support == pytest.approx([0.75, 1.0, 0.75, 2.0])


def test_equal_calls_have_all_the_weight_and_one_class() -> None:
    answers = [call(city="Paris", unit="C"), call(unit="C", city="Paris")]

    assert TOOLS.classes(answers) == (0, 0)
    assert TOOLS.support(answers, [0.25, 0.5]) == pytest.approx([0.75, 0.75])


@pytest.mark.parametrize(
    ("tools", "complaint"),
    [
        ((), "needs tools"),
        (({"type": "function"},), "function with a name"),
        (({"function": {"name": "f", "parameters": {"type": "objekt"}}},), "tool f"),
        (({"function": {"name": "f", "parameters": "none"}},), "tool f"),
    ],
)
def test_tools_that_cannot_be_used_are_refused_by_name(tools: Any, complaint: str) -> None:
    with pytest.raises(InvalidTask, match=complaint):
        answers_for(Task("tools", tools=tools))
