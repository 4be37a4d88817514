"""The policies of a configuration: what a client gets."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from router.config.fields import Count, Name, Rate, Real, Section, Usd
from router.config.rules import Rule
from router.strategy import MOST_ROUNDS, square_root_width
from router.types import Stopping, StrategyName, StrategySpec, TaskKind


def _whole_or_sqrt(value: object) -> object:
    if value != "sqrt" and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ValueError(f"must be a whole number of at least 1, or 'sqrt', not {value!r}")
    return value


BeamWidth = Annotated[int | Literal["sqrt"], BeforeValidator(_whole_or_sqrt)]


class StoppingRule(Section):
    """:class:`router.types.Stopping`."""

    rule: Literal["none", "leader", "beta", "window"] = "leader"
    confidence: Real = Field(default=0.95, ge=0.5, lt=1)
    window: Annotated[int, Field(strict=True, ge=2)] | None = None

    @model_validator(mode="after")
    def _has_its_window(self) -> StoppingRule:
        if self.rule == "window" and self.window is None:
            raise ValueError("the rule 'window' needs a window: how many samples must agree")
        return self


def _listed(value: object) -> object:
    """One name is a list of one, nothing an empty one."""
    return () if value is None else (value,) if isinstance(value, str) else value


Names = Annotated[tuple[Name, ...], BeforeValidator(_listed)]

Objective = Literal[
    "usd_per_right_answer", "min_accuracy", "min_share_of_large", "max_mean_cost_usd", "max_usd_per_day"
]
"""What a policy wants; each is a multiplier, USD per right answer, which is given or tuned."""


class Policy(Section):
    """What a client of "gradus/<name>" gets: the models, how hard to search, and what an answer is worth.

    ``strategy`` "auto" follows the difficulty; a name is used for every query that is searched.
    ``larges`` is written ``large``, one name or a list; the first is *the* large model.
    :mod:`router.config.consistency` holds the fields to one ``objective``.
    """

    small: Name
    verifier: Name
    larges: Names = Field(default=(), alias="large")
    allow: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    rules: tuple[Rule, ...] = ()
    strategy: Literal["auto", StrategyName] = "auto"
    task: TaskKind = "auto"
    probe: Literal["auto", "always", "never"] = "auto"
    probe_samples: int = Field(default=16, strict=True, ge=0)
    probe_stages: Annotated[tuple[Count, ...], Field(min_length=1)] | None = None
    unseen: Literal["probe", "large", "small"] = "probe"
    unseen_below: Real = Field(default=0.01, ge=0, le=1)
    search_samples: Count = 16
    beam_width: BeamWidth = 4
    max_rounds: Annotated[int, Field(strict=True, ge=1, le=MOST_ROUNDS)] = 40
    lookahead_steps: Count = 1
    chain_length: Count = 4
    max_drop: Real = Field(default=0.1, ge=0, le=1)
    stopping: StoppingRule = StoppingRule()
    usd_per_right_answer: Usd | None = None
    min_accuracy: Real | None = Field(default=None, ge=0, le=1)
    min_share_of_large: Real | None = Field(default=None, gt=0, le=1)
    confidence: Real | None = Field(default=None, ge=0.5, lt=1)
    max_mean_cost_usd: Usd | None = None
    max_usd_per_day: Usd | None = None
    expected_queries_per_day: Rate | None = None
    max_cost_usd: Usd | None = None
    max_latency_s: Real | None = Field(default=None, gt=0)
    overflow: Literal["large", "refuse", "wait"] = "large"
    deadline_s: Real = Field(default=60.0, gt=0)

    @property
    def large(self) -> str | None:
        """The first of the large models: what rules and objectives mean by "large"."""
        return self.larges[0] if self.larges else None

    @property
    def objective(self) -> Objective:
        """``min_accuracy`` is one with a ``confidence``; without, it refines ``usd_per_right_answer``."""
        if self.min_share_of_large is not None:
            return "min_share_of_large"
        if self.max_mean_cost_usd is not None:
            return "max_mean_cost_usd"
        if self.max_usd_per_day is not None:
            return "max_usd_per_day"
        return "usd_per_right_answer" if self.confidence is None else "min_accuracy"

    @property
    def is_tuned(self) -> bool:
        """Whether :mod:`router.tuning` finds the multiplier, since the file does not give it."""
        return self.objective != "usd_per_right_answer"

    @property
    def mean_cost_usd(self) -> Decimal | None:
        """What a query may cost on average; ``None``: that is not what the policy asks for."""
        if self.max_usd_per_day is not None and self.expected_queries_per_day is not None:
            return self.max_usd_per_day / self.expected_queries_per_day
        return self.max_mean_cost_usd

    @property
    def stages(self) -> tuple[int, ...]:
        """Samples in all after each stage of a probe: as given, else powers of two from 4; the last is
        ``probe_samples``. Empty where nothing is probed, as in ``strategy: direct``: N samples would be paid
        for, and one used."""
        if self.probe == "never" or self.probe_samples == 0 or self.strategy == "direct":
            return ()
        given = self.probe_stages or (2**power for power in range(2, self.probe_samples.bit_length()))
        return (*(stage for stage in given if stage < self.probe_samples), self.probe_samples)

    def budget(self) -> StrategySpec:
        """What a search may use. Its name is still to be decided."""
        samples = self.search_samples
        stopping = self.stopping
        return StrategySpec(
            "majority",
            samples,
            beam_width=square_root_width(samples) if self.beam_width == "sqrt" else self.beam_width,
            max_rounds=self.max_rounds,
            lookahead_steps=self.lookahead_steps,
            chain_length=self.chain_length,
            max_drop=self.max_drop,
            stopping=Stopping(stopping.rule, stopping.confidence, stopping.window),
        )
