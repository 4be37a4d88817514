"""A server's stream as one completion, to keep it; and a kept completion as chunks, to stream it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic_core import to_json

_GROWS: Final = frozenset({"content", "refusal", "reasoning", "reasoning_content", "arguments", "input"})
"""Texts and lists that come in parts."""
_REPEATS: Final = frozenset(
    {"role", "id", "type", "name", "index", "finish_reason", "stop_reason", "matched_stop", "severity"}
)
"""What some servers say in every chunk. Of any other name two equal values may be two equal parts."""

_DEFLATES: Final = 8
"""More than answers do, log probabilities too: what is larger as it comes would be no entry that is kept."""


class _Unclear(Exception):
    """Nobody could say for sure what the whole is."""


class _TooLarge(Exception):
    """The whole would not be kept anyway."""


class _Text(list[str]):
    """The parts of a text, joined once at the end."""


class Collector:
    """Puts the chunks of a server together, as they go by; not of an answer too large to be kept."""

    def __init__(self, max_entry_bytes: int) -> None:
        self._left_bytes = max_entry_bytes * _DEFLATES
        self._top: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}
        self._clear = True

    def add(self, chunk: Mapping[str, Any]) -> None:
        """Never raises, and changes nothing of the chunk."""
        if self._clear:
            try:
                self._add(chunk)
            except (_Unclear, _TooLarge, TypeError, KeyError, AttributeError, IndexError):
                self._clear = False
                self._choices.clear()

    def completion(self) -> dict[str, Any] | None:
        """The whole, as if it had not been streamed; ``None`` where that is not sure, or nothing came."""
        if not self._clear or not self._choices:
            return None
        choices = [{"logprobs": None, **_joined(self._choices[index])} for index in sorted(self._choices)]
        return {**self._top, "choices": choices}

    def _add(self, chunk: Mapping[str, Any]) -> None:
        for name, value in chunk.items():
            if name != "choices" and name != "usage":
                self._top[name] = value
        for choice in chunk.get("choices") or ():
            index = choice["index"]
            whole = self._choices.get(index)
            if whole is None:
                whole = self._choices[index] = {"index": index, "message": {"role": "assistant"}}
            for name, value in choice.items():
                if name == "delta":
                    self._merge(whole["message"], value or {})
                elif value is not None and name != "index":
                    self._put(whole, name, value)

    def _merge(self, whole: dict[str, Any], part: Mapping[str, Any]) -> None:
        for name, new in part.items():
            if new is None:
                whole.setdefault(name, None)
            else:
                self._put(whole, name, new)

    def _put(self, whole: dict[str, Any], name: str, new: Any) -> None:
        """Raises :class:`_Unclear` where two values of one name do not obviously make one."""
        if name in _GROWS and isinstance(new, str):
            self._count(new)
            _begun(whole, name, _Text).append(new)
        elif name in _GROWS and isinstance(new, list):
            self._count(new)
            _begun(whole, name, list).extend(new)
        elif name == "tool_calls":
            self._call(_begun(whole, name, list), new)
        elif isinstance(new, dict):
            self._merge(_begun(whole, name, dict), new)
        elif (old := whole.get(name)) in (None, "", []):
            self._count(new)
            whole[name] = new
        elif new not in ("", []) and (new != old or not (name in _REPEATS or isinstance(new, bool))):
            raise _Unclear(name)

    def _call(self, calls: list[dict[str, Any]], more: Any) -> None:
        """Tool calls come in parts too, each under its number, in order."""
        for part in more:
            index = part["index"]
            if index == len(calls):
                calls.append({})
            self._merge(calls[index], {name: value for name, value in part.items() if name != "index"})

    def _count(self, value: object) -> None:
        self._left_bytes -= len(value.encode()) if isinstance(value, str) else len(to_json(value))
        if self._left_bytes < 0:
            raise _TooLarge


def chunks_of(completion: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A stream that says this completion: a chunk with all of each choice, then one with their ends."""
    top = {name: value for name, value in completion.items() if name not in ("choices", "usage")}
    top["object"] = "chat.completion.chunk"
    for choice in completion["choices"]:
        rest = {
            name: value for name, value in choice.items() if name not in ("index", "message", "finish_reason")
        }
        delta = dict(choice["message"])
        if delta.get("tool_calls"):
            delta["tool_calls"] = [{"index": at, **call} for at, call in enumerate(delta["tool_calls"])]
        begun = {"index": choice["index"], "finish_reason": None}
        yield {**top, "choices": [{**rest, **begun, "delta": delta}]}
    yield {
        **top,
        "choices": [
            {"index": one["index"], "delta": {}, "logprobs": None, "finish_reason": one["finish_reason"]}
            for one in completion["choices"]
        ],
    }


def _begun(whole: dict[str, Any], name: str, kind: type[Any]) -> Any:
    """What is there of it, or an empty one. Raises :class:`_Unclear` where another kind of value is there."""
    begun = whole.get(name)
    if begun is None:
        begun = whole[name] = kind()
    if type(begun) is not kind:
        raise _Unclear(name)
    return begun


def _joined(value: Any) -> Any:
    if isinstance(value, _Text):
        return "".join(value)
    if isinstance(value, dict):
        return {name: _joined(each) for name, each in value.items()}
    return [_joined(each) for each in value] if isinstance(value, list) else value
