"""Between OpenAI's JSON and the vocabulary of the project. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from gateway.bill import joined
from gateway.errors import BadRequest
from gateway.schemas import ChatRequest
from gateway.structured import forces_tools, structured_task, told
from router.limits import REQUIRED_TOOLS
from router.probe import bin_of
from router.types import Alternative, Decision, Plan, Query, Sampling, Task
from router.wish import Wish

# Fields of the body that are no business of the model that answers.
_ENVELOPE = frozenset({"model", "messages", "stream", "stream_options", "gradus"})
# Fields that Query.sampling holds.
_SAMPLING = frozenset({"max_tokens", "max_completion_tokens", "temperature", "top_p", "stop", "seed"})
_HELD = _ENVELOPE | _SAMPLING
_AS_CONFIGURED = Sampling()
_ANY_TASK = Task()
# Fields that say who asks or how to file it, and change no answer (but see Asked.not_honoured).
_NEUTRAL = frozenset(
    {
        "user",
        "metadata",
        "store",
        "service_tier",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
    }
)


def _much(effort: Any) -> bool:
    """Whether it asks for more thinking than models do by themselves."""
    return isinstance(effort, str) and effort not in ("none", "minimal", "low", "medium")


# Fields that a search in a worker cannot honour, and when they ask for something at all.
_NEEDS: Mapping[str, Callable[[Any], bool]] = {
    "tools": bool,
    "functions": bool,
    "response_format": lambda value: isinstance(value, dict) and value.get("type", "text") != "text",
    "n": lambda value: value is not None and value > 1,
    "logprobs": bool,
    "top_logprobs": bool,
    "logit_bias": bool,
    "presence_penalty": bool,
    "frequency_penalty": bool,
    "modalities": lambda value: value is not None and value != ["text"],
    "audio": bool,
    "prediction": bool,
    "web_search_options": lambda value: value is not None,
    "reasoning_effort": _much,
    "reasoning": lambda value: isinstance(value, dict) and _much(value.get("effort")),
}
# Of these the values that ask for nothing; with others they are named where a search answers all the same.
_FILED: Mapping[str, tuple[Any, ...]] = {
    "service_tier": ("auto", "default"),
    "store": (False,),
    "reasoning_effort": (),
    "reasoning": (),
}
# Fields that mean nothing without those above.
_COMPANIONS = frozenset({"tool_choice", "parallel_tool_calls", "function_call"})


@dataclass(frozen=True, slots=True)
class Asked:
    """A checked request.

    ``body`` is the JSON object as it came, but for what is ours: ``options``, its ``gradus`` object.
    ``params`` says where each need was. ``wish`` is what the request says of its search.
    """

    model: str
    query: Query
    body: Mapping[str, Any]
    params: Mapping[str, str]
    stream: bool
    include_usage: bool
    wish: Wish | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def not_honoured(self) -> tuple[str, ...]:
        """Fields that mean something to some server, and nothing to a search."""
        known = _NEUTRAL | _COMPANIONS | _NEEDS.keys()
        if self.query.task.kind == "tools":  # calls have their own schemas; there is no other text
            known -= {"response_format"}
        unknown = [
            name
            for name, value in self.query.extra.items()
            if value is not None and (name not in known or (name in _FILED and value not in _FILED[name]))
        ]
        options = self.body.get("stream_options") or {}
        unknown += [f"stream_options.{name}" for name in options if name != "include_usage" and options[name]]
        return tuple(unknown)


def read(request: ChatRequest, body: Mapping[str, Any]) -> Asked:
    """Raises :class:`gateway.errors.BadRequest` where two fields contradict each other."""
    choice = body.get("tool_choice")
    if (choice == "required" or isinstance(choice, dict)) and not body.get("tools"):
        raise BadRequest("tool_choice asks for a call, and there are no tools.", param="tool_choice")
    params = dict(_needs(body))
    options = request.gradus
    task = structured_task(_ANY_TASK if options is None else options.answer_task(), body)
    return Asked(
        model=request.model,
        query=Query(
            messages=told([_plain(message) for message in body["messages"]], task),
            sampling=_AS_CONFIGURED if _SAMPLING.isdisjoint(body) else _sampling(request),
            needs=tuple(params),
            extra={name: value for name, value in body.items() if name not in _HELD},
            task=task,
        ),
        body={name: value for name, value in body.items() if name != "gradus"} if "gradus" in body else body,
        params=params,
        stream=bool(request.stream),
        include_usage=request.stream_options is not None and request.stream_options.include_usage,
        wish=None if options is None else options.wish(),
        options=body.get("gradus") or {},
    )


def _sampling(request: ChatRequest) -> Sampling:
    old, new = request.max_tokens, request.max_completion_tokens
    if old is not None and new is not None and old != new:
        raise BadRequest(
            f"max_tokens ({old}) and max_completion_tokens ({new}) mean the same; give one of them.",
            param="max_tokens",
        )
    stop = (request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ())
    return Sampling(
        max_tokens=old if new is None else new,
        temperature=0.0 if request.top_p == 0 else request.temperature,  # the likeliest token alone, too
        top_p=request.top_p or None,
        stop=stop,
        seed=request.seed,
    )


def _needs(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(need, field it was found in), each need once."""
    for name, asks in _NEEDS.items():
        if name in body and asks(body[name]):
            yield REQUIRED_TOOLS if name == "tools" and forces_tools(body) else name, name
    seen: set[str] = set()
    for index, message in enumerate(body["messages"]):
        for need, where in _message_needs(message):
            if need not in seen:
                seen.add(need)
                yield need, f"messages[{index}]{where}"


