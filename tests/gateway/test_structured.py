"""JSON and tool calls by a search: how the model is told, what becomes of the answer, and of none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from gateway import schemas, translate
from gateway.errors import BadRequest
from gateway.settings import load_settings
from gateway.translate import Asked
from router.types import Outcome, Task
from tests.gateway.conftest import Start
from tests.gateway.doubles import PROBE, Delivery, ScriptedWorker, failing
from tests.gateway.upstream import UpstreamDouble, UpstreamHost

TOOL = {
    "type": "function",
    "function": {"name": "add", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}},
}
OTHER = {"type": "function", "function": {"name": "sub"}}
SCHEMA = {"type": "object", "required": ["x"]}
FORMAT = {"type": "json_schema", "json_schema": {"name": "point", "schema": SCHEMA}}
USER = {"role": "user", "content": "hello"}


def read(*messages: dict[str, Any], **fields: Any) -> Asked:
    body = {"model": "gradus", "messages": list(messages) or [USER], **fields}
    return translate.read(*schemas.parse(json.dumps(body).encode()))


def test_a_schema_is_told_in_a_system_message_and_is_the_task() -> None:
    asked = read(response_format=FORMAT)
    assert asked.query.task == Task("json", json_schema=SCHEMA)
    assert asked.query.needs == ("response_format",)
    system, user = asked.query.messages
    assert system["role"] == "system"
    assert json.dumps(SCHEMA, separators=(",", ":")) in system["content"]
    assert user == USER
    assert asked.body["messages"] == [USER]


def test_any_json_object_may_be_asked_for() -> None:
    asked = read(response_format={"type": "json_object"})
    assert asked.query.task == Task("json", json_schema={"type": "object"})


def test_what_the_system_message_says_already_stays_and_there_is_only_one() -> None:
    system = {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]}
    told, _ = read(system, USER, response_format={"type": "json_object"}).query.messages
    assert told["role"] == "system"
    assert told["content"].startswith("Be kind.\n\nAnswer with JSON")


@pytest.mark.parametrize(
    ("choice", "tools"),
    [("required", (TOOL, OTHER)), ({"type": "function", "function": {"name": "sub"}}, (OTHER,))],
)
def test_tools_that_must_be_called_are_the_task_in_the_form_of_hermes(
    choice: object, tools: tuple[object, ...]
) -> None:
    asked = read(tools=[TOOL, OTHER], tool_choice=choice)
    assert asked.query.task == Task("tools", tools=tools)  # type: ignore[arg-type]
    assert asked.query.needs == ("required tools",)
    assert asked.params == {"required tools": "tools"}
    assert '"name":"sub"' in asked.query.messages[0]["content"].partition("<tools>\n{")[2]


def test_one_call_at_a_time_is_told_and_is_the_task() -> None:
    asked = read(tools=[TOOL], tool_choice="required", parallel_tool_calls=False)
    assert asked.query.task == Task("tools", tools=(TOOL,), one_call=True)
    assert "You must call exactly one function to" in asked.query.messages[0]["content"]
    assert asked.not_honoured == ()


def test_a_format_beside_tools_that_must_be_called_is_named_as_left_out() -> None:
    asked = read(tools=[TOOL], tool_choice="required", response_format=FORMAT)
    assert asked.query.task == Task("tools", tools=(TOOL,))
    assert asked.not_honoured == ("response_format",)


@pytest.mark.parametrize("choice", [None, "auto", "none"])
def test_tools_that_may_be_called_or_not_need_a_large_model(choice: str | None) -> None:
    asked = read(tools=[TOOL], tool_choice=choice)
    assert (asked.query.needs, asked.query.task) == (("tools",), Task())
    assert asked.query.messages == (USER,)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "mul"}}}, "tool_choice"),
        ({"response_format": FORMAT, "gradus": {"task": "math"}}, "gradus.task"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": [1]}}},
            "response_format.json_schema.schema",
        ),
    ],
)
def test_what_contradicts_itself_is_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(**fields)
    assert caught.value.param == param


CONFIG = """
models:
  small:
    engine: transformers
    path: nowhere
    context_tokens: 2048
    max_tokens: 100
    honours: [json, tools]
    price: {{usd_per_million_prompt_tokens: 1, usd_per_million_completion_tokens: 2}}
  remote:
    engine: openai
    base_url: {upstream}/v1
    upstream_model: double
    max_tokens: 100
    price: {{usd_per_million_prompt_tokens: 10, usd_per_million_completion_tokens: 20}}
