"""Structured output by a search: what a request wants as JSON or as tool calls, and how a model is told.

A model behind a server gets the request's own fields. One that a worker searches on reads the same in words:
a system message with the schema, or with the tools in the form that Hermes and Qwen models were trained on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic_core import to_json

from gateway.errors import BadRequest
from router.types import Task

Message = Mapping[str, Any]

_TOOLS = """# Tools

You {may} to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{tools}
</tools>

For each function call, return a json object with function name and arguments within \
<tool_call></tool_call> XML tags:
<tool_call>
{{"name": <function-name>, "arguments": <args-json-object>}}
</tool_call>

Answer with {what} only."""
_JSON_OBJECT = "Answer with one JSON object and nothing else."
_JSON_SCHEMA = "Answer with JSON and nothing else. It must match this JSON schema:\n{schema}"


def forces_tools(body: Mapping[str, Any]) -> bool:
    """Whether the answer must be tool calls; where it only may ("auto"), candidates cannot be compared."""
    choice = body.get("tool_choice")
    return bool(body.get("tools")) and (choice == "required" or isinstance(choice, dict))


def structured_task(task: Task, body: Mapping[str, Any]) -> Task:
    """``task`` as the fields ``response_format``, ``tools`` and ``tool_choice`` of a body have it.

    Raises :class:`gateway.errors.BadRequest` where they contradict it, or each other.
    """
    if forces_tools(body):
        structured = replace(
            task,
            kind="tools",
            tools=_chosen(body["tools"], body["tool_choice"]),
            one_call=body.get("parallel_tool_calls") is False,
        )
    else:
        wanted = body.get("response_format") or {}
        if wanted.get("type") not in ("json_object", "json_schema"):
            return task
        structured = replace(task, kind="json", json_schema=_schema(wanted))
    if task.kind not in ("auto", structured.kind):
        raise BadRequest(
            f"gradus.task is {task.kind!r}, but the request's other fields want {structured.kind}; "
            "leave it out.",
            param="gradus.task",
        )
    return structured


def told(messages: Sequence[Message], task: Task) -> tuple[Message, ...]:
    """The messages, with what a structured answer should look like at the end of the system message."""
    if task.kind == "tools":
        tools = "\n".join(to_json(tool).decode() for tool in task.tools)
        may, what = ("may call one or more functions", "function calls")
        if task.one_call:
            may, what = ("must call exactly one function", "one function call")
        instruction = _TOOLS.format(tools=tools, may=may, what=what)
    elif task.kind == "json" and task.json_schema is not None:
        instruction = _JSON_SCHEMA.format(schema=to_json(task.json_schema).decode())
    elif task.kind == "json":
        instruction = _JSON_OBJECT
    else:
        return tuple(messages)
    first = messages[0]
    if first["role"] == "system" and isinstance(first["content"], str):
        joined = f"{first['content']}\n\n{instruction}" if first["content"] else instruction
        return ({**first, "content": joined}, *messages[1:])
    return ({"role": "system", "content": instruction}, *messages)


def _schema(response_format: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if response_format["type"] == "json_object":
        return {"type": "object"}
    named = response_format.get("json_schema")
    schema = named.get("schema") if isinstance(named, dict) else None
    if schema is not None and not isinstance(schema, dict):
        raise BadRequest(
            "Invalid 'response_format.json_schema.schema': should be an object, a JSON schema.",
            param="response_format.json_schema.schema",
        )
    return schema


def _chosen(tools: Sequence[Message], choice: object) -> tuple[Message, ...]:
    """All tools, or the one that ``tool_choice`` names."""
    if not isinstance(choice, dict):
        return tuple(tools)
    function = choice.get("function")
    name = function.get("name") if isinstance(function, dict) else None
    chosen = tuple(tool for tool in tools if _name(tool) == name)
    if not chosen:
        raise BadRequest(
            f"tool_choice names the function {name!r}, which is not in tools; there are "
            f"{', '.join(map(str, map(_name, tools)))}.",
            param="tool_choice",
        )
    return chosen


def _name(tool: Message) -> Any:
    function = tool.get("function")
    return function.get("name") if isinstance(function, dict) else None
