"""The ports of a worker: what runs a model, what judges a turn, what a search gets and gives back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from router.config import REVISE
from router.types import Task
from workers.answers.port import Answers
from workers.steps import LINES, Steps


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """Sampling settings of one batch. ``temperature`` 0 is greedy; ``stop`` texts are not returned.

    ``logprobs`` asks for :attr:`Completion.mean_logprob`, which costs a server time.
    """

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int | None = None
    logprobs: bool = False


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation to continue, or to judge: OpenAI chat messages, and the assistant's turn so far.

    ``max_tokens`` is what this one may still grow, where that is less than the batch's limit. ``stop_after``
    texts (a step separator, usually a newline) end a sequence, and stay in its text.
    """

    messages: tuple[Mapping[str, Any], ...]
    prefix: str = ""
    max_tokens: int | None = None
    stop_after: tuple[str, ...] = ()

    def limit(self, batch_max_tokens: int) -> int:
        """The most tokens that may be added in a batch that allows each ``batch_max_tokens``."""
        return batch_max_tokens if self.max_tokens is None else min(self.max_tokens, batch_max_tokens)


@dataclass(frozen=True, slots=True)
class Completion:
    """What one sequence added to its prompt.

    ``ended`` says why it stopped: "stop" (end of turn or a ``stop`` text), "step" (a ``stop_after`` text),
    "length" (a limit of tokens, or the context), "cancelled" (cancel, deadline or spent budget: the text so
    far). ``reasoning_tokens`` are those of the completion tokens that a server says were thinking.
    ``mean_logprob`` is the mean natural log probability of its tokens, ``None`` where nobody says.
    """

    text: str
    ended: str
    completion_tokens: int
    reasoning_tokens: int = 0
    mean_logprob: float | None = None


@dataclass(frozen=True, slots=True)
class Generation:
    """A batch of completions, one a prompt, in order. Equal prompts of a batch are counted once.

    ``cached_prompt_tokens`` of the ``prompt_tokens`` were not computed: the engine held them from before.
    """

    completions: tuple[Completion, ...]
    prompt_tokens: int
    cached_prompt_tokens: int = 0

    @property
    def completion_tokens(self) -> int:
        return sum(completion.completion_tokens for completion in self.completions)


class Cancellation:
    """Tells a running generation to stop: set by a client that left, or passed by a deadline.

    ``deadline_monotonic_s`` is on :func:`time.monotonic`'s clock. One made by :meth:`part` ends with its
    whole and can be cancelled alone.
    """

    def __init__(self, deadline_monotonic_s: float | None = None) -> None:
        self.deadline_monotonic_s = deadline_monotonic_s
        self._event = threading.Event()
        self._whole: Cancellation | None = None

    def part(self) -> Cancellation:
        one = Cancellation(self.deadline_monotonic_s)
        one._whole = self
        return one

    def cancel(self) -> None:
        self._event.set()

    @property
    def cancelled(self) -> bool:
        return self._event.is_set() or (self._whole is not None and self._whole.cancelled)


OnText = Callable[[int, str], None]
"""Called with (index in the batch, new text) as text arrives; may be called from another thread."""

OnEnd = Callable[[int, Completion], None]
"""Called with (index in the batch, completion) as each ends by itself, one at a time; may cancel the rest."""


class Engine(Protocol):
    """Runs one model. Thread-safe: calls of many jobs decode together."""

    @property
    def model(self) -> str: ...

    @property
    def context_tokens(self) -> int: ...

    @property
    def continues_turns(self) -> bool:
        """Whether a turn can be continued from a prefix: what every search by steps needs."""
        ...

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
        on_end: OnEnd | None = None,
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
    """A batch of judgements, one a turn, in order, and the tokens read (by a judge also written) for them.

    An ensemble's ``members`` say what each of them consumed of that; their scores are their own.
    """

    scored: tuple[Scored, ...]
    tokens: int
    completion_tokens: int = 0
    members: tuple[tuple[str, Scores], ...] = ()


class Verifier(Protocol):
    """Judges assistant turns, complete or not. Thread-safe."""

    @property
    def name(self) -> str: ...

    @property
    def scores_steps(self) -> bool:
        """Whether unfinished turns can be judged (a process reward model): what beam search needs."""
        ...

    @property
    def reads_history(self) -> bool:
        """Whether it was made to see the earlier attempts of a revision chain in the conversation."""
        ...

    @property
    def compares_turns(self) -> bool:
        """Whether scores are relative to the other turns of a batch: those of two batches do not compare."""
        ...

    def score(self, turns: Sequence[Prompt], task: Task) -> Scores:
        """Judge the ``prefix`` of each turn as what the assistant says after its ``messages``.

        Raises :class:`workers.errors.ContextOverflow`, :class:`workers.errors.InvalidMessages`,
        :class:`workers.errors.CannotJudge` (the task lacks what the verifier needs) or
        :class:`workers.errors.EngineFailed`.
        """
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sample: the assistant's whole turn, its extracted final ``answer`` and its judgement, if it has one.

    ``finish_reason`` "length" marks a turn that never came to its end. ``mean_logprob`` is as in
    :class:`Completion`.
    """

    text: str
    finish_reason: Literal["stop", "length"]
    answer: str | None
    step_scores: tuple[float, ...] = ()
    score: float = 0.0
    mean_logprob: float | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The winner, everything it was chosen from, and its share of the decisive weight.

    ``confidence`` is from 0 to 1; ``None`` where nothing was compared. ``stopped`` says why a search ended
    before its budget was used up ("the leader can no longer lose").
    """

    best: Candidate
    candidates: tuple[Candidate, ...]
    confidence: float | None
    stopped: str | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """What a search is to solve: a conversation, how answers compare, what a step is, and the probe's turns.

    The probe's candidates are paid for: they are the first candidates of every search. ``judged_together``
    says that the verifier :attr:`compares <Verifier.compares_turns>` turns: those that one is chosen from
    are scored in one batch. ``revise`` is what the model is told after each earlier attempt of a chain.
    """

    messages: tuple[Mapping[str, Any], ...]
    answers: Answers
    steps: Steps = LINES
    probes: tuple[Candidate, ...] = ()
    judged_together: bool = False
    revise: str = REVISE

    def turn(self, prefix: str = "") -> Prompt:
        """Continue to the end of the turn."""
        return Prompt(self.messages, prefix)

    def step(self, prefix: str = "") -> Prompt:
        """Continue to the end of the next step."""
        return Prompt(self.messages, prefix, stop_after=self.steps.stop_after(prefix))


Enough = Callable[[Completion], bool]
"""Told of each completion as it ends; after True no more is needed, and what still runs is cancelled."""


class Generate(Protocol):
    """What a search is handed instead of an engine: continue these prompts.

    ``temperature`` ``None`` is that of the search. What ``enough`` cut off is marked "cancelled".
    """

    def __call__(
        self,
        prompts: Sequence[Prompt],
        *,
        temperature: float | None = None,
        enough: Enough | None = None,
    ) -> tuple[Completion, ...]: ...


Score = Callable[[Sequence[Prompt]], tuple[Scored, ...]]
"""What a search is handed instead of a verifier: judge these turns."""
