"""Every model that litellm knows by name. Importing litellm takes seconds, so only the first call does it."""

from __future__ import annotations

import asyncio
import importlib
import os
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from pydantic_core import PydanticSerializationError, from_json, to_json

from gateway.upstreams.port import Call, Json, Refusal, Said, Unreachable, without_halves
from gateway.upstreams.retrying import retry_after_s
from router.config import Endpoint

FUNCTIONS: Final[Mapping[Endpoint, str]] = {
    "chat": "acompletion",
    "completions": "atext_completion",
    "embeddings": "aembedding",
}
_OURS: Final[Mapping[Endpoint, Mapping[str, Any]]] = {"chat": {"_skip_mcp_handler": True}}
"""Tools go to the model, as they came: litellm would look for servers among them, and call those itself."""
_ONCE: Final = {"allowed_openai_params": ["max_retries"]}
"""Of some providers (DeepInfra, Z.AI) litellm does not know that one may say how often to ask, and then has
OpenAI's client ask three times. To those that it does not reach by that client this would go as a field."""
# What litellm translates between providers. Any other field goes into the body of the request and nowhere
# else: litellm's own arguments (api_base, api_key, ...) must never come from a client.
TRANSLATED: Final[Mapping[Endpoint, frozenset[str]]] = {
    "chat": frozenset(
        [
            "messages",
            "temperature",
            "top_p",
            "n",
            "stop",
            "max_tokens",
            "max_completion_tokens",
            "presence_penalty",
            "frequency_penalty",
            "logit_bias",
            "user",
            "response_format",
            "seed",
            "tools",
            "tool_choice",
            "functions",
            "function_call",
            "logprobs",
            "top_logprobs",
            "parallel_tool_calls",
            "modalities",
            "prediction",
            "audio",
            "reasoning_effort",
            "thinking",
            "web_search_options",
            "service_tier",
            "safety_identifier",
        ]
    ),
    "completions": frozenset(
        [
            "prompt",
            "best_of",
            "echo",
            "frequency_penalty",
            "logit_bias",
            "logprobs",
            "max_tokens",
            "n",
            "presence_penalty",
            "stop",
            "suffix",
            "temperature",
            "top_p",
            "user",
            "seed",
        ]
    ),
    "embeddings": frozenset(["input", "dimensions", "encoding_format", "user"]),
}
_ENVELOPE: Final = frozenset({"model", "stream", "stream_options"})
_LOST: Final = frozenset({"user"})
"""litellm leaves it out of a chat, and says nothing, where it does not know that the model takes it. OpenAI's
own protocol has it, so it goes there as a field that nobody translates; other providers might refuse it."""
_STATUSES: Final = frozenset({"HTTPStatusError"})
"""Without it nobody said so: litellm makes a 500 of a connection that broke, and of what is no answer."""
_NEVER_SENT: Final = frozenset(
    {"ConnectError", "ConnectTimeout", "ClientConnectorError", "ClientConnectorDNSError"}
)


class LiteLLMModels:
    """Calls litellm's functions, without retries of its own. The caller sets the deadline."""

    async def complete(self, call: Call) -> Said:
        answer = (await self._ask(call, {})).model_dump(exclude_none=True, mode="json")
        for choice in answer.get("choices") or ():
            if "message" in choice:
                choice["message"].setdefault("content", None)  # beside tool calls it is null, not absent
        return Said(*_written(answer))

    async def stream(self, call: Call) -> AsyncGenerator[list[Said], None]:
        options = {**(call.body.get("stream_options") or {}), "include_usage": True}
        answer = await self._ask(call, {"stream": True, "stream_options": options})
        try:
            async for chunk in answer:
                data = chunk.model_dump(exclude_none=True, mode="json")
                if call.endpoint == "completions":
                    data["choices"] = [{"text": "", **each} for each in data["choices"] if len(each) > 1]
                if data.get("usage") and not any(map(_says_something, data["choices"])):
                    data["choices"] = []  # as OpenAI sends usage: litellm adds an empty choice
                raw, data = _written(data)
                yield [Said(b"data: " + raw + b"\n\n", data)]
        except Exception as error:
            raise _failure(error) from error
        finally:
            close = getattr(answer, "aclose", None)
            if close is not None:
                await close()

    async def close(self) -> None:
        """litellm keeps its connections until the process ends."""

    async def _ask(self, call: Call, more: Mapping[str, Any]) -> Any:
        litellm = await asyncio.to_thread(_litellm)
        translated = TRANSLATED[call.endpoint]
        if call.model.startswith("openai/"):
            translated -= _LOST
        given = {name: value for name, value in call.body.items() if value is not None}
        known = {name: value for name, value in given.items() if name in translated}
        rest = {name: value for name, value in given.items() if name not in translated | _ENVELOPE}
        by_openais_client = call.model.partition("/")[0] in litellm.openai_compatible_providers
        call.on_sent()  # litellm does not say when it is
        try:
            return await getattr(litellm, FUNCTIONS[call.endpoint])(
                model=call.model,
                api_key=call.api_key,
                api_base=call.base_url,
                num_retries=0,
                max_retries=0,
                **_OURS.get(call.endpoint, {}),
                **(_ONCE if by_openais_client else {}),
                **known,
                **({"extra_body": rest} if rest else {}),
                **more,
            )
        except Exception as error:
            raise _failure(error) from error


def _says_something(choice: Mapping[str, Any]) -> bool:
    return any(value for name, value in choice.items() if name != "index")


def _written(data: Json) -> tuple[bytes, Json]:
    try:
        return to_json(data), data
    except PydanticSerializationError:
        raw = without_halves(data)
        return raw, from_json(raw)


def _litellm() -> Any:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or the import asks the network for prices
    litellm: Any = importlib.import_module("litellm")
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    litellm.DEFAULT_MAX_RETRIES = 0  # an embedding's 0 is taken for nothing said
    return litellm


def _failure(error: Exception) -> Exception:
    """litellm's errors are OpenAI's, with a status; what has none broke on the way, and what made one up."""
    status = getattr(error, "status_code", None)
    message = str(getattr(error, "message", None) or error)[:500]
    is_said = _caused(error, _STATUSES) or (isinstance(status, int) and 400 <= status < 500)
    if not isinstance(status, int) or type(error).__name__ == "Timeout" or not is_said:
        return Unreachable(message, unsent=_caused(error, _NEVER_SENT))
    headers = getattr(error, "litellm_response_headers", None)  # those of its ``response`` are made up
    return Refusal(
        message,
        status,
        code=getattr(error, "code", None),
        param=getattr(error, "param", None),
        retry_after_s=None if headers is None else retry_after_s(headers, datetime.now(UTC)),
    )


def _caused(error: BaseException | None, names: frozenset[str]) -> bool:
    """Whether it goes back to one of these: litellm wraps what its HTTP client said."""
    while error is not None:
        if type(error).__name__ in names:
            return True
        error = error.__cause__ or error.__context__
    return False
