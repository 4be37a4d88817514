"""Every model that litellm knows by name. Importing litellm takes seconds, so only the first call does it."""

from __future__ import annotations

import asyncio
import importlib
import os
from collections.abc import AsyncGenerator, Mapping
from typing import Any, cast

from gateway.upstreams.port import Call, Json, Refusal, Unreachable

# What litellm translates between providers. Any other field goes into the body of the request and nowhere
# else: litellm's own arguments (api_base, api_key, ...) must never come from a client.
TRANSLATED = frozenset(
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
)
ENVELOPE = frozenset({"model", "stream", "stream_options"})


class LiteLLMModels:
    """Calls ``litellm.acompletion``, without retries of its own. The caller sets the deadline."""

    async def complete(self, call: Call) -> Json:
        answer = (await self._ask(call, {})).model_dump(exclude_none=True)
        for choice in answer["choices"]:
            choice["message"].setdefault("content", None)  # beside tool calls it is null, not absent
        return cast(Json, answer)

    async def stream(self, call: Call) -> AsyncGenerator[Json, None]:
        options = {**(call.body.get("stream_options") or {}), "include_usage": True}
        answer = await self._ask(call, {"stream": True, "stream_options": options})
        try:
            async for chunk in answer:
                yield cast(Json, chunk.model_dump(exclude_none=True))
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
        known = {name: value for name, value in call.body.items() if name in TRANSLATED and value is not None}
        rest = {
            name: value
            for name, value in call.body.items()
            if name not in TRANSLATED
            and name not in ("model", "stream", "stream_options")
            and value is not None
        }
        call.on_sent()  # litellm does not say when it is
        try:
            return await litellm.acompletion(
                model=call.model,
                api_key=call.api_key,
                base_url=call.base_url,
                num_retries=0,
                max_retries=0,
                **known,
                **({"extra_body": rest} if rest else {}),
                **more,
            )
        except Exception as error:
            raise _failure(error) from error


def _litellm() -> Any:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or the import asks the network for prices
    litellm: Any = importlib.import_module("litellm")
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    return litellm


def _failure(error: Exception) -> Exception:
    """litellm's errors are OpenAI's, with a status; what has none broke on the way."""
    status = getattr(error, "status_code", None)
    message = str(getattr(error, "message", None) or error)[:500]
    if not isinstance(status, int) or type(error).__name__ in ("APIConnectionError", "Timeout"):
        return Unreachable(message)
    return Refusal(message, status, code=getattr(error, "code", None), param=getattr(error, "param", None))
