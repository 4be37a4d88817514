"""A real HTTP server that speaks OpenAI's API as several real ones do, over any engine; it can also fail."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import uvicorn
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from workers.protocols import Cancellation, Completion, Engine, Prompt, SamplingParams

GIVE_UP_S = 30.0
LOGPROB = -0.25
"""Of every token that a server says anything about."""
Fault = Literal[
    "500",
    "busy",
    "always busy",
    "silent",
    "silent midway",
    "cut",
    "cut connection",
    "garbage",
    "no usage",
    "error",
]
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Personality:
    """What a server understands; all else it ignores, or refuses if it is ``strict``."""

    continues: Literal["flags", "prefill", "no"] = "no"
    has_n: bool = False
    has_seed: bool = False
    keeps_stop: bool = False
    usage: Literal["continuous", "final", "none"] = "final"
    has_tokenize: bool = False
    has_logprobs: bool = False
    reads: tuple[Literal["tokens", "text"], ...] = ()
    adds_bos: bool = False
    strict: bool = False
    thinks: str = ""


VLLM = Personality(
    continues="flags",
    has_n=True,
    has_seed=True,
    keeps_stop=True,
    usage="continuous",
    has_tokenize=True,
    has_logprobs=True,
    reads=("tokens", "text"),
)
LLAMA_CPP = Personality(continues="prefill", has_seed=True, reads=("text",), adds_bos=True)
BARE = Personality(usage="none", strict=True)
PERSONALITIES = {"vllm": VLLM, "llama.cpp": LLAMA_CPP}

_BASIC = {"model", "messages", "prompt", "max_tokens", "temperature", "top_p", "stream"}


@dataclass
class OpenAIServer:
    """Serves ``engine`` as the model "tiny". ``parse`` reads a completions prompt (ids or text) back.

    ``fault`` is how the next answers fail; ``asked`` records the bodies; ``given_up`` counts the requests
    whose client left before their end.
    """

    engine: Engine
    personality: Personality
    parse: Callable[[Any], tuple[Prompt, int]] | None = None
    fault: Fault | None = None
    asked: list[Json] = field(default_factory=list)
    given_up: int = 0
    running: int = 0

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/v1/models")
        def models() -> Json:
            return {"data": [{"id": "tiny", "max_model_len": self.engine.context_tokens}]}

        @app.post("/v1/chat/completions")
        async def chat(request: Request) -> Response:
            return await self.answer(await request.json(), "chat")

        @app.post("/v1/completions")
        async def complete(request: Request) -> Response:
            return await self.answer(await request.json(), "text")

        @app.post("/tokenize")
        async def tokenize(request: Request) -> Response:
            if not self.personality.has_tokenize:
                return refuse(404, "Not Found")
            prompt, _ = self.read(await request.json())
            return JSONResponse({"count": self.engine.count_tokens(prompt)})

        return app

    def read(self, body: Json) -> tuple[Prompt, int]:
        """The prompt of a request, and how many tokens it has."""
        can = self.personality
        if "prompt" in body:
            kind: Literal["tokens", "text"] = "text" if isinstance(body["prompt"], str) else "tokens"
            if self.parse is None or kind not in can.reads:
                raise ValueError(f"prompts cannot be {kind}")
            prompt, tokens = self.parse(body["prompt"])
            return prompt, tokens + (can.adds_bos and kind == "text")
        if can.continues == "prefill" and not body.get("add_generation_prompt", True):
            raise ValueError("a prefilled turn needs add_generation_prompt")
        messages = tuple(body["messages"])
        last = messages[-1]
        goes_on = can.continues == "prefill" or (
            can.continues == "flags" and body.get("continue_final_message")
        )
        prompt = Prompt(messages)
        if last["role"] == "assistant" and goes_on:
            prompt = Prompt(messages[:-1], last["content"])
        return prompt, self.engine.count_tokens(prompt)

    async def answer(self, body: Json, kind: str) -> Response:
        can = self.personality
        self.asked.append(body)
        if can.strict and (unknown := set(body) - _BASIC):
            return JSONResponse({"detail": f"Unexpected fields in the request: {unknown}"}, 422)
        try:
            prompt, tokens = self.read(body)
        except ValueError as error:
            return refuse(400, str(error))
        if tokens + body["max_tokens"] > self.engine.context_tokens:
            return refuse(
                400,
                f"This model's maximum context length is {self.engine.context_tokens} tokens. Not {tokens}.",
            )
        if prompt.messages[-1]["content"] == "no template":
            return refuse(400, "Conversation roles must alternate")
        if self.fault == "500":
            return refuse(500, "the device fell off")
        if self.fault in ("busy", "always busy"):
            self.fault = None if self.fault == "busy" else self.fault
            return refuse(429, "too many", {"retry-after": "0.01"})
        if self.fault == "silent":
            await asyncio.sleep(GIVE_UP_S)
        if self.fault == "garbage":
            return Response(b"data: {nonsense\n\n", media_type="text/event-stream")
        if not body.get("stream"):
            return JSONResponse({"choices": [], "usage": {"prompt_tokens": tokens}})
        return StreamingResponse(self.stream(prompt, tokens, body, kind), media_type="text/event-stream")

    async def stream(self, prompt: Prompt, tokens: int, body: Json, kind: str) -> AsyncGenerator[str, None]:
        can = self.personality
        count = body.get("n", 1) if can.has_n else 1
        kept = (
            tuple(body.get("stop", ())) if can.keeps_stop and body.get("include_stop_str_in_output") else ()
        )
        cut = () if kept else tuple(body.get("stop", ()))
        seed = body.get("seed") if can.has_seed else None
        if body["temperature"] == 0:
            seed = None
        elif seed is None:
            seed = len(self.asked)
        params = SamplingParams(body["max_tokens"], body["temperature"], stop=cut, seed=seed)
        prompt = Prompt(prompt.messages, prompt.prefix, stop_after=kept)
        cancellation = Cancellation()
        events: asyncio.Queue[tuple[int, str | Completion]] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def tell(index: int, what: str | Completion) -> None:
            loop.call_soon_threadsafe(events.put_nowait, (index, what))

        def run() -> None:
            self.engine.generate(
                [prompt] * count, params, cancellation=cancellation, on_text=tell, on_end=tell
            )

        options = body.get("stream_options") or {}
        total, written, left = 0, [0] * count, count
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.running += 1
        try:
            for word in can.thinks.split():
                total += 1
                yield _event(
                    {"choices": [{"index": 0, "delta": {"reasoning_content": word}, "finish_reason": None}]}
                )
            while left:
                index, what = await events.get()
                finish = None
                if isinstance(what, Completion):
                    left -= 1
                    written[index] = what.completion_tokens
                    total += what.completion_tokens
                    finish = {"step": "stop"}.get(what.ended, what.ended)
                    what = ""
                else:
                    written[index] += 1
                said: dict[str, Any] = {"text": what} if kind == "text" else {"delta": {"content": what}}
                if what and can.has_logprobs and body.get("logprobs"):
                    tokens_said = [{"token": what, "logprob": LOGPROB}]
                    old_form = {"token_logprobs": [LOGPROB]}
                    said["logprobs"] = old_form if kind == "text" else {"content": tokens_said}
                chunk: dict[str, Any] = {"choices": [{"index": index, **said, "finish_reason": finish}]}
                if can.usage == "continuous" and options.get("continuous_usage_stats"):
                    chunk["usage"] = {"prompt_tokens": tokens, "completion_tokens": written[index]}
                if self.fault == "error":
                    chunk = {"error": {"message": "out of memory"}}
                yield _event(chunk)
                if self.fault == "silent midway":
                    await asyncio.sleep(GIVE_UP_S)
                if self.fault == "cut":
                    return
                if self.fault == "cut connection":
                    raise ConnectionAbortedError
            if can.usage != "none" and options.get("include_usage") and self.fault != "no usage":
                usage: dict[str, Any] = {"prompt_tokens": tokens, "completion_tokens": total}
                usage["prompt_tokens_details"] = {"cached_tokens": tokens // 2}
                yield _event({"choices": [], "usage": usage})
            yield "data: [DONE]\n\n"
        finally:
            self.running -= 1
            self.given_up += left > 0
            cancellation.cancel()


def refuse(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"error": {"message": message}}, status, headers=headers)


def _event(chunk: Json) -> str:
    return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n"


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """The application on a real port of its own; the URL of its API."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    until(lambda: server.started or not thread.is_alive())
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
    finally:
        server.should_exit = True
        thread.join(GIVE_UP_S)


def until(true: Callable[[], object], patience_s: float = GIVE_UP_S) -> None:
    """Wait for what another thread does; fails after a while."""
    give_up_s = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < give_up_s, "it did not happen"
        time.sleep(0.005)
