"""The verifiers of a configuration: what judges turns, and what its judgement must be worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from cost_model.prices import UNKNOWN, Price
from router.config.fields import (
    ENTRY_POINT,
    URL,
    Count,
    EnvName,
    ModelPrice,
    Name,
    Rate,
    Real,
    Section,
    VerifierPrice,
)


class Quality(Section):
    """What a verifier must reach on labelled outcomes, by the file that `gradus quality` wrote.

    Below it, searches choose by majority, and say so.
    """

    file: Name
    min_auc: Real | None = Field(default=None, ge=0, le=1)
    min_gain_over_majority: Real | None = Field(default=None, ge=-1, le=1)

    @model_validator(mode="after")
    def _asks_for_something(self) -> Quality:
        if self.min_auc is None and self.min_gain_over_majority is None:
            raise ValueError("must give min_auc or min_gain_over_majority, or both")
        return self


class _AnyVerifier(Section):
    """Its quality can be measured. ``scores_steps``: whether it can judge turns that are not finished."""

    quality: Quality | None = None

    @property
    def scores_steps(self) -> bool:
        return False


class _ReadingVerifier(_AnyVerifier):
    price: VerifierPrice | None = None
    parameters: Count | None = None

    def token_price(self) -> Price:
        return UNKNOWN if self.price is None else self.price.price()


class _FreeVerifier(Section):
    """Reads no token, and costs nothing."""

    @property
    def scores_steps(self) -> bool:
        return False

    @property
    def quality(self) -> None:
        return None


Family = Literal["gradus", "math-shepherd", "rlhflow", "qwen", "skywork"]
Aggregation = Literal["last", "min", "prod", "mean"]


class PrmVerifier(_ReadingVerifier):
    """A process reward model; runs in a worker process. ``aggregation`` is the family's unless given."""

    kind: Literal["prm"]
    path: Name
    context_tokens: Count
    family: Family = "gradus"
    aggregation: Aggregation | None = None

    @property
    def scores_steps(self) -> bool:
        return True


class OrmVerifier(_ReadingVerifier):
    """An outcome reward model (a sequence classifier with one logit); runs in a worker process."""

    kind: Literal["orm"]
    path: Name
    context_tokens: Count
    reads_history: bool = False


class RemoteVerifier(_ReadingVerifier):
    """A PRM or an ORM behind vLLM's pooling endpoints. ``tokenizer`` is a Hugging Face folder."""

    kind: Literal["remote"]
    serves: Literal["prm", "orm"]
    base_url: Annotated[str, Field(pattern=URL)]
    upstream_model: Name
    api_key_env: EnvName | None = None
    tokenizer: Name
    context_tokens: Count
    family: Family | None = None
    aggregation: Aggregation | None = None
    reads_history: bool = False

    @property
    def scores_steps(self) -> bool:
        return self.serves == "prm"


class JudgeVerifier(_AnyVerifier):
    """A language model that is asked, through litellm, how good an answer is, or which of two is better."""

    kind: Literal["judge"]
    litellm_model: Name
    base_url: Annotated[str, Field(pattern=URL)] | None = None
    api_key_env: EnvName | None = None
    mode: Literal["pointwise", "pairwise"] = "pairwise"
    context_tokens: Count
    max_tokens: Count = 512
    price: ModelPrice | None = None  # it writes too
    parameters: Count | None = None

    def token_price(self) -> Price:
        return UNKNOWN if self.price is None else self.price.price()

    @model_validator(mode="after")
    def _has_something_to_read(self) -> JudgeVerifier:
        if self.max_tokens >= self.context_tokens:
            raise ValueError(
                f"max_tokens ({self.max_tokens}) leaves nothing of context_tokens ({self.context_tokens}) "
                "to read"
            )
        return self


class CheckVerifier(_FreeVerifier):
    """A program that decides. ``entry_point`` is "module:function"."""

    kind: Literal["check"]
    check: Literal["key", "tests", "json_schema", "pattern", "python"]
    entry_point: Annotated[str, Field(pattern=ENTRY_POINT)] | None = None
    timeout_s: Real = Field(default=5.0, gt=0)
    memory_mb: Count = 512

    @model_validator(mode="after")
    def _knows_its_function(self) -> CheckVerifier:
        if self.check == "python" and self.entry_point is None:
            raise ValueError("the check 'python' needs an entry_point, such as 'my_checks:is_right'")
        if self.check != "python" and self.entry_point is not None:
            raise ValueError(f"the check {self.check!r} calls no entry_point; only 'python' does")
        return self


class EnsembleVerifier(_AnyVerifier):
    """The weighted mean of other verifiers' scores."""

    kind: Literal["ensemble"]
    weights: Mapping[str, Rate] = Field(min_length=1)


class MajorityVerifier(_FreeVerifier):
    """Counts votes: an answer's score is its share of the samples."""

    kind: Literal["majority"]


SingleVerifier = PrmVerifier | OrmVerifier | RemoteVerifier | JudgeVerifier | CheckVerifier | MajorityVerifier
Verifier = Annotated[SingleVerifier | EnsembleVerifier, Field(discriminator="kind")]
