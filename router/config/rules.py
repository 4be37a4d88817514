"""The rules of a policy: what is decided by what a request looks like, before anything is predicted."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from router.config.fields import Count, Name, Section


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    return pattern


Pattern = Annotated[Name, AfterValidator(_compiles)]
LANGUAGE = r"^[a-z]{2}$"
Language = Annotated[str, Field(pattern=LANGUAGE)]


class Condition(Section):
    """What a request must look like; all that is given must hold.

    ``prefix`` and ``pattern`` read the last message of the user; ``users`` the request's field ``user``.
    """

    tools: bool | None = Field(default=None, strict=True)
    images: bool | None = Field(default=None, strict=True)
    min_prompt_tokens: Count | None = None
    languages: Annotated[tuple[Language, ...], Field(min_length=1)] | None = None
    prefix: Name | None = None
    pattern: Pattern | None = None
    users: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Condition:
        if all(value is None for _, value in self):
            raise ValueError(f"is empty; give at least one of {', '.join(type(self).model_fields)}")
        return self


class Rule(Section):
    """Where ``when`` holds: answer with ``use`` ("small", "large", a model, an action), or refuse.

    ``refuse`` is what the client is told.
    """

    name: Name | None = None
    when: Condition
    use: Name | None = None
    refuse: Name | None = None

    @model_validator(mode="after")
    def _does_one_thing(self) -> Rule:
        if (self.use is None) == (self.refuse is None):
            found = "neither" if self.use is None else "both"
            raise ValueError(f"must give either use (a way to answer) or refuse (a text), found {found}")
        return self
