"""What a configuration may say. docs/configuration.md describes every field; keep the two in step."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from cost_model.prices import FREE, UNKNOWN, Price, per_machine_hour, per_million

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


class TransformersModel(_AnyModel):
    """Runs in a worker process."""

    engine: Literal["transformers"]
    path: Name
    context_tokens: Count
    max_tokens: Count
    parameters: Count | None = None
    temperature: Real = Field(default=0.8, ge=0, le=2)

    def completion_limit(self, requested: int | None) -> int:
        """The most tokens of one completion: what the request asks for, else ``max_tokens``; it must fit."""
        return min(self.max_tokens if requested is None else requested, self.context_tokens)


class _UpstreamModel(_AnyModel):
    api_key_env: Name | None = None
    context_tokens: Count | None = None
    max_tokens: Count | None = None
    parameters: Count | None = None

    def completion_limit(self, requested: int | None) -> int | None:
        """The most tokens of one completion; ``None`` when neither request nor configuration bounds it."""
        limits = [each for each in (requested or self.max_tokens, self.context_tokens) if each is not None]
        return min(limits, default=None)


class OpenAIModel(_UpstreamModel):
    """Any server that speaks OpenAI's API; bodies pass straight through."""

    engine: Literal["openai"]
    base_url: Annotated[str, Field(pattern=r"^https?://")]
    upstream_model: Name


class LiteLLMModel(_UpstreamModel):
    """Any model that litellm knows by name; its price map prices it where ``price`` is not given."""

    engine: Literal["litellm"]
    litellm_model: Name
    base_url: Annotated[str, Field(pattern=r"^https?://")] | None = None


Model = Annotated[TransformersModel | OpenAIModel | LiteLLMModel, Field(discriminator="engine")]


class PrmVerifier(Section):
    """A process reward model; runs in a worker process."""

    kind: Literal["prm"]
    path: Name
    context_tokens: Count
    parameters: Count | None = None
    price: VerifierPrice | None = None

    def token_price(self) -> Price:
        return UNKNOWN if self.price is None else self.price.price()


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


Verifier = Annotated[PrmVerifier | MajorityVerifier, Field(discriminator="kind")]


class Policy(Section):
    """What a client of "gradus/<name>" gets: the models, how hard to search, and what an answer is worth."""

    small: Name
    verifier: Name
    large: Name | None = None
    probe_samples: int = Field(default=16, strict=True, ge=0)
    search_samples: Count = 16
    beam_width: Count = 4
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
