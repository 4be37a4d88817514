"""Large models behind a server: asked by deadline, read token by token, with every failure named.

Engine ``openai`` is a plain HTTP call to an OpenAI-compatible server; engine ``litellm`` speaks everybody
else's protocol. Both give OpenAI's JSON objects, so whatever field a server adds reaches the client.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

from pydantic_core import to_json

from gateway.errors import DeadlineExceeded, GatewayError, KeyMissing, UpstreamFailed, UpstreamRejected
from gateway.upstreams.litellm_models import LiteLLMModels
from gateway.upstreams.openai_server import OpenAIServers
from gateway.upstreams.port import Call, Json, Refusal, Unreachable, UpstreamEngine
from router.config import Config, LiteLLMModel, OpenAIModel

CHARACTERS_PER_TOKEN = 4  # a rough English average, used only where a server counts nothing
BAD_REQUEST_STATUSES = {400, 413, 415, 422}
UNAUTHORIZED = 401
TOO_MANY = 429


class Reading:
    """What an upstream call consumed so far: what the server reports, else an estimate from the lengths."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self.sent = False
        self.opened = False
        self.reported: Mapping[str, Any] = {}
        self._prompt_characters = _json_characters(body, "tools", "functions") + sum(
            _characters(message.get("content")) + _json_characters(message, "tool_calls", "function_call")
            for message in body["messages"]
        )
        self._answer_characters = 0

    def send(self) -> None:
        """Note that the request has gone out."""
        self.sent = True

    def refuse(self) -> None:
        """Note that the server refused: unless an answer had begun, that consumed nothing."""
        self.sent = self.opened

    def see(self, answer: Mapping[str, Any]) -> None:
        """Note a completion or a chunk of one."""
        self.opened = True
        usage = answer.get("usage")
        if isinstance(usage, dict) and isinstance(usage.get("prompt_tokens"), int):
            self.reported = usage
        for choice in answer.get("choices") or ():
            said = choice.get("delta") or choice.get("message") or {}
            self._answer_characters += _characters(said.get("content"))
            self._answer_characters += _characters(said.get("reasoning_content"))
            calls = [*(said.get("tool_calls") or ()), {"function": said.get("function_call")}]
            self._answer_characters += sum(map(_call_characters, calls))

    @property
    def estimated(self) -> bool:
        return not self.reported

    @property
    def prompt_tokens(self) -> int:
        return self.reported["prompt_tokens"] if self.reported else _tokens(self._prompt_characters)

    @property
    def cached_prompt_tokens(self) -> int:
        """Of the prompt tokens, as the server reports it; 0 where it does not."""
        return self._detail("prompt_tokens_details", "cached_tokens")

    @property
    def reasoning_tokens(self) -> int:
        """Of the completion tokens, as the server reports it; 0 where it does not."""
        return self._detail("completion_tokens_details", "reasoning_tokens")

    def _detail(self, of: str, name: str) -> int:
        details = self.reported.get(of)
        found = details.get(name) if isinstance(details, dict) else None
        return found if isinstance(found, int) else 0

    @property
    def completion_tokens(self) -> int:
        if self.reported:
            return self.reported.get("completion_tokens") or 0
        return _tokens(self._answer_characters)