verifiers:
  votes: {{kind: majority}}
policies:
  default: &default
    small: small
    verifier: votes
    large: remote
    probe_samples: 0
    search_samples: 8
    min_accuracy: 0
    usd_per_right_answer: 0
  alone: {{<<: *default, large: null}}
"""
CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}


@pytest.fixture
def gateway(start: Start, tmp_path: Path, redis_url: str, upstream_host: UpstreamHost) -> str:
    path = tmp_path / "gradus.yaml"
    path.write_text(CONFIG.format(upstream=upstream_host.url))
    return start(load_settings(path, {"GRADUS_REDIS_URL": redis_url}))


def calling(delivery: Delivery) -> None:
    delivery.start()
    outcome = Outcome(
        delivery.job.id, "answered", finish_reason="tool_calls", tool_calls=(CALL,), samples=8, usage=(PROBE,)
    )
    delivery.end(outcome)


@pytest.fixture
def client(gateway: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway}/v1", api_key="any", max_retries=0, timeout=30)


FORCED: dict[str, Any] = {"tools": [TOOL], "tool_choice": "required"}


def test_chosen_tool_calls_are_calls_of_the_message(
    client: openai.OpenAI, worker: ScriptedWorker, upstream: UpstreamDouble
) -> None:
    worker.script = calling
    choice = client.chat.completions.create(model="gradus", messages=[USER], **FORCED).choices[0]  # type: ignore[list-item]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert choice.message.tool_calls is not None
    assert choice.message.tool_calls[0].model_dump() == CALL
    assert not upstream.bodies
    assert worker.jobs[0].query.task.kind == "tools"


def test_chosen_tool_calls_are_streamed_as_a_delta(client: openai.OpenAI, worker: ScriptedWorker) -> None:
    worker.script = calling
    with client.chat.completions.stream(model="gradus", messages=[USER], **FORCED) as stream:  # type: ignore[list-item]
        choice = stream.get_final_completion().choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls is not None
    assert choice.message.tool_calls[0].function.arguments == '{"a":1}'


unmet: Callable[[Delivery], None] = failing("schema_not_met", "no candidate keeps to the schema")


def test_a_search_that_meets_no_schema_is_answered_by_the_large_model(
    gateway: str, worker: ScriptedWorker, upstream: UpstreamDouble
) -> None:
    worker.script = unmet
    body = {"model": "gradus", "messages": [USER], "response_format": FORMAT}
    answer = httpx.post(f"{gateway}/v1/chat/completions", json=body).json()
    assert answer["gradus"]["model"] == "remote"
    assert "small did not keep to the schema" in answer["gradus"]["notice"]
    assert answer["gradus"]["tokens"]["escalation"] > 0
    (asked,) = upstream.bodies
    assert (asked["messages"], asked["response_format"]) == ([USER], FORMAT)


@pytest.mark.parametrize(
    ("model", "gradus"),
    [("gradus/alone", {}), ("gradus", {"strategy": "majority"}), ("small", {"budget": 4})],
)
def test_without_a_large_model_or_by_a_named_search_it_is_an_error_by_its_name(
    gateway: str, worker: ScriptedWorker, upstream: UpstreamDouble, model: str, gradus: dict[str, Any]
) -> None:
    worker.script = unmet
    body = {"model": model, "messages": [USER], "response_format": FORMAT, "gradus": gradus}
    answer = httpx.post(f"{gateway}/v1/chat/completions", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "schema_not_met")
    assert answer.json()["gradus"]["cost_usd"] is not None
    assert not upstream.bodies
