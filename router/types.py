"""The vocabulary every room shares: frozen values that travel between gateway and workers.

A :class:`Plan` is contingent: it is decided once, in the gateway, and already holds what is to be done in
each difficulty bin. Probing in a worker only looks the bin up (:func:`router.policy.replan`), so the same
plan can be explained without running anything, priced in its worst case, and replayed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

from cost_model.usage import Usage

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


@dataclass(frozen=True, slots=True)
class Difficulty:
    """How hard a query is for the small model.

    ``p_right`` estimates the probability that one sample is right: here the mean verifier score of the
    probe samples (Snell et al. 2024, section 3.2). ``agreement`` is the share of the most frequent answer.
    """

    p_right: float
    bin: Bin
    samples: int
    agreement: float


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way to answer, priced. Costs are US dollars, beyond what the probe already cost.

    ``accuracy`` is P(right); ``accuracy_source`` says where it comes from ("measured" on a calibration
    split, or "assumed"). Unknown costs are ``None``, and a cap then refuses the alternative.

    ``token_cap`` is the most completion tokens that this alternative may generate in all, beyond the probe:
    the worker's meter enforces it (cutting ``max_tokens`` of a batch to what is left), and the worst case
    rests on it. ``None`` where no worker runs the model: an upstream server holds to ``max_tokens`` itself.
    """

    route: Route
    model: str
    strategy: StrategySpec
    accuracy: float
    accuracy_source: Literal["measured", "assumed"]
    expected_cost_usd: Decimal | None
    worst_case_cost_usd: Decimal | None
    expected_flops: float | None = None
    token_cap: int | None = None


@dataclass(frozen=True, slots=True)
class Branch:
    """What to do where P(right) is ``above`` to ``up_to``: what is chosen, compared with what, and why.

    ``difficulty_bin`` is ``None`` where that is more than one bin, and in a plan that does not probe (a query
    that must go to the large model, a model asked for by name). ``reason`` explains the choice, with its
    numbers; ``notice`` is what the client should be told with the answer (a hard query had no large model to
    go to).
    """

    difficulty_bin: Bin | None
    chosen: Alternative
    rejected: tuple[Alternative, ...]
    reason: str
    notice: str | None = None
    above: float = 0.0
    up_to: float = 1.0


@dataclass(frozen=True, slots=True)
class Reading:
    """How the evidence of a probe is read: log-odds that one sample is right, linear in its features.

    ``intercept`` holds what the prompt alone said. The features are those of
    :func:`router.features.evidence.evidence_features`.
    """

    intercept: float
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ProbeStage:
    """Sample until there are ``samples`` in all; where a branch covers their P(right), it is followed.

    Where none does, the next stage comes; the branches of the last cover everything. Without a ``reading``
    P(right) is the mean verifier score (Snell et al. 2024, section 3.2).
    """

    samples: int
    branches: tuple[Branch, ...]
    reading: Reading | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything decided before anything is spent.

    The worker goes through ``stages``: it samples the ``small`` model, has the samples scored by the
    ``verifier``, and follows the branch that it comes to. A plan that does not probe has one stage of 0
    samples and one branch. ``familiarity`` is how usual the prompt is among those that the predictor was
    fitted on (:class:`router.forecast.Forecast`); ``None`` without a predictor. Costs include the probe.
    """

    policy: str
    small: str | None
    verifier: str | None
    stages: tuple[ProbeStage, ...]
    probe_cost_usd: Decimal | None
    expected_cost_usd: Decimal | None
    worst_case_cost_usd: Decimal | None
    familiarity: float | None = None

    @property
    def probe_samples(self) -> int:
        """How many samples a probe takes at most; 0: nothing is probed."""
        return self.stages[-1].samples

    @property
    def branches(self) -> tuple[Branch, ...]:
        """What may be done in the end; of a plan without a probe one."""
        return self.stages[-1].branches


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a probe saw: the verifier's score of each sample (0 to 1) and its final answer, if it has one.

    The rest may be unknown, then it is empty: the scores of each sample's steps, its length, and whether it
    came to its end ("length": it did not).
    """

    scores: tuple[float, ...]
    answers: tuple[str | None, ...]
    step_scores: tuple[tuple[float, ...], ...] = ()
    completion_tokens: tuple[int, ...] = ()
    finish_reasons: tuple[FinishReason, ...] = ()

    def first(self, samples: int) -> Evidence:
        """What the first ``samples`` alone would have shown."""
        return Evidence(
            self.scores[:samples],
            self.answers[:samples],
            self.step_scores[:samples],
            self.completion_tokens[:samples],
            self.finish_reasons[:samples],
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """The branch that was followed, and the difficulty and what was seen that led there.

    Both are ``None`` without a probe.
    """

    difficulty: Difficulty | None
    branch: Branch
    evidence: Evidence | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work for a worker. ``reply_to`` is the Redis stream its events go to.

    ``deadline_unix_s`` is absolute. ``escalated`` marks the second job of a query whose search gave up:
    its tokens then count as escalation.
    """

    id: str
    reply_to: str
    query: Query
    plan: Plan
    deadline_unix_s: float
    stream: bool = False
    escalated: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job has no answer: a stable ``code`` the gateway maps to HTTP, and a message for people."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job. Exactly one of: an answer, an escalation, a failure.

    ``text`` is the answer (empty otherwise), ``tool_calls`` the calls that it makes (OpenAI's objects).
    ``samples`` counts complete candidates the answer was chosen from. ``stages_s`` is wall time by stage
    ("queue", "probe", "search"). ``usage`` is never dropped: failed and escalated jobs carry what they spent.
    ``notice`` tells the client what it would not expect ("the deadline came first: chosen from 5 of 16").
    """

    job_id: str
    status: Literal["answered", "escalate", "failed"]
    decision: Decision | None = None
    text: str = ""
    finish_reason: FinishReason = "stop"
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    samples: int = 0
    confidence: float | None = None
    usage: tuple[Usage, ...] = ()
    stages_s: Mapping[str, float] = field(default_factory=dict)
    failure: Failure | None = None
    notice: str | None = None
