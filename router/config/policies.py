"""The policies of a configuration: what a client gets."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from router.config.fields import Count, Name, Real, Section, Usd
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


class Policy(Section):
    """What a client of "gradus/<name>" gets: the models, how hard to search, and what an answer is worth.

    ``strategy`` "auto" follows the difficulty; a name is used for every query that is searched.
    """

    small: Name
    verifier: Name
    large: Name | None = None
    strategy: Literal["auto", StrategyName] = "auto"
    task: TaskKind = "auto"
    probe_samples: int = Field(default=16, strict=True, ge=0)
    search_samples: Count = 16
    beam_width: BeamWidth = 4
    max_rounds: Annotated[int, Field(strict=True, ge=1, le=MOST_ROUNDS)] = 40
    lookahead_steps: Count = 1
    chain_length: Count = 4
    max_drop: Real = Field(default=0.1, ge=0, le=1)
    stopping: StoppingRule = StoppingRule()
    min_accuracy: Real | None = Field(default=None, ge=0, le=1)
    usd_per_right_answer: Usd
    max_cost_usd: Usd | None = None
    deadline_s: Real = Field(default=60.0, gt=0)

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
