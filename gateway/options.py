"""The ``gradus`` object of a request: which search, how large, and what an answer is. Checked strictly."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from router.strategy import MOST_ROUNDS
from router.types import Stopping, StoppingRule, StrategyName, Task
from router.wish import Wish

MOST_SAMPLES = 1024
MOST_STEPS_AHEAD = 16
MOST_CASES = 64


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class StoppingOptions(_Strict):
    """When a search in parallel has seen enough (docs/configuration.md)."""

    rule: StoppingRule = "leader"
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.95
    window: Annotated[int, Field(ge=2, le=MOST_SAMPLES)] | None = None

    @model_validator(mode="after")
    def _has_its_window(self) -> StoppingOptions:
        if self.rule == "window" and self.window is None:
            raise PydanticCustomError("invalid_value", "should have a window where the rule is 'window'")
        return self


TaskName = Literal["auto", "math", "number", "choice", "text", "code", "json"]
"""Kinds of answers that a request may name; tool calls are asked for by ``tools``."""


class TaskOptions(_Strict):
    """What the answer is, and what it is checked by, if the policy's verifier checks anything."""

    kind: TaskName = "auto"
    key: str | None = Field(default=None, description="The right answer, for a check of kind key")
    tests: str | None = Field(
        default=None, description="Python that fails by raising, for a check of kind tests"
    )
    pattern: str | None = Field(default=None, description="A regular expression, for a check of kind pattern")
    entry_point: str | None = Field(default=None, description="The function that code should define")
    cases: Annotated[list[list[Any]], Field(max_length=MOST_CASES)] = Field(
        default=[], description="Argument lists to call it with: code is then compared by what it does"
    )


def _named_task(task: object) -> object:
    return {"kind": task} if isinstance(task, str) else task


def _whole_or_sqrt(width: object) -> object:
    if width == "sqrt" or (
        isinstance(width, int) and not isinstance(width, bool) and 1 <= width <= MOST_SAMPLES
    ):
        return width
    raise PydanticCustomError(
        "invalid_value", "should be a whole number from 1 to {most}, or 'sqrt'", {"most": MOST_SAMPLES}
    )


class GradusOptions(_Strict):
    """What a request says of its search; what it leaves out is the policy's. docs/api.md describes it."""

    strategy: StrategyName | None = Field(
        default=None, description="This search on the small model, without a probe"
    )
    budget: Annotated[int, Field(ge=1, le=MOST_SAMPLES)] | None = Field(
        default=None, description="N: how many whole answers the search may generate"
    )
    beam_width: Annotated[int | Literal["sqrt"], BeforeValidator(_whole_or_sqrt)] | None = None
    max_rounds: Annotated[int, Field(ge=1, le=MOST_ROUNDS)] | None = None
    lookahead_steps: Annotated[int, Field(ge=1, le=MOST_STEPS_AHEAD)] | None = None
    chain_length: Annotated[int, Field(ge=1, le=MOST_SAMPLES)] | None = None
    max_drop: Annotated[float, Field(ge=0, le=1)] | None = None
    stopping: StoppingOptions | None = None
    task: (
        Annotated[TaskOptions, BeforeValidator(_named_task, json_schema_input_type=TaskOptions | TaskName)]
        | None
    ) = None
    cache: bool | None = Field(
        default=None, description="Whether the answer may come out of the cache, and go into it"
    )

    progress: bool | None = Field(
        default=None, description="Whether a stream tells its progress in events named gradus.progress"
    )

    @field_validator("budget")
    @classmethod
    def _one_answer_is_one(cls, budget: int | None, info: ValidationInfo) -> int | None:
        if info.data.get("strategy") == "direct" and budget not in (None, 1):
            raise PydanticCustomError("invalid_value", "should be left out: 'direct' is one answer")
        return budget

    def wish(self) -> Wish | None:
        """``None`` where nothing is said of the search."""
        if self.model_fields_set <= {"task", "cache", "progress"}:
            return None
        stopping = self.stopping
        return Wish(
            self.strategy,
            self.budget,
            self.beam_width,
            self.lookahead_steps,
            self.chain_length,
            self.max_drop,
            None if stopping is None else Stopping(stopping.rule, stopping.confidence, stopping.window),
            self.max_rounds,
        )

    def answer_task(self) -> Task:
        task = self.task or TaskOptions()
        return Task(
            task.kind,
            entry_point=task.entry_point,
            cases=tuple(map(tuple, task.cases)),
            key=task.key,
            tests=task.tests,
            pattern=task.pattern,
        )
