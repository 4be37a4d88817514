"""What a client gets of a search's winner: no thinking, JSON that parses, tool calls, or a named failure."""

from __future__ import annotations

import json
from typing import Any

import pytest

from router.config import ThinkingMarks
from router.types import Outcome, StrategySpec, Task
from router.wire import Event, dump_outcome, load_outcome
from tests.workers.jobs import alternative, direct_plan, job, judge, model, probing_plan
from workers.engines.scripted import ScriptedEngine
from workers.executor import run
from workers.protocols import Cancellation

SCHEMA = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}
ADD: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "add",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
    },
}
CALL = '<tool_call>{"name": "add", "arguments": {"a": 3}}</tool_call>'
SEARCH = probing_plan(alternative(StrategySpec("best_of_n_weighted", samples=4)))


def play(
    *turns: str,
    plan: Any = SEARCH,
    task: Task | None = None,
    stream: bool = False,
    thinking: ThinkingMarks | None = None,
    max_tokens: int = 64,
) -> tuple[Outcome, list[Event]]:
    events: list[Event] = []
    outcome = run(
        job(plan, task=task, stream=stream),
        {"tiny": model(ScriptedEngine(turns), thinking=thinking, max_tokens=max_tokens)},
        {"judge": judge(lambda text: 0.9 if "9" in text else 0.3)},
        events.append,
        Cancellation(),
    )
    assert load_outcome(dump_outcome(outcome)) == outcome
    return outcome, [event for event in events if event.type == "text"]


def test_tool_calls_are_openais_objects() -> None:
    outcome, _ = play(CALL, task=Task("tools", tools=(ADD,)))
    assert (outcome.status, outcome.text, outcome.finish_reason) == ("answered", "", "tool_calls")
    (call,) = outcome.tool_calls
    assert call["id"].startswith("call_")
    assert call["type"] == "function"
    assert call["function"]["name"] == "add"
    assert json.loads(call["function"]["arguments"]) == {"a": 3}


def test_parallel_calls_have_ids_of_their_own() -> None:
    outcome, _ = play(CALL + CALL.replace("3", "4"), task=Task("tools", tools=(ADD,)))
    assert len({call["id"] for call in outcome.tool_calls}) == 2


def test_a_call_that_breaks_the_tools_schema_loses_before_any_score_is_looked_at() -> None:
    broken = CALL.replace("3", '"9"')
    outcome, _ = play(broken, broken, broken, CALL, task=Task("tools", tools=(ADD,)))
    assert json.loads(outcome.tool_calls[0]["function"]["arguments"]) == {"a": 3}


@pytest.mark.parametrize(
    ("task", "demanded"),
    [
        (Task("tools", tools=(ADD,)), "tools"),
        (Task("json", json_schema=SCHEMA), "JSON schema"),
        (Task("json"), "demand for JSON"),
    ],
)
@pytest.mark.parametrize("plan", [SEARCH, direct_plan()])
def test_where_no_candidate_keeps_to_the_schema_the_job_fails_by_name(
    task: Task, demanded: str, plan: Any
) -> None:
    outcome, _ = play("I would rather talk.", plan=plan, task=task)
    assert outcome.failure is not None
    assert outcome.failure.code == "schema_not_met"
    assert f"keeps to the request's {demanded}" in outcome.failure.message
    assert outcome.usage


def test_an_answer_cut_off_for_its_length_is_named_as_a_cause() -> None:
    outcome, _ = play('{"sum": 1, "why": "a b c d e f"}', task=Task("json"), max_tokens=3)
    assert outcome.failure is not None
    assert "4 of them reached the limit of tokens" in outcome.failure.message


def test_json_is_given_as_it_was_written_but_without_what_is_around_it() -> None:
    task = Task("json", json_schema=SCHEMA)
    assert play('{ "sum": 7 }', task=task)[0].text == '{ "sum": 7 }'
    fenced = play('Here it is:\n```json\n{"sum": 7}\n```', task=task)[0]
    assert json.loads(fenced.text) == {"sum": 7}


def test_json_that_breaks_the_schema_loses_to_json_that_does_not() -> None:
    outcome, _ = play('{"sum": "9"}', '{"sum": 7}', task=Task("json", json_schema=SCHEMA))
    assert outcome.text == '{"sum": 7}'


@pytest.mark.parametrize("stream", [True, False])
def test_thinking_is_neither_sent_nor_streamed(stream: bool) -> None:
    turn = "<think>\nIs it 7?\nYes.\n</think>\n\nThe answer is 7."
    outcome, texts = play(turn, plan=direct_plan(), stream=stream, thinking=ThinkingMarks())
    assert outcome.text == "The answer is 7."
    assert "".join(event.data["text"] for event in texts) == ("The answer is 7." if stream else "")
    assert outcome.usage[0].reasoning_tokens > 0


@pytest.mark.parametrize(("plan", "tried"), [(direct_plan(), 1), (SEARCH, 4)])
def test_a_client_is_told_where_nothing_came_to_the_end_of_its_thinking(plan: Any, tried: int) -> None:
    outcome, _ = play("<think>so it goes on", plan=plan, thinking=ThinkingMarks(), max_tokens=4)
    assert (outcome.status, outcome.text, outcome.finish_reason) == ("answered", "", "length")
    assert f"none of {tried} candidates came to the end of its thinking within max_tokens 4" in str(
        outcome.notice
    )


def test_nothing_is_said_where_one_came_to_an_answer() -> None:
    turns = ["<think>so it goes on"] * 3 + ["<think></think>7"]
    outcome, _ = play(*turns, thinking=ThinkingMarks(), max_tokens=4)
    assert (outcome.text, outcome.notice) == ("7", None)


def test_tool_calls_are_not_streamed_as_text() -> None:
    outcome, texts = play(CALL, plan=direct_plan(), stream=True, task=Task("tools", tools=(ADD,)))
    assert outcome.tool_calls
    assert texts == []


def test_a_task_that_makes_no_sense_is_refused_by_name() -> None:
    outcome, _ = play(CALL, task=Task("tools"))
    assert outcome.failure is not None
    assert outcome.failure.code == "invalid_task"
