"""Answers that are tool calls: read from what models write, and voted on argument by argument."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any

from workers.answers.allowance import Allowance
from workers.answers.grouping import LONGEST_TEXT, once_a_text, relabel
from workers.answers.json_text import NotJson, last_fenced, read_json, spell_json
from workers.answers.schemas import check_schema, fits_schema
from workers.errors import InvalidTask

_TAGGED = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)
_MISTRAL = "[TOOL_CALLS]"
_LLAMA = "<|python_tag|>"
_ABSENT = ""
"""Stands for an argument that a call leaves out; no JSON text is empty."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of the function ``name``; ``arguments`` by their names, as JSON values."""

    name: str
    arguments: Mapping[str, Any]


def parse_tool_calls(text: str) -> tuple[ToolCall, ...]:
    """The tool calls of a turn, in order; none where it calls no tool, or one of its calls is malformed.

    Reads ``<tool_call>{"name": ..., "arguments": {...}}</tool_call>`` (Hermes, Qwen; several are parallel
    calls), ``[TOOL_CALLS] [{...}, ...]`` (Mistral), and a turn that is nothing but the JSON of a call or of a
    list of calls, fenced or not, with "parameters" for "arguments" if it likes (Llama 3).
    """
    try:
        return tuple(map(_call, _written_calls(text[-LONGEST_TEXT:])))
    except NotJson:
        return ()


def _written_calls(text: str) -> list[Any]:
    if tagged := _TAGGED.findall(text):
        return [read_json(one) for one in tagged]
    if _MISTRAL in text:
        return _as_list(read_json(text.partition(_MISTRAL)[2].removesuffix("</s>")))
    bare = text.strip().removeprefix(_LLAMA)
    return _as_list(read_json(last_fenced(bare) or bare))


def _as_list(calls: Any) -> list[Any]:
    return calls if isinstance(calls, list) else [calls]


def _call(written: Any) -> ToolCall:
    if not isinstance(written, dict) or not isinstance(written.get("name"), str):
        raise NotJson("a tool call is an object with a name")
    arguments = written.get("arguments", written.get("parameters", {}))
    if isinstance(arguments, str):  # the way OpenAI spells them
        arguments = read_json(arguments)
    if not isinstance(arguments, dict):
        raise NotJson(f"the arguments of {written['name']} are no object")
    return ToolCall(written["name"], arguments)


class ToolAnswers:
    """Answers are canonical JSON lists of ``{"arguments": {...}, "name": ...}``.

    A call of a tool that the task does not have, or with arguments that break its schema, is no answer; nor
    are several where it wants ``one_call``.
    Raises :class:`workers.errors.InvalidTask`.
    """

    is_exact = True

    def __init__(self, tools: Sequence[Mapping[str, Any]], allowance: Allowance, *, one_call: bool) -> None:
        if not tools:
            raise InvalidTask('a task of the kind "tools" needs tools, as in an OpenAI request')
        self._parameters = dict(map(_declared, tools))
        self._allowance = allowance
        self._one_call = one_call
        self._fitting: dict[tuple[str, str], bool] = {}
        self.extract = once_a_text(self._read)

    def _read(self, text: str) -> str | None:
        calls = parse_tool_calls(text)
        too_many = self._one_call and len(calls) > 1
        if not calls or too_many or not all(map(self._is_allowed, calls)):
            return None
        return spell_json([{"name": call.name, "arguments": call.arguments} for call in calls])

    def classes(self, answers: Sequence[str]) -> Sequence[int]:
        return relabel(answers)

    def support(self, answers: Sequence[str], weights: Sequence[float]) -> Sequence[float]:
        """The mean, over the names and every argument, of the weight that agrees.

        Compared are the answers that call the same functions in the same order. Their slots are the sequence
        of names and every argument that one of them gives; to leave an argument out is a value as well. With
        w(a, s) the summed weight of the answers that have what a has in slot s, support(a) is the mean of
        w(a, s) over the slots. So a free text that everybody words differently costs all calls alike, and
        the winner is a call that somebody made.
        """
        calls = [_Slots.of(answer) for answer in answers]
        support = [0.0] * len(answers)
        for names in dict.fromkeys(one.names for one in calls):
            group = [index for index, one in enumerate(calls) if one.names == names]
            slots = sorted({slot for index in group for slot in calls[index].values})
            whole = fsum(weights[index] for index in group)
            agreeing: dict[tuple[Any, str], list[float]] = {}
            for index in group:
                for slot in slots:
                    agreeing.setdefault((slot, calls[index].value(slot)), []).append(weights[index])
            summed = {key: fsum(own) for key, own in agreeing.items()}
            for index in group:
                agreed = [summed[slot, calls[index].value(slot)] for slot in slots]
                support[index] = fsum([whole, *agreed]) / (1 + len(slots))
        return support

    def _is_allowed(self, call: ToolCall) -> bool:
        if call.name not in self._parameters:
            return False
        parameters = self._parameters[call.name]
        if parameters is None:
            return True
        said = (call.name, spell_json(call.arguments))
        if said not in self._fitting:
            self._fitting[said] = fits_schema(call.arguments, parameters, self._allowance)
        return self._fitting[said]


@dataclass(frozen=True, slots=True)
class _Slots:
    """An answer's names, and the JSON of each argument by (index of the call, name of the argument)."""

    names: tuple[str, ...]
    values: Mapping[tuple[int, str], str]

    @classmethod
    def of(cls, answer: str) -> _Slots:
        calls = json.loads(answer)
        values = {
            (index, name): spell_json(value)
            for index, call in enumerate(calls)
            for name, value in call["arguments"].items()
        }
        return cls(tuple(call["name"] for call in calls), values)

    def value(self, slot: tuple[int, str]) -> str:
        return self.values.get(slot, _ABSENT)


def _declared(tool: Mapping[str, Any]) -> tuple[str, Mapping[str, Any] | None]:
    function = tool.get("function", tool)
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise InvalidTask(f"a tool needs a function with a name: {json.dumps(tool, default=str)[:200]}")
    name, parameters = function["name"], function.get("parameters")
    if parameters is not None:
        if not isinstance(parameters, Mapping):
            raise InvalidTask(f"the parameters of the tool {name} are no JSON schema")
        check_schema(parameters, f"the parameters of the tool {name}")
    return name, parameters