def _message_needs(message: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if message["role"] in ("tool", "function") or message.get("tool_calls") or message.get("function_call"):
        yield "tool messages", ""
    content = message.get("content")
    if not content:
        for name in ("audio", "refusal"):  # what was said, where there is no text
            if message.get(name):
                yield f"{name} messages", f".{name}"
    elif isinstance(content, list):
        for index, part in enumerate(content):
            if part["type"] != "text":
                yield f"{part['type']} content", f".content[{index}]"


def _plain(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """The message as the chat templates of open models read it: one text, and "system" by its old name."""
    role, content = message["role"], message.get("content")
    if isinstance(content, str) and role != "developer":
        return message
    if isinstance(content, list) and all(part["type"] == "text" for part in content):
        content = "".join(part["text"] for part in content)
    return {**message, "role": "system" if role == "developer" else role, "content": content or ""}


def gradus_object(
    *,
    policy: str | None,
    chosen: Alternative,
    decision: Decision | None,
    predicted: float | None,
    samples: int,
    confidence: float | None,
    account: Mapping[str, Any],
    latency_s: Mapping[str, float],
    notice: str,
) -> dict[str, Any]:
    """The ``gradus`` object of an answer, as docs/api.md describes it.

    ``predicted`` is P(right) by the prompt alone: how hard it is where nothing was probed.
    """
    difficulty = None if decision is None else decision.difficulty
    p_right = predicted if difficulty is None else difficulty.p_right
    return {
        "route": chosen.route,
        "model": chosen.model,
        "policy": policy,
        "difficulty": None if p_right is None else _short(p_right),
        "bin": None if p_right is None else str(bin_of(p_right)),
        "strategy": chosen.strategy.name,
        "samples": samples,
        "confidence": None if confidence is None else _short(confidence),
        **account,
        "latency_s": {stage: _short(seconds) for stage, seconds in latency_s.items()},
        **({"notice": said} if (said := joined((notice, account.get("notice")))) else {}),
    }


def headers_of(gradus: Mapping[str, Any]) -> dict[str, str]:
    """The ``gradus`` object in short; what a header cannot hold is percent-encoded."""
    return {
        header: _quoted(str(value)) if name in _NAMED else str(value)
        for name, header in _HEADERS.items()
        if (value := gradus.get(name)) is not None
    }


@lru_cache
def _quoted(name: str) -> str:
    return quote(name, safe=_PRINTABLE)


def known_headers(plan: Plan) -> dict[str, str]:
    """What the headers of a stream can say before anything is generated: the decision, if there is one."""
    if len(plan.branches) > 1:
        return {}
    chosen = plan.branches[0].chosen
    return headers_of({"route": chosen.route, "model": chosen.model, "strategy": chosen.strategy.name})


_PRINTABLE = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")
_HEADERS = {
    name: f"x-gradus-{name.replace('_', '-')}"
    for name in ("route", "model", "policy", "strategy", "bin", "samples", "cost_usd")
}
_NAMED = frozenset({"model", "policy"})  # by whoever configured them


def _short(number: float) -> float:
    return round(number, 6)
