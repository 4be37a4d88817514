"""A deterministic engine for tests: it says what a function or a list tells it to. No model, no torch."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence

from workers.engines.stopping import StopTexts, is_over
from workers.errors import ContextOverflow, EngineFailed
from workers.protocols import Cancellation, Completion, Generation, OnEnd, OnText, Prompt, SamplingParams

Reply = Callable[[Prompt, int, int], str]
"""(prompt, index in the batch, seed or 0) -> the rest of the turn that ``prompt.prefix`` begins."""

_TOKEN = re.compile(r"\n|[^\S\n]*\S+|[^\S\n]+")


class ScriptedEngine:
    """Plays a script: a function, or a list of whole turns of which sequence i says the i-th (cyclically).

    With a list, a prompt whose prefix begins such a turn continues with the rest of it. A word with the
    space before it is one token, so is a newline, and each turn ends with one more token. Every ``delay_s``
    all sequences of a batch advance by one token. ``calls`` records each batch; ``fail_with`` makes every
    later batch raise :class:`EngineFailed`.
    """

    def __init__(
        self,
        script: Reply | Sequence[str],
        *,
        model: str = "scripted",
        context_tokens: int = 4096,
        delay_s: float = 0.0,
        continues_turns: bool = True,
    ) -> None:
        self.model = model
        self.continues_turns = continues_turns
        self.context_tokens = context_tokens
        self.calls: list[tuple[tuple[Prompt, ...], SamplingParams]] = []
        self.fail_with: str | None = None
        self.closed = False
        self._reply = script if callable(script) else _play(script)
        self._delay_s = delay_s
        self._lock = threading.Lock()

    def count_tokens(self, prompt: Prompt) -> int:
        said = [str(message.get("content") or "") for message in prompt.messages]
        return sum(len(tokens(text)) + 1 for text in [*said, prompt.prefix])

    def generate(
        self,
        prompts: Sequence[Prompt],
        params: SamplingParams,
        *,
        cancellation: Cancellation | None = None,
        on_text: OnText | None = None,
        on_end: OnEnd | None = None,
    ) -> Generation:
        with self._lock:
            self.calls.append((tuple(prompts), params))
        if self.fail_with is not None:
            raise EngineFailed(f"model {self.model}: {self.fail_with}")
        unique = {repr(prompt): self.count_tokens(prompt) for prompt in prompts}
        sequences = []
        for index, prompt in enumerate(prompts):
            room = self.context_tokens - unique[repr(prompt)]
            if room <= 0:
                raise ContextOverflow(
                    f"the prompt has {unique[repr(prompt)]} tokens; model {self.model} reads fewer than "
                    f"{self.context_tokens}"
                )
            text = self._reply(prompt, index, params.seed or 0)
            sequences.append(_Sequence(text, min(prompt.limit(params.max_tokens), room), params.stop, prompt))
        while any(sequence.ended is None for sequence in sequences):
            if is_over(cancellation):
                break
            if self._delay_s:
                time.sleep(self._delay_s)
            for index, sequence in enumerate(sequences):
                if is_over(cancellation):
                    break
                new = sequence.advance() if sequence.ended is None else ""
                if new and on_text is not None:
                    on_text(index, new)
                if on_end is not None and sequence.just_ended():
                    on_end(index, sequence.completion())
        completions = tuple(sequence.completion() for sequence in sequences)
        return Generation(completions, prompt_tokens=sum(unique.values()))

    def close(self) -> None:
        self.closed = True


def tokens(text: str) -> list[str]:
    """The tokens of a text as :class:`ScriptedEngine` counts them; joined, they are the text."""
    return _TOKEN.findall(text)


class _Sequence:
    def __init__(self, text: str, max_tokens: int, stop: Sequence[str], prompt: Prompt) -> None:
        self.text = ""
        self.ended: str | None = None
        self.tokens = 0
        self._raw = ""
        self._to_say = iter(tokens(text))
        self._max_tokens = max_tokens
        self._told = False
        self._stops = StopTexts(stop, prompt.stop_after)

    def completion(self) -> Completion:
        return Completion(self.text, self.ended or "cancelled", self.tokens)

    def just_ended(self) -> bool:
        """True once: at the first call after the end."""
        told, self._told = self._told, self.ended is not None
        return self._told and not told

    def advance(self) -> str:
        """Say one token; returns the text that became final by it."""
        token = next(self._to_say, None)
        self.tokens += 1
        seen = len(self._raw)
        self._raw += token or ""
        length = len(self._raw)
        if token is None:
            self.ended = "stop"
        elif end := self._stops.find(self._raw, seen):
            length, self.ended = end
        elif self.tokens >= self._max_tokens:
            self.ended = "length"
        else:
            length = self._stops.settled(self._raw)
        new = self._raw[len(self.text) : length]
        self.text += new
        return new


def _play(turns: Sequence[str]) -> Reply:
    def reply(prompt: Prompt, index: int, _seed: int) -> str:
        return turns[index % len(turns)].removeprefix(prompt.prefix)

    return reply
