"""One sequence while it is being decoded: from its tokens so far to the text that is final."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from workers.engines.chat import Chat, settled
from workers.engines.stopping import StopTexts
from workers.protocols import Completion, Prompt


class Turn:
    """What one sequence adds to its prompt. ``ended`` is ``None`` until it has, then as in ``Completion``.

    ``text`` grows by whole characters only, and holds nothing that may turn out to belong to a stop text.
    """

    def __init__(
        self,
        index: int,
        prompt_tokens: Sequence[int],
        prompt: Prompt,
        stop: Sequence[str],
        chat: Chat,
        end_tokens: Collection[int],
    ) -> None:
        self.index = index
        self.text = ""
        self.ended: str | None = None
        self._prompt_tokens = prompt_tokens
        self._has_prefix = bool(prompt.prefix)
        self._stops = StopTexts(stop, prompt.stop_after)
        self._chat = chat
        self._end_tokens = end_tokens
        self._searched = 0
        self._token_count = 0

    def advance(self, tokens: Sequence[int], finished: bool) -> str:
        """Take in all tokens so far; returns the text that became final by them."""
        text = self._decode(tokens)
        end = self._stops.find(text, self._searched)
        self._searched = settled(text)
        if end is not None:
            length, self.ended = end
        elif finished and tokens[-1] in self._end_tokens:
            length, self.ended = len(text), "stop"
        elif finished:
            length, self.ended = settled(text), "length"
        else:
            length = min(settled(text), self._stops.settled(text))
        return self._grow(text, length)

    def break_off(self, tokens: Sequence[int]) -> str:
        """End here; returns the text that was not final before."""
        text = self._decode(tokens)
        end = self._stops.find(text, self._searched)
        length, self.ended = end if end is not None else (settled(text), "cancelled")
        return self._grow(text, length)

    def is_over(self) -> bool:
        return self.ended is not None

    def completion(self) -> Completion:
        return Completion(self.text, self.ended or "cancelled", self._token_count)

    def _decode(self, tokens: Sequence[int]) -> str:
        self._token_count = len(tokens)
        return self._chat.decode(tokens, self._prompt_tokens, self._has_prefix)

    def _grow(self, text: str, length: int) -> str:
        new = text[len(self.text) : length]
        self.text += new
        return new
