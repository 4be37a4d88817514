"""The models of a configuration: what runs them, and what a search must know of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from cost_model.prices import UNKNOWN, Price
from router.config.fields import URL, Count, EnvName, ModelPrice, Name, Real, Section

REVISE: Final = (
    "There may be a mistake in that answer. Find it and correct it, then answer the question again from the "
    "beginning, in the same form."
)
"""What revisions ask after each earlier attempt of a model that was not trained with other words."""


class Latency(Section):
    """Of one answer on an idle machine; searches sample side by side, so they take little longer."""

    first_token_s: Real = Field(ge=0)
    completion_tokens_per_second: Real = Field(gt=0)


class _AnyModel(Section):
    price: ModelPrice | None = None
    latency: Latency | None = None

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
    revise_prompt: Name = REVISE
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


Endpoint = Literal["chat", "completions", "embeddings", "responses"]
"""What of OpenAI's API a model has: /v1/chat/completions, and those that are passed through."""


class Timeouts(Section):
    """Of one call of a server; ``None`` leaves it to the request's deadline."""

    connect_s: Real = Field(default=5, gt=0)
    first_token_s: Real | None = Field(default=None, gt=0)
    total_s: Real | None = Field(default=None, gt=0)


class _Deployment(Section):
    api_key_env: EnvName | None = None
    weight: Real = Field(default=1, gt=0)
    max_concurrent_requests: Count | None = None


class OpenAIDeployment(_Deployment):
    """One of several servers that have the same model; ``upstream_model`` where it has another name there."""

    base_url: Annotated[str, Field(pattern=URL)]
    upstream_model: Name | None = None


class LiteLLMDeployment(_Deployment):
    """One of several places where litellm finds the same model."""

    litellm_model: Name
    base_url: Annotated[str, Field(pattern=URL)] | None = None


@dataclass(frozen=True, slots=True)
class Deployed:
    """A place to ask for a model, complete. ``model`` is what it is called there."""

    model: str
    base_url: str | None
    api_key_env: str | None
    weight: float = 1
    max_concurrent_requests: int | None = None


class _Upstream(Section):
    api_key_env: EnvName | None = None
    context_tokens: Count | None = None
    max_tokens: Count | None = None
    limit_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    thinks: bool = Field(default=False, strict=True)
    parameters: Count | None = None
    endpoints: tuple[Endpoint, ...] = Field(default=("chat",), min_length=1)
    fallbacks: tuple[Name, ...] = ()
    max_retries: int = Field(default=2, strict=True, ge=0, le=10)
    cooldown_s: Real = Field(default=10, gt=0)
    timeouts: Timeouts = Timeouts()

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
    base_url: Annotated[str, Field(pattern=URL)] | None = None
    upstream_model: Name | None = None
    tokenizer: Name | None = None
    deployments: tuple[OpenAIDeployment, ...] = ()

    @model_validator(mode="after")
    def _is_somewhere(self) -> OpenAIModel:
        if bool(self.deployments) == (self.base_url is not None):
            raise ValueError("must give either base_url, or deployments with a base_url each")
        if self.deployments and self.api_key_env is not None:
            raise ValueError("must give api_key_env with each of its deployments: keys are a server's own")
        named = bool(self.deployments) and all(each.upstream_model for each in self.deployments)
        if self.upstream_model is None and not named:
            raise ValueError("must give upstream_model: what the server calls the model")
        return self

    @property
    def deployed(self) -> tuple[Deployed, ...]:
        """Where it is, at least one place."""
        if not self.deployments:
            return (Deployed(self.upstream_model or "", self.base_url, self.api_key_env),)
        return tuple(
            Deployed(
                each.upstream_model or self.upstream_model or "",
                each.base_url,
                each.api_key_env,
                each.weight,
                each.max_concurrent_requests,
            )
            for each in self.deployments
        )


class LiteLLMModel(_Upstream, _AnyModel):
    """Any model that litellm knows by name; its price map prices it where ``price`` is not given."""

    engine: Literal["litellm"]
    litellm_model: Name | None = None
    base_url: Annotated[str, Field(pattern=URL)] | None = None
    deployments: tuple[LiteLLMDeployment, ...] = ()

    @model_validator(mode="after")
    def _is_somewhere(self) -> LiteLLMModel:
        if bool(self.deployments) == (self.litellm_model is not None):
            raise ValueError("must give either litellm_model, or deployments with a litellm_model each")
        if self.deployments and (self.api_key_env is not None or self.base_url is not None):
            raise ValueError("must give api_key_env and base_url with each of its deployments")
        if "responses" in self.endpoints:  # litellm's need a package of its proxy
            raise ValueError("cannot have responses, which engine openai passes through; leave that out")
        return self

    @property
    def deployed(self) -> tuple[Deployed, ...]:
        """Where it is, at least one place."""
        if not self.deployments:
            return (Deployed(self.litellm_model or "", self.base_url, self.api_key_env),)
        return tuple(
            Deployed(
                each.litellm_model, each.base_url, each.api_key_env, each.weight, each.max_concurrent_requests
            )
            for each in self.deployments
        )


Model = Annotated[TransformersModel | OpenAIModel | LiteLLMModel, Field(discriminator="engine")]
SearchedModel = TransformersModel | OpenAIModel
