"""What a configuration may say. docs/configuration.md describes every field; keep the two in step."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from cost_model.prices import FREE, UNKNOWN, Price, per_machine_hour, per_million
from router.types import StrategyName, TaskKind

Count = Annotated[int, Field(strict=True, ge=1)]
"""A whole number of at least 1; ``true`` and ``3.0`` are not."""
Name = Annotated[str, Field(min_length=1)]


def _no_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError(f"must be a number, not {str(value).lower()}")
    return value


Usd = Annotated[Decimal, BeforeValidator(_no_bool), Field(ge=0)]
Rate = Annotated[Decimal, BeforeValidator(_no_bool), Field(gt=0)]
Real = Annotated[float, BeforeValidator(_no_bool), Field(allow_inf_nan=False)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelPrice(Section):
    """Either USD an hour of machine over measured throughput, or USD a million tokens."""

    usd_per_hour: Usd | None = None
    prompt_tokens_per_second: Rate | None = None
    completion_tokens_per_second: Rate | None = None
    usd_per_million_prompt_tokens: Usd | None = None
    usd_per_million_completion_tokens: Usd | None = None

    @model_validator(mode="after")
    def _one_way(self) -> ModelPrice:
        machine = ("usd_per_hour", "prompt_tokens_per_second", "completion_tokens_per_second")
        tokens = ("usd_per_million_prompt_tokens", "usd_per_million_completion_tokens")
        _exactly_one_way(self, machine, tokens)
        return self

    def price(self) -> Price:
        read, written = self.prompt_tokens_per_second, self.completion_tokens_per_second
        if self.usd_per_hour is not None and read is not None and written is not None:
            return per_machine_hour(self.usd_per_hour, read, written)
        return per_million(self.usd_per_million_prompt_tokens, self.usd_per_million_completion_tokens)


class VerifierPrice(Section):
    """Either USD an hour of machine over measured throughput, or USD a million tokens read."""

    usd_per_hour: Usd | None = None
    tokens_per_second: Rate | None = None
    usd_per_million_tokens: Usd | None = None

    @model_validator(mode="after")
    def _one_way(self) -> VerifierPrice:
        _exactly_one_way(self, ("usd_per_hour", "tokens_per_second"), ("usd_per_million_tokens",))
        return self

    def price(self) -> Price:
        if self.usd_per_hour is not None and self.tokens_per_second is not None:
            return per_machine_hour(self.usd_per_hour, self.tokens_per_second, self.tokens_per_second)
        return per_million(self.usd_per_million_tokens, self.usd_per_million_tokens)


def _exactly_one_way(section: Section, *ways: tuple[str, ...]) -> None:
    given = {name for name, value in section if value is not None}
    if given not in [set(way) for way in ways]:
        choice = ", or ".join(" and ".join(way) for way in ways)
        raise ValueError(f"must give either {choice}; found {', '.join(sorted(given)) or 'nothing'}")


class _AnyModel(Section):
    price: ModelPrice | None = None

    def token_price(self) -> Price:
        return UNKNOWN if self.price is None else self.price.price()


class ThinkingMarks(Section):
    """How a reasoning model marks its thinking, and whether search steps are inside it or after it."""

    start: Name | None = "<think>"
    end: Name = "</think>"
    steps: Literal["inside", "after"] = "after"


class _SearchedModel(_AnyModel):
    """What a search in a worker needs to know of a model."""

    temperature: Real = Field(default=0.8, ge=0, le=2)
    step_separator: Name = "\n"
    thinking: ThinkingMarks | None = None
    honours: tuple[Literal["json", "tools"], ...] = ()


class TransformersModel(_SearchedModel):
    """Runs in a worker process."""

    engine: Literal["transformers"]
    path: Name
    context_tokens: Count
    max_tokens: Count
    parameters: Count | None = None

    def completion_limit(self, requested: int | None) -> int:
        """The most tokens of one completion: what the request asks for, else ``max_tokens``; it must fit."""
        return min(self.max_tokens if requested is None else requested, self.context_tokens)


class _Upstream(Section):
    api_key_env: Name | None = None
    context_tokens: Count | None = None
    max_tokens: Count | None = None
    parameters: Count | None = None

    def completion_limit(self, requested: int | None) -> int | None:
        """The most tokens of one completion; ``None`` when neither request nor configuration bounds it."""
        limits = [each for each in (requested or self.max_tokens, self.context_tokens) if each is not None]
        return min(limits, default=None)


class OpenAIModel(_Upstream, _SearchedModel):
    """Any server that speaks OpenAI's API.

    As a large model bodies pass straight through; as a small one, workers search on it. ``tokenizer`` is a
    Hugging Face folder: with it, prompts are counted and rendered as the server would.
    """

    engine: Literal["openai"]
    base_url: Annotated[str, Field(pattern=r"^https?://")]
    upstream_model: Name
    tokenizer: Name | None = None


class LiteLLMModel(_Upstream, _AnyModel):
    """Any model that litellm knows by name; its price map prices it where ``price`` is not given."""

    engine: Literal["litellm"]
    litellm_model: Name
    base_url: Annotated[str, Field(pattern=r"^https?://")] | None = None


Model = Annotated[TransformersModel | OpenAIModel | LiteLLMModel, Field(discriminator="engine")]
SearchedModel = TransformersModel | OpenAIModel


class Quality(Section):
    """What a verifier must reach on labelled outcomes, by the file that `gradus quality` wrote.

    Below it, searches choose by majority, and say so.
    """

    file: Name
    min_auc: Real | None = Field(default=None, ge=0, le=1)
    min_gain_over_majority: Real | None = Field(default=None, ge=-1, le=1)


class _AnyVerifier(Section):
    price: VerifierPrice | None = None
    parameters: Count | None = None
    quality: Quality | None = None

    def token_price(self) -> Price:
        return UNKNOWN if self.price is None else self.price.price()


Family = Literal["gradus", "math-shepherd", "rlhflow", "qwen", "skywork"]
Aggregation = Literal["last", "min", "prod", "mean"]


class PrmVerifier(_AnyVerifier):
    """A process reward model; runs in a worker process. ``aggregation`` is the family's unless given."""

    kind: Literal["prm"]
    path: Name
    context_tokens: Count
    family: Family = "gradus"
    aggregation: Aggregation | None = None


