"""A process that is a model's server (``python -m tests.e2e.model_server PORT``): the question is its script.

Of a batch's samples the first of "uneven" ends at once, the others take long, as do all of "long".
"different" is answered in two ways; "broken" too, but every second such request fails with 500; "silent"
never is.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

import uvicorn
from starlette.responses import Response

from tests.workers.engines.openai_server import VLLM, Json, OpenAIServer
from workers.engines.scripted import ScriptedEngine
from workers.protocols import Prompt

CONTEXT_TOKENS = 4096
TOKEN_S = 0.005
LONG = "and so on " * 900


@dataclass
class ModelServer(OpenAIServer):
    """Fails as the question says. ``pieces`` counts what it has sent of the answer that began last."""

    broken: int = 0
    pieces: int = 0

    async def answer(self, body: Json, kind: str) -> Response:
        question = body["messages"][-1]["content"]
        self.broken += question == "broken"
        if question == "broken" and self.broken % 2 == 0:
            self.fault = "500"
        elif question == "silent":
            self.fault = "silent"
        else:
            self.fault = None
        return await super().answer(body, kind)

    async def stream(self, prompt: Prompt, tokens: int, body: Json, kind: str) -> AsyncGenerator[str, None]:
        self.pieces = 0
        async with aclosing(super().stream(prompt, tokens, body, kind)) as pieces:
            async for piece in pieces:
                yield piece
                self.pieces += 1


def say(prompt: Prompt, index: int, seed: int) -> str:
    """What sequence ``index`` of a batch says."""
    question = prompt.messages[-1]["content"]
    if question == "long" or (question == "uneven" and index > 0):
        return LONG
    if question in ("uneven", "different", "broken"):
        return f"The answer is {index}."
    turn = f"{'So, ' * (index + seed % 5)}one\ntwo\nthree\nfour\nfive"  # what a worker asks at its start
    return turn.removeprefix(prompt.prefix)


def main(port: int) -> None:
    engine = ScriptedEngine(say, context_tokens=CONTEXT_TOKENS, delay_s=TOKEN_S)
    server = ModelServer(engine, VLLM)
    app = server.app()

    @app.get("/state")
    def state() -> Json:
        return {"running": server.running, "given_up": server.given_up, "pieces": server.pieces}

    uvicorn.run(app, port=port, log_level="critical")


if __name__ == "__main__":
    main(int(sys.argv[1]))
