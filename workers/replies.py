"""From a search's winner to what the client gets: text without thinking, JSON that parses, tool calls."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from router.types import Outcome, Task
from workers.answers import ToolCall, parse_tool_calls
from workers.errors import SchemaNotMet
from workers.protocols import OnText, SearchResult
from workers.steps import Steps


def answered(so_far: Outcome, task: Task, steps: Steps, result: SearchResult) -> Outcome:
    """The outcome with the winner's answer.

    Raises :class:`SchemaNotMet` where no candidate is what the task demands: better no answer than one that
    the client cannot read.
    """
    best = result.best
    outcome = replace(
        so_far,
        status="answered",
        text=steps.answer(best.text),
        finish_reason=best.finish_reason,
        samples=len(result.candidates),
        confidence=result.confidence,
    )
    if task.kind not in ("json", "tools"):
        return outcome
    if best.answer is None:
        raise _not_met(task, result)
    if task.kind == "json":
        return outcome if _is_json(outcome.text) else replace(outcome, text=best.answer)
    calls = enumerate(parse_tool_calls(outcome.text))
    return replace(
        outcome,
        text="",
        finish_reason="tool_calls",
        tool_calls=tuple(_tool_call(f"call_{so_far.job_id}_{at}", call) for at, call in calls),
    )


def streamed(steps: Steps, send: Callable[[str], None]) -> OnText:
    """Sends the answer as it is written, and nothing of the thinking before it."""
    written, sent = "", 0

    def on_text(_index: int, text: str) -> None:
        nonlocal written, sent
        written += text
        new = steps.answer_so_far(written)[sent:]
        if new:
            sent += len(new)
            send(new)

    return on_text


def thought_only(steps: Steps, result: SearchResult, max_tokens: int) -> list[str]:
    """The notice where the limit of tokens cut off every candidate before its answer began, else none."""
    if any(one.finish_reason != "length" or steps.answer(one.text).strip() for one in result.candidates):
        return []
    thought = len(result.candidates)
    return [
        f"none of {thought} candidates came to the end of its thinking within max_tokens {max_tokens}: there "
        "is no answer to show"
    ]


def _not_met(task: Task, result: SearchResult) -> SchemaNotMet:
    demanded = "tools" if task.kind == "tools" else "JSON schema" if task.json_schema else "demand for JSON"
    tried = len(result.candidates)
    cut_off = sum(one.finish_reason == "length" for one in result.candidates)
    return SchemaNotMet(
        f"none of {tried} candidates keeps to the request's {demanded}"
        + (f"; {cut_off} of them reached the limit of tokens" if cut_off else "")
    )


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _tool_call(name: str, call: ToolCall) -> Mapping[str, Any]:
    """As OpenAI writes it."""
    arguments = json.dumps(call.arguments, ensure_ascii=False)
    return {"id": name, "type": "function", "function": {"name": call.name, "arguments": arguments}}
