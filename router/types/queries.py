"""What is asked, and the searches that may answer it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

Route = Literal["small", "large"]
StrategyName = Literal[
    "direct",
    "majority",
    "best_of_n",
    "best_of_n_weighted",
    "beam",
    "lookahead",
    "dvts",
    "particle",
    "backtrack",
    "revisions",
    "reflect",
]
StoppingRule = Literal["none", "leader", "beta", "window"]
FinishReason = Literal["stop", "length", "tool_calls"]
TaskKind = Literal["auto", "math", "number", "choice", "text", "code", "json", "tools"]


class Bin(StrEnum):
    """Difficulty bins of Snell et al. 2024, Algorithm 6, easiest first."""

    EASY = "easy"
    MEDIUM = "medium"
    HARD = "hard"
    VERY_HARD = "very_hard"


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the client wants text sampled. ``None`` leaves the choice to the model's configuration."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """What kind of answer a query wants: how its candidates are read, compared and checked.

    "auto" reads the short answer that a text ends in, whatever it is. Of the others some need more: "json" a
    ``json_schema`` (or ``None``: any JSON), "tools" the request's OpenAI ``tools`` (of which ``one_call``
    wants not several at once), "code" the name of a function (``entry_point``) and, to compare by behaviour,
    ``cases``: argument lists to call it with. Checks use ``key`` (the right answer), ``tests`` (Python source
    that fails by raising) and ``pattern`` (a regular expression that the whole answer matches).
    """

    kind: TaskKind = "auto"
    json_schema: Mapping[str, Any] | None = None
    tools: tuple[Mapping[str, Any], ...] = ()
    entry_point: str | None = None
    cases: tuple[tuple[Any, ...], ...] = ()
    key: str | None = None
    tests: str | None = None
    pattern: str | None = None
    one_call: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """One question: OpenAI chat messages as the client sent them, and how to sample.

    ``needs`` names request features that a search cannot honour ("tools", "response_format", "n", ...);
    such a query goes to a large model, or is refused by that name. ``extra`` holds every other field of
    the request body, for the model that answers.
    """

    messages: tuple[Mapping[str, Any], ...]
    sampling: Sampling = Sampling()
    needs: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    task: Task = Task()


@dataclass(frozen=True, slots=True)
class Stopping:
    """When a parallel search has seen enough, before its budget is used up.

    "leader": when no sample that is still to come can change the winner. "beta": when the most frequent
    answer is ahead of the second with ``confidence`` (Adaptive-Consistency, 2305.11860). "window": when a
    whole ``window`` of samples agrees (ESC, 2401.10480). "none": never.

    ``window`` is also how many samples are launched together, ``None`` all of them: a small window saves
    tokens, a large one time.
    """

    rule: StoppingRule = "leader"
    confidence: float = 0.95
    window: int | None = None

    def __post_init__(self) -> None:
        if not 0.5 <= self.confidence < 1:
            raise ValueError(f"confidence must be from 0.5 to below 1, not {self.confidence}")
        if self.window is not None and self.window < 2:
            raise ValueError(f"window must be at least 2, not {self.window}")
        if self.rule == "window" and self.window is None:
            raise ValueError("the rule 'window' needs a window: how many samples must agree")


@dataclass(frozen=True, slots=True)
class StrategySpec:
    """A search and its parameters; ``samples`` is the budget N, in whole turns.

    ``beam_width`` is the paper's M: continuations of a step (beam, lookahead, dvts), or how many turns' worth
    of tokens a backtracking path may use. ``lookahead_steps`` is its k. ``chain_length`` is how many attempts
    follow one another in a chain (revisions, reflect); samples / chain_length chains run side by side.
    ``max_drop`` is how far a step's score may fall below that of the step before (backtrack).
    """

    name: StrategyName
    samples: int = 1
    beam_width: int = 4
    max_rounds: int = 40
    lookahead_steps: int = 1
    chain_length: int = 4
    max_drop: float = 0.1
    stopping: Stopping = Stopping()

    def __post_init__(self) -> None:
        for name in ("samples", "beam_width", "max_rounds", "lookahead_steps", "chain_length"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not 0 <= self.max_drop <= 1:
            raise ValueError(f"max_drop must be from 0 to 1, not {self.max_drop}")
