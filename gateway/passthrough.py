"""Completions, embeddings and responses: passed through to a model by its name, and billed like any answer.

Nothing is routed or searched here. A request's worst case is reserved first, as a chat's is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from pydantic_core import to_json

from gateway.bill import Bill
from gateway.caller import Caller
from gateway.dispatch import LastWords
from gateway.errors import BadRequest, GatewayError, ModelNotFound, NotCached
from gateway.planning import ASSUMED_TOKENS, DEFAULT_POLICY, GRADUS
from gateway.schemas import json_object
from gateway.settling import Cashier
from gateway.streams import RawFeed
from gateway.upstreams import Calls, Question, Upstreams
from router.config import Config, Endpoint, LiteLLMModel, OpenAIModel
from router.fees import fees_of
from router.market import Market
from router.pricing import DIRECT, fallbacks_of
from router.prompts import added_tokens
from router.types import Query

_LIMITS: Final[Mapping[Endpoint, str]] = {"completions": "max_tokens", "responses": "max_output_tokens"}
_CHAT_LIMITS: Final = ("max_tokens", "max_completion_tokens")
"""Beside an endpoint's own limit nobody knows which of them its server heeds."""
_COUNTS: Final = ("n", "best_of", "max_tokens", "max_output_tokens")
_MOST: Final = 2**31 - 1
_BYTES_A_TOKEN: Final = 3
# What a server reads besides the body, of a size that nobody knows here.
_ELSEWHERE: Final = ("previous_response_id", "conversation")
# Items and parts that are all here, and the field that holds them.
_HOLDS: Final[Mapping[str, str]] = {
    "message": "content",
    "text": "text",
    "input_text": "text",
    "output_text": "text",
    "refusal": "refusal",
    "function_call": "arguments",
    "function_call_output": "output",
    "custom_tool_call": "input",
    "custom_tool_call_output": "output",
}


@dataclass(frozen=True, slots=True)
class Direct:
    """A checked request to one model. ``body`` is the JSON object as it came."""

    endpoint: Endpoint
    model: str
    body: Mapping[str, Any]

    @property
    def stream(self) -> bool:
        return self.body.get("stream") is True

    @property
    def include_usage(self) -> bool:
        options = self.body.get("stream_options")
        return isinstance(options, dict) and options.get("include_usage") is True

    @property
    def fees(self) -> tuple[str, ...]:
        """What its provider prices apart from tokens: then nobody here knows the cost."""
        messages = self.body.get("input")
        turns = [each for each in messages if isinstance(each, dict)] if isinstance(messages, list) else []
        priced = (_LIMITS.get(self.endpoint), "best_of" if self.endpoint == "completions" else None)
        others = {name: value for name, value in self.body.items() if name not in priced}
        limits = tuple(name for name in _CHAT_LIMITS if others.get(name) is not None)
        return fees_of(Query(messages=tuple(turns), extra=others)) + limits


def read(raw: bytes, endpoint: Endpoint) -> Direct:
    """Raises :class:`gateway.errors.BadRequest`. What is not checked here is for the server to check."""
    body = json_object(raw, "a JSON object with a model")
    if "model" not in body:
        raise BadRequest(
            "Missing required parameter: 'model'.", code="missing_required_parameter", param="model"
        )
    if not isinstance(body["model"], str):
        raise BadRequest("Invalid 'model': should be a text.", code="invalid_type", param="model")
    for name in _COUNTS:
        value = body.get(name)
        if value is not None and (
            not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST
        ):
            raise BadRequest(
                f"Invalid '{name}': should be a whole number of at least 1 and at most {_MOST}.", param=name
            )
    for name, kind in (("stream", bool), ("stream_options", dict), ("tools", list)):
        if body.get(name) is not None and not isinstance(body[name], kind):
            raise BadRequest(
                f"Invalid '{name}': should be a {kind.__name__}.", code="invalid_type", param=name
            )
    if body.get("background"):
        raise BadRequest(
            "A response in the background is not passed on: nobody here would hear what it costs. "
            "Leave 'background' out, and ask for a stream if it may take long.",
            code="unsupported_feature",
            param="background",
        )
    return Direct(endpoint, body["model"], body)


@dataclass(slots=True)
class Errand:
    """One request on its way, as :class:`gateway.settling.Billed`."""

    asked: Direct
    caller: Caller
    bill: Bill
    most_usd: Decimal | None
    began_s: float
    policy: str | None = None
    given_up: list[LastWords] = field(default_factory=list)

    @property
    def asked_for(self) -> str:
        return self.asked.model

    @property
    def fees(self) -> tuple[str, ...]:
        return self.asked.fees

    def most_tokens(self, config: Config) -> int:
        """About as many as it may use: for limits a minute."""
        written = _most_written(self.asked, _model(config, self.asked.model))
        return _bytes(self.asked) // _BYTES_A_TOKEN + (ASSUMED_TOKENS if written is None else written)


@dataclass(frozen=True, slots=True)
class Passed:
    """``raw`` is the server's answer, byte by byte; ``model`` the one that answered."""

    raw: bytes
    model: str
    cost_usd: Decimal | None


