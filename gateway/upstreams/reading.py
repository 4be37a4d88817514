"""What calls of servers consume: what the server reports, else an estimate of what was read and written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic_core import to_json

from cost_model.usage import Purpose, Usage
from gateway.upstreams.port import Json

_PIECES: Final = 256
"""A text in pieces of a token each takes many times its length."""
# What a model reads besides the messages, in the fields of all endpoints.
_READ: Final = ("tools", "functions", "prompt", "suffix", "input", "instructions")

_RESPONSE_ENDS: Final = ("response.completed", "response.incomplete", "response.failed")

# What a model wrote is in these fields of a message; some servers say the same thoughts by two names.
_TEXTS: Final = frozenset({"content", "refusal", "text"})
_THOUGHTS: Final = frozenset({"reasoning_content", "reasoning", "thinking"})
_ASK_TO_THINK: Final = ("reasoning_effort", "reasoning", "thinking")


class Reading:
    """One call of a server. ``model`` is the configured name, ``count`` counts the tokens of a text.

    ``thinks``: whether the model thinks where the request does not say.

    ``sent``: it may cost something; ``opened``: an answer began; ``whole``: it is there.
    """

    def __init__(
        self, model: str, body: Mapping[str, Any], count: Callable[[str], int], *, thinks: bool = False
    ) -> None:
        self.model = model
        self.sent = self.opened = self.whole = False
        self.seconds = 0.0
        self._usage: Mapping[str, Any] = {}
        self._ended = self._overtaken = self._writes = False
        self._body = body
        self._count = count
        self._thinks = thinks
        self._written: list[str] = []

    def send(self) -> None:
        """Note that the request has gone out."""
        self.sent = True

    def refuse(self) -> None:
        """Note that the server refused: unless an answer had begun, that consumed nothing."""
        self.sent = self.opened

    def see(self, answer: Json) -> None:
        """Note an answer or a chunk of one."""
        usage = answer.get("usage")
        choices = answer.get("choices")
        heard = len(self._written)
        if choices:
            self._writes = True
            for choice in choices:
                _hear(choice, self._written)
        elif choices is not None:
            self._writes = True
        elif "type" in answer or "output" in answer:
            self._writes = True
            usage = usage or (answer.get("response") or {}).get("usage")
            if answer.get("type", "").endswith(".delta") and isinstance(answer.get("delta"), str):
                self._written.append(answer["delta"])
            elif "type" not in answer:
                self._written += _strings(answer["output"])
        if usage := _as_chats_have_it(usage):
            self._usage, self._ended, self._overtaken = usage, _ends(answer), False
        elif self._usage and any(self._written[heard:]):
            self._overtaken = True
        self.opened = True
        if len(self._written) > _PIECES:
            self._written = ["".join(self._written)]

    @property
    def reported(self) -> Mapping[str, Any]:
        """Usage as OpenAI's chats have it, however the server's endpoint calls it; empty where it cannot be.

        That is: usage of a part, zeros beside a text, or in a stream what came before its end.
        """
        usage = self._usage
        if not usage.get("prompt_tokens") or self._overtaken or not (self._ended or self.whole):
            return {}
        written = usage.get("completion_tokens")
        if self._writes and (written is None or (written == 0 and any(self._written))):
            return {}
        return usage

    @property
    def counted(self) -> bool:
        """Whether what was consumed is known, at least nearly.

        Where the server does not say, that is what was heard of the answer, whole or cut, unless its model
        thought: servers bill thoughts that they do not send.
        """
        if self.reported:
            return True
        return (self.whole or bool(self._written)) and not _thinks(self._body, self._thinks)

    @property
    def estimated(self) -> bool:
        return not self.reported

    @property
    def cache_write_tokens(self) -> int:
        """Prompt tokens that the server says it wrote to its cache: providers sell that dearer."""
        details = self.reported.get("prompt_tokens_details")
        if not isinstance(details, dict):
            return 0
        return _count_in(details, "cache_write_tokens") or _count_in(details, "cache_creation_tokens")

    def usage(self, purpose: Purpose) -> Usage:
        """What it consumed, as a line of a bill: as the server reports it, else estimated."""
        reported = self.reported
        counts = reported or self._usage
        prompt, completion = _count_in(counts, "prompt_tokens"), _count_in(counts, "completion_tokens")
        if not reported:
            prompt = max(prompt, self._count("".join(_read(self._body))))
            completion = max(completion, self._count("".join(self._written)))
        return Usage(
            purpose,
            self.model,
            1,
            prompt,
            completion,
            _detail(reported, "prompt_tokens_details", "cached_tokens"),
            _detail(reported, "completion_tokens_details", "reasoning_tokens"),
            self.seconds,
        )


@dataclass(slots=True)
class Calls:
    """The calls that one request took, in order: retries, other deployments, fallbacks, and who answered.

    ``once``: what was reserved pays for one answer. So no call follows one that may have to be paid although
    nothing came of it (it went out, and broke off or timed out). ``why_others``: why fallbacks were asked.
    """

    once: bool = False
    why_others: str | None = None
    made: list[Reading] = field(default_factory=list)

    @property
    def answer(self) -> Reading | None:
        """Of what was asked last, if it began to answer."""
        return self.made[-1] if self.made and self.made[-1].opened else None

    @property
    def may_go_on(self) -> bool:
        return not (self.once and any(reading.sent for reading in self.made))


def _as_chats_have_it(usage: object) -> Mapping[str, Any] | None:
    """``None`` for what is no usage object; responses call prompt and completion input and output.

    A total above their sum counts thoughts (xAI's, Gemini's), which are billed as what was written.
    """
    if not isinstance(usage, dict):
        return None
    if _is_count(usage.get("prompt_tokens")):
        written = usage.get("completion_tokens") or 0
        if not _is_count(written):
            return None
        most = _count_in(usage, "total_tokens") - usage["prompt_tokens"]
        return {**usage, "completion_tokens": most} if most > written else usage
    if not (_is_count(usage.get("input_tokens")) and _is_count(usage.get("output_tokens"))):
        return None
    return {
        "prompt_tokens": usage["input_tokens"],
        "completion_tokens": usage["output_tokens"],
        "prompt_tokens_details": usage.get("input_tokens_details"),
        "completion_tokens_details": usage.get("output_tokens_details"),
    }


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _count_in(usage: Mapping[str, Any], name: str) -> int:
    count = usage.get(name)
    return count if isinstance(count, int) and _is_count(count) else 0


def _detail(usage: Mapping[str, Any], of: str, name: str) -> int:
    details = usage.get(of)
    return _count_in(details, name) if isinstance(details, dict) else 0


def _ends(answer: Json) -> bool:
    """Whether usage in it is of all that was written, as far as one event can say."""
    if "choices" not in answer:
        return answer.get("type") in (None, *_RESPONSE_ENDS)
    return not any(
        choice.get("finish_reason") is None and ("delta" in choice or "finish_reason" in choice)
        for choice in answer["choices"] or ()
    )


def _hear(choice: Mapping[str, Any], written: list[str]) -> None:
    """Add what a model wrote into a choice: text, thinking, and the names and arguments of calls."""
    said = choice.get("delta") or choice.get("message") or choice
    thought = None
    for name, value in said.items():
        if name in _TEXTS:
            if isinstance(value, str):
                written.append(value)  # an empty one too: the answer began
        elif not value:
            continue
        elif name in _THOUGHTS:
            thought = thought or (value if isinstance(value, str) else None)
        elif name == "tool_calls":
            for call in value:
                written += _strings(call.get("function") or call.get("custom") or {})
        elif name == "function_call":
            written += _strings(value)
    if thought is not None:
        written.append(thought)


def _thinks(body: Mapping[str, Any], unasked: bool) -> bool:
    """Whether a model thinks about a request: as that says (OpenAI's, OpenRouter's or Anthropic's way)."""
    asked = [value for name in _ASK_TO_THINK if (value := body.get(name))]
    return not all(map(_is_off, asked)) if asked else unasked


def _is_off(asked: object) -> bool:
    if not isinstance(asked, dict):
        return asked == "none"
    return asked.get("effort") == "none" or asked.get("enabled") is False or asked.get("type") == "disabled"


def _read(body: Mapping[str, Any]) -> Iterator[str]:
    """What a model reads: the texts of messages and prompts, and tools as JSON."""
    for message in body.get("messages") or ():
        content = message.get("content")
        if isinstance(content, str):
            yield content
        elif isinstance(content, list):
            yield from (part["text"] for part in content if isinstance(part.get("text"), str))
        for name in ("tool_calls", "function_call"):
            if message.get(name):
                yield to_json(message[name]).decode()
    for name in _READ:
        value = body.get(name)
        if isinstance(value, str):
            yield value
        elif value:
            yield to_json(value).decode()


def _strings(value: object) -> Iterator[str]:
    """Every text in a JSON value, keys left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)