class Upstreams:
    """All configured models that a server answers. ``environ`` holds the API keys, under configured names."""

    def __init__(self, config: Config, environ: Mapping[str, str]) -> None:
        self._models = {
            name: model
            for name, model in config.models.items()
            if isinstance(model, OpenAIModel | LiteLLMModel)
        }
        self._environ = environ
        self._engines: dict[str, UpstreamEngine] = {"openai": OpenAIServers(), "litellm": LiteLLMModels()}

    async def close(self) -> None:
        for engine in self._engines.values():
            await engine.close()

    def missing_keys(self) -> dict[str, str]:
        """The models that cannot be asked, and the environment variable that each of them needs."""
        return {
            name: model.api_key_env
            for name, model in self._models.items()
            if model.api_key_env is not None and not self._environ.get(model.api_key_env)
        }

    async def complete(self, name: str, body: Mapping[str, Any], deadline_s: float, reading: Reading) -> Json:
        """Ask the model for a whole answer; ``deadline_s`` is on the event loop's clock.

        ``reading`` is right whenever this ends, cancelled too.
        Raises :class:`KeyMissing`, :class:`UpstreamError` or :class:`DeadlineExceeded`.
        """
        engine, call = self._call(name, body, reading)
        async with self._named_errors(name, deadline_s, reading):
            answer = await engine.complete(call)
        if not isinstance(answer.get("choices"), list) or not answer["choices"]:
            raise UpstreamFailed(f"The server of model '{name}' answered without choices.")
        reading.see(answer)
        return answer

    async def stream(
        self,
        name: str,
        body: Mapping[str, Any],
        deadline_s: float,
        reading: Reading,
        on_open: Callable[[], None],
        on_chunk: Callable[[Json], None],
    ) -> None:
        """As :meth:`complete`, chunk by chunk.

        ``on_open`` is called before the first chunk: up to then a refusal is an error like any other.
        """
        engine, call = self._call(name, body, reading)
        async with self._named_errors(name, deadline_s, reading), aclosing(engine.stream(call)) as chunks:
            async for chunk in chunks:
                if not reading.opened:
                    on_open()
                reading.see(chunk)
                on_chunk(chunk)
        if not reading.opened:
            raise UpstreamFailed(f"The server of model '{name}' ended its stream without an answer.")

    def _call(self, name: str, body: Mapping[str, Any], reading: Reading) -> tuple[UpstreamEngine, Call]:
        if variable := self.missing_keys().get(name):
            raise KeyMissing(
                f"Model '{name}' needs an API key, and the gateway's environment has none in {variable}; "
                f"set {variable} and start the gateway again."
            )
        model = self._models[name]
        key = self._environ[model.api_key_env] if model.api_key_env is not None else None
        if model.max_tokens is not None and not (body.get("max_tokens") or body.get("max_completion_tokens")):
            body = {**body, "max_tokens": model.max_tokens}  # the worst case that was priced rests on it
        upstream_name = model.upstream_model if isinstance(model, OpenAIModel) else model.litellm_model
        return self._engines[model.engine], Call(upstream_name, model.base_url, key, body, reading.send)

    @asynccontextmanager
    async def _named_errors(self, name: str, deadline_s: float, reading: Reading) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout_at(deadline_s):
                yield
        except TimeoutError as error:
            raise DeadlineExceeded(
                f"The deadline came before model '{name}' had answered; ask for fewer tokens, or raise the "
                "policy's deadline_s."
            ) from error
        except Unreachable as error:
            raise UpstreamFailed(
                f"The server of model '{name}' cannot be used: {error}. Ask again, or check its base_url."
            ) from error
        except Refusal as refusal:
            reading.refuse()
            raise self._refused(name, refusal) from refusal

    def _refused(self, name: str, refusal: Refusal) -> GatewayError:
        if refusal.status == UNAUTHORIZED:  # its message may quote the key
            variable = self._models[name].api_key_env
            advice = f"check the key in {variable}" if variable else "configure its api_key_env"
            return UpstreamFailed(f"The server of model '{name}' refused the gateway's API key; {advice}.")
        said = f"The server of model '{name}' refused the request ({refusal.status}): {refusal}"
        if refusal.status in BAD_REQUEST_STATUSES:
            return UpstreamRejected(said, code=refusal.code, param=refusal.param, status=refusal.status)
        if refusal.status == TOO_MANY:
            return UpstreamRejected(
                said, code="rate_limit_exceeded", status=TOO_MANY, retry_after_s=refusal.retry_after_s or 1.0
            )
        return UpstreamFailed(said)


def _characters(content: object) -> int:
    if isinstance(content, str):
        return len(content)
    if isinstance(content, list):
        return sum(_characters(part.get("text")) for part in content if isinstance(part, dict))
    return 0


def _json_characters(holder: Mapping[str, Any], *fields: str) -> int:
    return sum(len(to_json(holder[field])) for field in fields if holder.get(field))


def _call_characters(call: Mapping[str, Any]) -> int:
    """Name and arguments, which the model wrote: a stream wraps every few of these into JSON of its own."""
    return sum(map(_characters, (call.get("function") or call.get("custom") or {}).values()))


def _tokens(characters: int) -> int:
    return -(-characters // CHARACTERS_PER_TOKEN)
