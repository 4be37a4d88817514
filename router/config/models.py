"""The models of a configuration: what runs them, and what a search must know of them."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from cost_model.prices import UNKNOWN, Price
from router.config.fields import URL, Count, ModelPrice, Name, Real, Section

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
    base_url: Annotated[str, Field(pattern=URL)]
    upstream_model: Name
    tokenizer: Name | None = None


class LiteLLMModel(_Upstream, _AnyModel):
    """Any model that litellm knows by name; its price map prices it where ``price`` is not given."""

    engine: Literal["litellm"]
    litellm_model: Name
    base_url: Annotated[str, Field(pattern=URL)] | None = None


Model = Annotated[TransformersModel | OpenAIModel | LiteLLMModel, Field(discriminator="engine")]
SearchedModel = TransformersModel | OpenAIModel
