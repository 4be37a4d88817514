"""One sequence while it grows: from the text so far to the text that is final."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from workers.engines.chat import Chat, settled
from workers.engines.stopping import StopTexts
from workers.protocols import Completion, Prompt


class Turn:
    """What one sequence adds to its prompt. ``ended`` is ``None`` until it has, then as in ``Completion``.

    ``text`` grows by whole characters only, and holds nothing that may turn out to belong to a stop text.
    """

    def __init__(self, index: int, prompt: Prompt, stop: Sequence[str]) -> None:
        self.index = index
        self.text = ""
        self.ended: str | None = None
        self.completion_tokens = 0
        self.reasoning_tokens = 0
        self.mean_logprob: float | None = None
        self._stops = StopTexts(stop, prompt.stop_after)
        self._searched = 0

    def grow(self, text: str, ended: str | None = None) -> str:
        """Take in all text so far, and why it ended if it did; returns what became final by it."""
        end = self._stops.find(text, self._searched)
        self._searched = settled(text)
        if end is not None:
            length, self.ended = end
        elif ended is None:
            length = min(settled(text), self._stops.settled(text))
        else:
            length, self.ended = len(text) if ended == "stop" else settled(text), ended
        new = text[len(self.text) : length]
        self.text += new
        return new

    def is_over(self) -> bool:
        return self.ended is not None

    def completion(self) -> Completion:
        return Completion(
            self.text,
            self.ended or "cancelled",
            self.completion_tokens,
            self.reasoning_tokens,
            self.mean_logprob,
        )


class TokenTurn(Turn):
    """A turn that arrives as tokens."""

    def __init__(
        self,
        index: int,
        prompt_tokens: Sequence[int],
        prompt: Prompt,
        stop: Sequence[str],
        chat: Chat,
        end_tokens: Collection[int],
    ) -> None:
        super().__init__(index, prompt, stop)
        self._prompt_tokens = prompt_tokens
        self._has_prefix = bool(prompt.prefix)
        self._chat = chat
        self._end_tokens = end_tokens

    def advance(self, tokens: Sequence[int], finished: bool) -> str:
        """Take in all tokens so far; returns the text that became final by them."""
        ended = None
        if finished:
            ended = "stop" if tokens[-1] in self._end_tokens else "length"
        return self._decode(tokens, ended)

    def break_off(self, tokens: Sequence[int]) -> str:
        """End here; returns the text that was not final before."""
        return self._decode(tokens, "cancelled")

    def _decode(self, tokens: Sequence[int], ended: str | None) -> str:
        self.completion_tokens = len(tokens)
        return self.grow(self._chat.decode(tokens, self._prompt_tokens, self._has_prefix), ended)
