"""What is decided: plans, what a probe saw, and the branch that it led to.

A :class:`Plan` is contingent: it is decided once, in the gateway, and already holds what is to be done
whatever the probe sees. Probing in a worker only looks that up (:func:`router.replanning.replan`), so the
same plan can be explained without running anything, priced in its worst case, and replayed.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from router.types.queries import Bin, FinishReason, Route, StrategySpec


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

    ``accuracy`` is P(right); ``accuracy_source`` says where it comes from ("predicted" for this prompt,
    "measured" on a calibration split, or "assumed"). Unknown costs are ``None``, and a cap then refuses the
    alternative. ``expected_latency_s`` is on an idle machine, beyond the probe; ``None`` is unknown.

    ``token_cap`` is the most completion tokens that this alternative may generate in all, beyond the probe:
    the worker's meter enforces it (cutting ``max_tokens`` of a batch to what is left), and the worst case
    rests on it. ``None`` where no worker runs the model: an upstream server holds to ``max_tokens`` itself.
    """

    route: Route
    model: str
    strategy: StrategySpec
    accuracy: float
    accuracy_source: Literal["predicted", "measured", "assumed"]
    expected_cost_usd: Decimal | None
    worst_case_cost_usd: Decimal | None
    expected_flops: float | None = None
    token_cap: int | None = None
    expected_latency_s: float | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """How the evidence of a probe is read: log-odds that something is right, linear in its features.

    ``intercept`` holds what the prompt alone said. The features are those of
    :func:`router.features.evidence.evidence_features`.
    """

    intercept: float
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Branch:
    """What to do where P(right) is ``above`` to ``up_to``: what is chosen, compared with what, and why.

    ``difficulty_bin`` is ``None`` where that is more than one bin, and in a plan that does not probe (a query
    that must go to the large model, a model asked for by name). ``reason`` explains the choice, with its
    numbers; it is empty, and what was rejected left out, where nobody asked for reasons. ``notice`` is what
    the client should be told with the answer (a hard query had no large model to go to).

    With ``readings``, of the chosen alternative and of each rejected one, what was seen tells of every one by
    itself how likely it is right, and may change the choice (:func:`router.replanning.replan`).
    """

    difficulty_bin: Bin | None
    chosen: Alternative
    rejected: tuple[Alternative, ...]
    reason: str
    notice: str | None = None
    above: float = 0.0
    up_to: float = 1.0
    readings: tuple[Reading, ...] = ()


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
class Worth:
    """What a right answer is worth in USD; with ``min_accuracy`` the cheapest way right so often is first."""

    usd_per_right_answer: float
    min_accuracy: float | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything decided before anything is spent.

    The worker goes through ``stages``: it samples the ``small`` model, has the samples scored by the
    ``verifier``, and follows the branch that it comes to. A plan that does not probe has one stage of 0
    samples and one branch. ``familiarity`` is how usual the prompt is among those that the predictor was
    fitted on (:class:`router.forecast.Forecast`), ``p_right`` how likely one answer of the small model is
    right by the prompt alone: ``None`` without a predictor. ``worth`` is what ways are weighed by after a
    probe. Costs include the probe.
    """

    policy: str
    small: str | None
    verifier: str | None
    stages: tuple[ProbeStage, ...]
    probe_cost_usd: Decimal | None
    expected_cost_usd: Decimal | None
    worst_case_cost_usd: Decimal | None
    familiarity: float | None = None
    p_right: float | None = None
    worth: Worth | None = None

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
