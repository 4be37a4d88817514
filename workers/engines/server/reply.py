"""The answer to one request as it arrives: the turns that grow by it, and the tokens that they took."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from workers.engines.server.wire import Broken, Json
from workers.engines.turn import Turn

_STOPPED = ("stop", "tool_calls", "function_call", "eos_token", "stop_sequence")
_CUT = ("length", "content_filter")


@dataclass(slots=True)
class _Choice:
    turn: Turn
    raw: str = ""
    pieces: int = 0
    logprobs: list[float] = field(default_factory=list)
    reported: int | None = None
    finish: str | None = None


class Reply:
    """The choices of one request, each a turn.

    A turn's tokens are what the server says of it. Where it says that only of all choices together, or has
    not yet when the turn ends, each piece of the stream counts as one (servers send one a token); at the end
    of the stream the sum is made to agree with what it says. Where it never does, ``count_text`` counts.
    """

    def __init__(
        self, turns: Sequence[Turn], *, says_usage: bool, count_text: Callable[[str], int] | None
    ) -> None:
        self.prompt_tokens: int | None = None
        self.cached_prompt_tokens = 0
        self._choices = [_Choice(turn) for turn in turns]
        self._says_usage = says_usage
        self._count_text = count_text
        self._total: int | None = None

    def is_over_before_its_end(self) -> bool:
        """Whether all turns are over, and the server would still go on."""
        return all(choice.turn.is_over() for choice in self._choices) and any(
            choice.finish is None for choice in self._choices
        )

    def take(self, chunk: Json) -> Iterator[tuple[Turn, str]]:
        """Take in a chunk; gives each turn that grew or ended by it, with its new text.

        Raises :class:`Broken` where a chunk makes no sense.
        """
        try:
            yield from self._take(chunk)
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise Broken(f"its stream holds a chunk that is none of OpenAI's: {error!r}") from error

    def _take(self, chunk: Json) -> Iterator[tuple[Turn, str]]:
        usage = chunk.get("usage")
        found = [(self._choices[said.get("index") or 0], said) for said in chunk.get("choices") or ()]
        if usage:
            self._take_usage(usage, [choice for choice, _ in found])
        for choice, said in found:
            if choice.turn.is_over():
                continue
            self._hear(choice, said)
            # The tokens of a lone choice come after its end: it is not over before they do.
            waits = choice.finish is not None and len(self._choices) == 1 and choice.reported is None
            yield choice.turn, self._grow(choice, None if waits else choice.finish)

    def end(self) -> Iterator[tuple[Turn, str]]:
        """Take in the end of the stream; gives the turns that end by it. Raises :class:`Broken`."""
        for choice in self._choices:
            if choice.turn.is_over():
                continue
            if choice.finish is None:
                raise Broken("its stream broke off, without a finish_reason")
            if self._total is not None and len(self._choices) == 1:
                choice.reported = self._total
            yield choice.turn, self._grow(choice, choice.finish)
        if self._says_usage and self.prompt_tokens is None:
            raise Broken("its stream ended without the usage that it was asked for")
        if self._total is not None:
            _agree([choice.turn for choice in self._choices], self._total)

    def has_begun(self) -> bool:
        """Whether the server has read the prompt and written anything."""
        return self.prompt_tokens is not None or any(
            choice.pieces or choice.reported for choice in self._choices
        )

    def break_off(self) -> Iterator[tuple[Turn, str]]:
        """End here; gives the turns that were not over, with the text that was not final before."""
        for choice in self._choices:
            if not choice.turn.is_over():
                yield choice.turn, self._grow(choice, "cancelled")

    def _take_usage(self, usage: Json, choices: Sequence[_Choice]) -> None:
        self.prompt_tokens = int(usage["prompt_tokens"])
        details: Any = usage.get("prompt_tokens_details") or {}
        self.cached_prompt_tokens = int(details.get("cached_tokens") or 0)
        tokens = int(usage.get("completion_tokens") or 0)
        # A total above the sum counts thoughts beside what was written (xAI's, Gemini's), which are billed.
        tokens = max(tokens, int(usage.get("total_tokens") or 0) - self.prompt_tokens)
        if len(choices) == 1:  # what this choice took, or what it and those that ended before did
            choices[0].reported = tokens
        elif not choices:
            self._total = tokens
        if len(self._choices) == 1:
            thought: Any = usage.get("completion_tokens_details") or {}
            if thought.get("reasoning_tokens"):
                self._choices[0].turn.reasoning_tokens = int(thought["reasoning_tokens"])

    def _hear(self, choice: _Choice, said: Json) -> None:
        delta = said.get("delta") or said
        text = delta.get("content") or delta.get("text") or ""
        thought = delta.get("reasoning_content") or delta.get("reasoning") or ""
        choice.raw += text
        choice.pieces += bool(text or thought)
        if thought:
            choice.turn.reasoning_tokens += 1
        choice.logprobs += logprobs_of(said)
        finish = said.get("finish_reason")
        if finish in _STOPPED:
            choice.finish = "stop"
        elif finish in _CUT:
            choice.finish = "length"
        elif finish is not None:
            raise Broken(f"it ended an answer for the reason {finish!r}")

    def _grow(self, choice: _Choice, ended: str | None) -> str:
        new = choice.turn.grow(choice.raw, ended)
        if choice.logprobs:
            choice.turn.mean_logprob = fmean(choice.logprobs)
        choice.turn.completion_tokens = self._tokens(choice)
        return new

    def _tokens(self, choice: _Choice) -> int:
        if choice.reported is not None:
            return choice.reported
        if self._says_usage or self._count_text is None:
            return choice.pieces
        if not choice.turn.is_over():
            return 0  # nobody asks before
        return self._count_text(choice.raw) + choice.turn.reasoning_tokens


def logprobs_of(choice: Json) -> list[float]:
    """The log probabilities of a choice's tokens, in either of OpenAI's forms; none if it has none."""
    said: Any = choice.get("logprobs") or {}
    found = said.get("token_logprobs") or [token["logprob"] for token in said.get("content") or ()]
    return [float(each) for each in found if each is not None]


def _agree(turns: Sequence[Turn], total: int) -> None:
    """Let the tokens of the turns add up to ``total``, shared by what was counted of each."""
    if sum(turn.completion_tokens for turn in turns) == total:
        return
    weights = [max(1, turn.completion_tokens) for turn in turns]
    seen = before = 0
    for turn, weight in zip(turns, weights, strict=True):
        seen += weight
        share = total * seen // sum(weights)
        turn.completion_tokens, before = share - before, share
