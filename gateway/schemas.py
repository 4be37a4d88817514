"""The request body: what is checked, strictly; everything else is kept as it came."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError, from_json

from gateway.errors import BadRequest
from gateway.options import GradusOptions

S = TypeVar("S", bound=BaseModel)
Role = Literal["system", "developer", "user", "assistant", "tool", "function"]


class _Permissive(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, frozen=True)


class Message(_Permissive):
    """A chat message; ``content`` is text, a list of parts, or (of an assistant) null beside tool calls."""

    role: Role
    content: Any = Field(
        None,
        validate_default=True,
        json_schema_extra={"anyOf": [{"type": "string"}, {"type": "array"}, {"type": "null"}]},
    )

    @field_validator("content")
    @classmethod
    def _text_or_parts(cls, content: Any, info: ValidationInfo) -> Any:
        if isinstance(content, str) or (content is None and info.data.get("role") in (None, "assistant")):
            return content
        if not isinstance(content, list):
            raise PydanticCustomError("invalid_type", "should be a text or a list of content parts")
        for index, part in enumerate(content):
            if not isinstance(part, dict) or not isinstance(part.get("type"), str):
                raise PydanticCustomError(
                    "invalid_type", 'part {index} should be an object with a "type"', {"index": index}
                )
            if part["type"] == "text" and not isinstance(part.get("text"), str):
                raise PydanticCustomError(
                    "invalid_type",
                    'part {index} is of type "text" and should have a "text"',
                    {"index": index},
                )
        return content


class StreamOptions(_Permissive):
    include_usage: bool = False


TokenLimit = Annotated[int, Field(ge=1, le=2**31 - 1)]


class ChatRequest(_Permissive):
    """A chat completion request as OpenAI defines it. Fields unknown here reach the model that answers."""

    model: str = Field(
        description='"gradus" (default policy), "gradus/<policy>", or a configured model\'s name (no routing)'
    )
    messages: list[Message] = Field(min_length=1)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: TokenLimit | None = None
    max_completion_tokens: TokenLimit | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    stop: str | list[str] | None = None
    seed: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    logit_bias: dict[str, float] | None = None
    tools: list[dict[str, Any]] | None = None
    functions: list[dict[str, Any]] | None = None
    response_format: dict[str, Any] | None = None
    user: str | None = None
    gradus: GradusOptions | None = None

    @field_validator("stop")
    @classmethod
    def _few_stops(cls, stop: str | list[str] | None) -> str | list[str] | None:
        if isinstance(stop, list) and len(stop) > MAX_STOPS:
            raise PydanticCustomError("too_long", "should have at most {most} texts", {"most": MAX_STOPS})
        if stop == "" or (isinstance(stop, list) and "" in stop):
            raise PydanticCustomError("invalid_value", "should not be an empty text")
        return stop


MAX_STOPS = 16


def parse(raw: bytes) -> tuple[ChatRequest, dict[str, Any]]:
    """Read a body: the checked request, and the JSON object as the client sent it.

    Raises :class:`gateway.errors.BadRequest` that names the field and what would be right.
    """
    body = json_object(raw, "a JSON object with model and messages")
    return checked(ChatRequest, body), body


def json_object(raw: bytes, wanted: str) -> dict[str, Any]:
    """``wanted`` says in errors what should be there. Raises :class:`gateway.errors.BadRequest`."""
    try:
        body = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise BadRequest(f"The body is not valid JSON: {error}.", code="invalid_json") from error
    if not isinstance(body, dict):
        raise BadRequest(f"The body should be {wanted}, not {_json_type(body)}.", code="invalid_type")
    if _MAY_OVERFLOW.search(raw) and not _is_finite(body):
        raise BadRequest(
            "The body has a number that no 64-bit float holds (1e999): it should be less than 1.8e308.",
            code="invalid_json",
        )
    return body


_MAY_OVERFLOW: Final = re.compile(rb"[0-9.][eE]\+?[0-9]|[0-9]{300}")
"""Only such numbers are read as infinite: most bodies need no second look."""


def _is_finite(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    within = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return all(map(_is_finite, within))


def checked(schema: type[S], values: object) -> S:
    """``values`` as ``schema`` has them. Raises :class:`gateway.errors.BadRequest` for the first fault."""
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise _bad_field(error) from error


def _bad_field(error: ValidationError) -> BadRequest:
    first = error.errors(include_url=False)[0]
    param = _param(first["loc"])
    if first["type"] == "missing":
        return BadRequest(
            f"Missing required parameter: '{param}'.", code="missing_required_parameter", param=param
        )
    code = "invalid_type" if first["type"].endswith(("_type", "int_from_float")) else "invalid_value"
    message = first["msg"][0].lower() + first["msg"][1:]
    if first["type"] == "too_short":
        message = "should not be empty"
    return BadRequest(f"Invalid '{param}': {message}.", code=code, param=param)


def _param(location: tuple[int | str, ...]) -> str:
    """``("messages", 0, "role")`` as OpenAI writes it: ``messages[0].role``; names of union arms left out."""
    name = ""
    for part in location:
        if isinstance(part, int):
            name += f"[{part}]"
        elif part not in ("str", "list[str]"):
            name += f".{part}" if name else part
    return name


def _json_type(value: object) -> str:
    names = {list: "an array", str: "a string", int: "a number", float: "a number", bool: "a boolean"}
    return names.get(type(value), "null")


class ErrorDetail(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None
    request_id: str | None = None


class ErrorBody(BaseModel):
    """OpenAI's error object; ``gradus`` says what was spent all the same, if it got that far."""

    error: ErrorDetail
    gradus: dict[str, Any] | None = None


class UsageLine(BaseModel):
    purpose: str
    model: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cached_prompt_tokens: int
    reasoning_tokens: int
    flops: float | None
    cost_usd: str | None


class TokensByPurpose(BaseModel):
    probe: int
    candidates: int
    verifier: int
    direct: int
    escalation: int


class GradusObject(BaseModel):
    """What was decided, and what it cost. docs/api.md describes every field."""

    route: Literal["small", "large"]
    model: str
    policy: str | None
    difficulty: float | None = Field(
        description="Estimated probability that one sample of the small model is right"
    )
    bin: Literal["easy", "medium", "hard", "very_hard"] | None
    strategy: str
    samples: int
    confidence: float | None
    tokens: TokensByPurpose
    flops: float | None
    cost_usd: str | None = Field(description="US dollars, a decimal in text; null while a price is unknown")
    lines: list[UsageLine]
    latency_s: dict[str, float]
    cached: bool = Field(default=False, description="Whether it came out of the cache, and cost nothing")
    notice: str | None = None


class ChatCompletion(BaseModel):
    """OpenAI's chat completion, with the ``gradus`` object."""

    model_config = ConfigDict(extra="allow")

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[dict[str, Any]]
    usage: dict[str, Any]
    gradus: GradusObject


class Explanation(BaseModel):
    """A plan; docs/api.md describes it."""

    object: Literal["gradus.explanation"]
    plan: dict[str, Any]


class ModelCard(BaseModel):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(BaseModel):
    object: Literal["list"]
    data: list[ModelCard]


class Health(BaseModel):
    status: Literal["ok"]


class Readiness(BaseModel):
    status: Literal["ready", "unready", "stopping"]
    reasons: list[str]
    warnings: list[str]
