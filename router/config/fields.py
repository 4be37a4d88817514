"""What every section of a configuration is made of: strict numbers, names, and prices."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from cost_model.prices import Price, per_machine_hour, per_million

Count = Annotated[int, Field(strict=True, ge=1)]
"""A whole number of at least 1; ``true`` and ``3.0`` are not."""
URL = r"^https?://"
ENTRY_POINT = r"^[\w.]+:\w+$"
Name = Annotated[str, Field(min_length=1)]


def _no_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError(f"must be a number, not {str(value).lower()}")
    return value


def _redis(url: str) -> str:
    """Not shown where it is wrong: there may be a password in it."""
    if not url.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("must be a URL that starts with redis://, rediss:// or unix://")
    try:
        _ = urlsplit(url).port
    except ValueError:  # which quotes the port; behind a password with a slash it is a part of that
        raise ValueError(
            "must be a URL like redis://:PASSWORD@HOST:6379/0; a slash in the password is written %2F"
        ) from None
    return url


def _variable(name: str) -> str:
    """Not shown where it is wrong: somebody may have put the key itself there."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError("must be the name of an environment variable that holds the key, as OPENAI_API_KEY")
    return name


RedisUrl = Annotated[str, AfterValidator(_redis)]
EnvName = Annotated[str, AfterValidator(_variable)]
Usd = Annotated[Decimal, BeforeValidator(_no_bool), Field(ge=0)]
Rate = Annotated[Decimal, BeforeValidator(_no_bool), Field(gt=0)]
Real = Annotated[float, BeforeValidator(_no_bool), Field(allow_inf_nan=False)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelPrice(Section):
    """Either USD an hour of machine over measured throughput, or USD a million tokens.

    Of the latter, prompt tokens that were cached or written to a cache, and completion tokens that were
    thinking, may have prices of their own; without, they cost what the others do.
    """

    usd_per_hour: Usd | None = None
    prompt_tokens_per_second: Rate | None = None
    completion_tokens_per_second: Rate | None = None
    usd_per_million_prompt_tokens: Usd | None = None
    usd_per_million_completion_tokens: Usd | None = None
    usd_per_million_cached_prompt_tokens: Usd | None = None
    usd_per_million_reasoning_tokens: Usd | None = None
    usd_per_million_cache_write_tokens: Usd | None = None

    @model_validator(mode="after")
    def _one_way(self) -> ModelPrice:
        machine = ("usd_per_hour", "prompt_tokens_per_second", "completion_tokens_per_second")
        tokens = ("usd_per_million_prompt_tokens", "usd_per_million_completion_tokens")
        special = (
            "usd_per_million_cached_prompt_tokens",
            "usd_per_million_reasoning_tokens",
            "usd_per_million_cache_write_tokens",
        )
        _exactly_one_way(self, machine, tokens, optional=special)
        self.price()
        return self

    def price(self) -> Price:
        read, written = self.prompt_tokens_per_second, self.completion_tokens_per_second
        if self.usd_per_hour is not None and read is not None and written is not None:
            return per_machine_hour(self.usd_per_hour, read, written)
        return per_million(
            self.usd_per_million_prompt_tokens,
            self.usd_per_million_completion_tokens,
            self.usd_per_million_cached_prompt_tokens,
            self.usd_per_million_reasoning_tokens,
            self.usd_per_million_cache_write_tokens,
        )


class VerifierPrice(Section):
    """Either USD an hour of machine over measured throughput, or USD a million tokens read."""

    usd_per_hour: Usd | None = None
    tokens_per_second: Rate | None = None
    usd_per_million_tokens: Usd | None = None

    @model_validator(mode="after")
    def _one_way(self) -> VerifierPrice:
        _exactly_one_way(self, ("usd_per_hour", "tokens_per_second"), ("usd_per_million_tokens",))
        self.price()
        return self

    def price(self) -> Price:
        if self.usd_per_hour is not None and self.tokens_per_second is not None:
            return per_machine_hour(self.usd_per_hour, self.tokens_per_second, self.tokens_per_second)
        return per_million(self.usd_per_million_tokens, self.usd_per_million_tokens)


def _exactly_one_way(section: Section, *ways: tuple[str, ...], optional: tuple[str, ...] = ()) -> None:
    """The last of the ways may come with what is ``optional``."""
    given = {name for name, value in section if value is not None}
    if given not in [set(way) for way in ways] and given - set(optional) != set(ways[-1]):
        choice = ", or ".join(" and ".join(way) for way in ways)
        raise ValueError(f"must give either {choice}; found {', '.join(sorted(given)) or 'nothing'}")