class Passthrough:
    """Passes requests to the models of a market."""

    def __init__(self, market: Market, upstreams: Upstreams, cashier: Cashier) -> None:
        self._market, self._upstreams, self._cashier = market, upstreams, cashier

    def check(self, asked: Direct) -> None:
        """Raises :class:`BadRequest` or :class:`ModelNotFound` where there is no such model for this."""
        models = self._market.config.models
        able = [name for name, model in models.items() if asked.endpoint in _endpoints(model)]
        if asked.model in able:
            return
        there = f"these have it: {', '.join(able)}" if able else "no configured model has it"
        if asked.model in models:
            said = f"Model '{asked.model}' is not configured for {asked.endpoint} (its `endpoints`); {there}."
        elif asked.model.partition("/")[0] == GRADUS:
            said = f"'{asked.model}' routes chats; {asked.endpoint} go to a model by its name: {there}."
        else:
            raise ModelNotFound(f"There is no model '{asked.model}' for {asked.endpoint}; {there}.")
        raise BadRequest(said, code="unsupported_feature", param="model")

    async def answer(self, asked: Direct, caller: Caller, feed: RawFeed | None = None) -> Passed:
        """Reserve, ask, settle; ``feed`` hears a stream.

        Raises :class:`GatewayError`; its ``account`` says what was spent.
        """
        self.check(asked)
        if caller.control.only:
            raise NotCached  # nothing of these endpoints is kept
        errand = Errand(asked, caller, Bill(self._market), self.worst_case_usd(asked), time.perf_counter())
        calls = Calls(once=caller.account.caps_money)
        deadline_s = self._market.config.policies[DEFAULT_POLICY].deadline_s
        until_s = asyncio.get_running_loop().time() + deadline_s
        question = Question(asked.model, asked.body, until_s, calls, asked.endpoint)
        raw, upstream_id = b"", None
        try:
            async with self._cashier.billing(errand) as slip:
                try:
                    if feed is None:
                        said = await self._upstreams.complete(question)
                        raw, upstream_id = said.raw, said.data.get("id")
                    else:
                        await self._upstreams.stream(question, feed)
                        upstream_id = feed.upstream_id
                finally:
                    for reading in calls.made:
                        errand.bill.add_call("direct", reading, asked.fees)
                assert calls.answer is not None, "it answered"
                slip.answer("large", calls.answer.model, DIRECT.name, upstream_id)
        except GatewayError as error:
            error.account = errand.bill.account() if errand.bill.lines else None
            raise
        return Passed(raw, calls.answer.model, errand.bill.cost_usd)

    def worst_case_usd(self, asked: Direct) -> Decimal | None:
        """The most that it may cost, with the model or whichever fallback answers; ``None``: nobody knows."""
        if asked.fees:
            return None
        models = self._market.config.models
        costs = [
            self._worst_case_usd(asked, name) for name in (asked.model, *fallbacks_of(models[asked.model]))
        ]
        known = [cost for cost in costs if cost is not None]
        return max(known) if len(known) == len(costs) else None

    def _worst_case_usd(self, asked: Direct, name: str) -> Decimal | None:
        model = _model(self._market.config, name)
        read, written = _most_read(asked, model), _most_written(asked, model)
        if read is None or written is None:
            return None
        return self._market.model_prices[name].most_usd(read, written)


def _model(config: Config, name: str) -> OpenAIModel | LiteLLMModel:
    model = config.models[name]
    assert isinstance(model, OpenAIModel | LiteLLMModel), "it was checked"
    return model


def _endpoints(model: object) -> tuple[Endpoint, ...]:
    return model.endpoints if isinstance(model, OpenAIModel | LiteLLMModel) else ()


def _prompts(asked: Direct) -> int:
    """How many texts are continued, or embedded: a list of token ids is one."""
    given = asked.body.get("prompt" if asked.endpoint == "completions" else "input")
    if asked.endpoint == "responses" or not isinstance(given, list) or not given:
        return 1
    return sum(not isinstance(each, int) for each in given) or 1


def _most_read(asked: Direct, model: OpenAIModel | LiteLLMModel) -> int | None:
    """A token is at least a byte of the body; pictures, and what the server holds, have no such bound."""
    body = asked.body
    all_is_here = (
        not any(body.get(name) for name in _ELSEWHERE)
        and all(_is_text(body.get(name)) for name in ("prompt", "suffix"))
        and all(_are_turns(body.get(name)) for name in ("input", "instructions", "messages"))
    )
    context = None if model.context_tokens is None else model.context_tokens * _prompts(asked)
    added = added_tokens(body) if asked.endpoint == "responses" else 0
    here = _bytes(asked) + added if all_is_here else None
    return min((bound for bound in (here, context) if bound is not None), default=None)


def _most_written(asked: Direct, model: OpenAIModel | LiteLLMModel) -> int | None:
    if asked.endpoint == "embeddings":
        return 0
    limit = model.completion_limit(asked.body.get(_LIMITS[asked.endpoint]))
    each = max(asked.body.get("n") or 1, asked.body.get("best_of") or 1)
    return None if limit is None else limit * each * _prompts(asked)


def _bytes(asked: Direct) -> int:
    """Of the whole body, which is more than a model reads of it."""
    return len(to_json(asked.body))


def _is_text(value: object) -> bool:
    """Texts and tokens, however nested."""
    if isinstance(value, list):
        return all(map(_is_text, value))
    return value is None or isinstance(value, str | int)


def _are_turns(value: object) -> bool:
    """Whether all that is read is here: texts, tokens, and items that are known to hold nothing else."""
    if isinstance(value, list):
        return all(map(_are_turns, value))
    if not isinstance(value, dict):
        return _is_text(value)
    holds = _HOLDS.get(value.get("type") or "message") if isinstance(value.get("type"), str | None) else None
    return holds is not None and value.get(holds) is not None and _are_turns(value[holds])
