"""A server's stream as one completion, to keep it; and a kept completion as chunks, to stream it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

_GROWS: Final = frozenset({"content", "refusal", "reasoning", "reasoning_content", "arguments"})
"""Texts that come in parts; all others come once, or the same each time."""


class _Unclear(Exception):
    """Nobody could say for sure what the whole is."""


class Collector:
    """Puts the chunks of a server together, as they go by."""

    def __init__(self) -> None:
        self._top: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}
        self._clear = True

    def add(self, chunk: Mapping[str, Any]) -> None:
        """Never raises, and changes nothing of the chunk."""
        if self._clear:
            try:
                self._add(chunk)
            except (_Unclear, TypeError, KeyError, AttributeError, IndexError):
                self._clear = False

    def completion(self) -> dict[str, Any] | None:
        """The whole, as if it had not been streamed; ``None`` where that is not sure, or nothing came."""
        if not self._clear or not self._choices:
            return None
        choices = [{"logprobs": None, **self._choices[index]} for index in sorted(self._choices)]
        return {**self._top, "choices": choices}

    def _add(self, chunk: Mapping[str, Any]) -> None:
        self._top |= {name: value for name, value in chunk.items() if name not in ("choices", "usage")}
        for choice in chunk.get("choices") or ():
            index = choice["index"]
            whole = self._choices.setdefault(index, {"index": index, "message": {"role": "assistant"}})
            _merge(whole["message"], choice.get("delta") or {})
            rest = {name: value for name, value in choice.items() if name not in ("index", "delta")}
            _merge(whole, {name: value for name, value in rest.items() if value is not None})


def chunks_of(completion: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A stream that says this completion: a chunk with all of each choice, then one with their ends."""
    top = {name: value for name, value in completion.items() if name not in ("choices", "usage")}
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


def _merge(whole: dict[str, Any], part: Mapping[str, Any]) -> None:
    """Raises :class:`_Unclear` where two values of one name do not obviously make one."""
    for name, new in part.items():
        old = whole.get(name)
        if new is None:
            whole.setdefault(name, None)
        elif old is None:
            whole[name] = _numbered(new) if name == "tool_calls" else new
        elif name == "tool_calls":
            whole[name] = _calls(old, new)
        elif isinstance(new, Mapping) and isinstance(old, Mapping):
            whole[name] = dict(old)
            _merge(whole[name], new)
        elif name in _GROWS and _add_up(old, new):
            whole[name] = old + new
        elif old == "":
            whole[name] = new
        elif new not in ("", old):
            raise _Unclear(name)


def _add_up(old: object, new: object) -> bool:
    """Texts do, and lists of log probabilities."""
    return isinstance(new, str | list) and type(old) is type(new)


def _numbered(calls: Any) -> list[dict[str, Any]]:
    return _calls([], calls)


def _calls(calls: list[dict[str, Any]], more: Any) -> list[dict[str, Any]]:
    """Tool calls come in parts too, each under its number, in order."""
    calls = [dict(call) for call in calls]
    for part in more:
        index = part["index"]
        if index == len(calls):
            calls.append({})
        _merge(calls[index], {name: value for name, value in part.items() if name != "index"})
    return calls
