"""The ports of a worker: what runs a model, what judges a candidate, and what a search gives back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from router.types import FinishReason


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """Resolved sampling settings of one batch. ``temperature`` 0 is greedy; ``stop`` texts are not returned.

    ``stop_after`` texts (a step separator, usually a newline) end a sequence too, but stay in its text.
    """

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    stop_after: tuple[str, ...] = ()
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation to continue: OpenAI chat messages, and the assistant's turn so far (maybe empty).

    ``max_tokens`` is what this one may still grow, where that is less than the batch's limit.
    """

    messages: tuple[Mapping[str, Any], ...]
    prefix: str = ""
    max_tokens: int | None = None

    def limit(self, batch_max_tokens: int) -> int:
        """The most tokens that may be added in a batch that allows each ``batch_max_tokens``."""
        return batch_max_tokens if self.max_tokens is None else min(self.max_tokens, batch_max_tokens)


@dataclass(frozen=True, slots=True)
class Completion:
    """What one sequence added to its prompt.

    ``ended`` says why it stopped: "stop" (end of turn or a ``stop`` text), "step" (a ``stop_after`` text),
    "length" (a limit of tokens, or the context), "cancelled" (cancel, deadline or spent budget: the text so
    far).
    """

    text: str
    ended: str
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Generation:
    """A batch of completions, one a prompt, in order. Equal prompts of a batch are counted once."""

    completions: tuple[Completion, ...]
    prompt_tokens: int

    @property
    def completion_tokens(self) -> int:
        return sum(completion.completion_tokens for completion in self.completions)


class Cancellation:
    """Tells a running generation to stop: set by a client that left, or passed by a deadline.

    ``deadline_monotonic_s`` is on :func:`time.monotonic`'s clock.
    """

    def __init__(self, deadline_monotonic_s: float | None = None) -> None:
        self.deadline_monotonic_s = deadline_monotonic_s
        self._event = threading.Event()

    def cancel(self) -> None:
        self._event.set()

    @property
    def cancelled(self) -> bool:
        return self._event.is_set()


OnText = Callable[[int, str], None]
"""Called with (index in the batch, new text) as text arrives; may be called from another thread."""


class Engine(Protocol):
    """Runs one model. Thread-safe: calls of many jobs decode together."""

    @property
    def model(self) -> str: ...

    @property
    def context_tokens(self) -> int: ...

    def count_tokens(self, prompt: Prompt) -> int:
        """Tokens of the prompt as the model would read it."""
        ...

    def generate(
        self,
        prompts: Sequence[Prompt],
        params: SamplingParams,
        *,
        cancellation: Cancellation | None = None,
        on_text: OnText | None = None,
    ) -> Generation:
        """Continue every prompt; returns when all have ended.

        Cancelled or past the deadline it returns what there is, marked "cancelled".
        Raises :class:`workers.errors.ContextOverflow`, :class:`workers.errors.InvalidMessages` or
        :class:`workers.errors.EngineFailed`.
        """
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Scored:
    """A verifier's judgement of one candidate: a score a step (0 to 1), and their aggregate."""

    step_scores: tuple[float, ...]
    score: float


@dataclass(frozen=True, slots=True)
class Scores:
    """A batch of judgements, one a text, in order, and the tokens the verifier read for them."""

    scored: tuple[Scored, ...]
    tokens: int


class Verifier(Protocol):
    """Judges assistant turns, complete or not. Thread-safe."""

    @property
    def name(self) -> str: ...

    @property
    def scores_steps(self) -> bool:
        """Whether unfinished turns can be judged (a process reward model): what beam search needs."""
        ...

    def score(self, messages: Sequence[Mapping[str, Any]], texts: Sequence[str]) -> Scores: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Candidate:
    """A scored sample: the assistant's turn ``text``, its extracted final ``answer`` and its judgement."""

    text: str
    finish_reason: FinishReason
    answer: str | None
    step_scores: tuple[float, ...]
    score: float


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The winner, everything it was chosen from, and its share of the decisive weight.

    ``confidence`` is from 0 to 1; ``None`` where nothing was compared.
    """

    best: Candidate
    candidates: tuple[Candidate, ...]
    confidence: float | None


Generate = Callable[[Sequence[str], bool], tuple[Completion, ...]]
"""What a search is handed instead of an engine: continue these assistant prefixes of *the* problem, to the
end of the next step (True) or of the turn (False). Empty prefixes start a turn."""

Score = Callable[[Sequence[str]], tuple[Scored, ...]]
"""What a search is handed instead of a verifier: judge these assistant turns of *the* problem."""