class OrmVerifier(_AnyVerifier):
    """An outcome reward model (a sequence classifier with one logit); runs in a worker process."""

    kind: Literal["orm"]
    path: Name
    context_tokens: Count
    reads_history: bool = False


class RemoteVerifier(_AnyVerifier):
    """A PRM or an ORM behind vLLM's pooling endpoints. ``tokenizer`` is a Hugging Face folder."""

    kind: Literal["remote"]
    serves: Literal["prm", "orm"]
    base_url: Annotated[str, Field(pattern=r"^https?://")]
    upstream_model: Name
    api_key_env: Name | None = None
    tokenizer: Name
    context_tokens: Count
    family: Family | None = None
    aggregation: Aggregation | None = None
    reads_history: bool = False


class JudgeVerifier(_AnyVerifier):
    """A language model that is asked, through litellm, how good an answer is, or which of two is better."""

    kind: Literal["judge"]
    litellm_model: Name
    base_url: Annotated[str, Field(pattern=r"^https?://")] | None = None
    api_key_env: Name | None = None
    mode: Literal["pointwise", "pairwise"] = "pairwise"
    context_tokens: Count
    max_tokens: Count = 512
    price: ModelPrice | None = None  # type: ignore[assignment]  # it writes too


class CheckVerifier(Section):
    """A program that decides: reads no token and costs nothing. ``entry_point`` is "module:function"."""

    kind: Literal["check"]
    check: Literal["key", "tests", "json_schema", "pattern", "python"]
    entry_point: Name | None = None
    timeout_s: Real = Field(default=5.0, gt=0)
    memory_mb: Count = 512

    context_tokens: Literal[0] = 0
    parameters: Literal[0] = 0

    def token_price(self) -> Price:
        return FREE


class EnsembleVerifier(Section):
    """The weighted mean of other verifiers' scores."""

    kind: Literal["ensemble"]
    weights: Mapping[str, Rate] = Field(min_length=1)
    quality: Quality | None = None


class MajorityVerifier(Section):
    """Counts votes: an answer's score is its share of the samples. Reads no token and costs nothing."""

    kind: Literal["majority"]

    @property
    def context_tokens(self) -> int:
        return 0

    @property
    def parameters(self) -> int:
        return 0

    def token_price(self) -> Price:
        return FREE


Verifier = Annotated[
    PrmVerifier
    | OrmVerifier
    | RemoteVerifier
    | JudgeVerifier
    | CheckVerifier
    | EnsembleVerifier
    | MajorityVerifier,
    Field(discriminator="kind"),
]


class StoppingRule(Section):
    """:class:`router.types.Stopping`."""

    rule: Literal["none", "leader", "beta", "window"] = "leader"
    confidence: Real = Field(default=0.95, ge=0.5, lt=1)
    window: Annotated[int, Field(strict=True, ge=2)] | None = None


class Policy(Section):
    """What a client of "gradus/<name>" gets: the models, how hard to search, and what an answer is worth.

    ``strategy`` "auto" follows the difficulty; a name is used for every query that is searched.
    """

    small: Name
    verifier: Name
    large: Name | None = None
    strategy: Literal["auto"] | StrategyName = "auto"
    task: TaskKind = "auto"
    probe_samples: int = Field(default=16, strict=True, ge=0)
    search_samples: Count = 16
    beam_width: Count | Literal["sqrt"] = 4
    lookahead_steps: Count = 1
    chain_length: Count = 4
    max_drop: Real = Field(default=0.1, ge=0, le=1)
    stopping: StoppingRule = StoppingRule()
    min_accuracy: Real | None = Field(default=None, ge=0, le=1)
    usd_per_right_answer: Usd
    max_cost_usd: Usd | None = None
    deadline_s: Real = Field(default=60.0, gt=0)


class Server(Section):
    host: Name = "127.0.0.1"
    port: int = Field(default=8080, strict=True, ge=1, le=65535)
    max_body_bytes: Count = 1_000_000
    redis_url: Annotated[str, Field(pattern=r"^(redis|rediss|unix)://")] = "redis://127.0.0.1:6379/0"


class Config(Section):
    """A whole configuration, valid in itself: every name that it mentions exists."""

    models: Mapping[str, Model] = Field(min_length=1)
    verifiers: Mapping[str, Verifier] = Field(min_length=1)
    policies: Mapping[str, Policy] = Field(min_length=1)
    calibration: Name | None = None
    server: Server = Server()
