"""An OpenAI-compatible chat server that judges by a rule: the more "good" an answer says, the better it is.

It is biased as judges are: of two answers it takes the first, unless the second is clearly better.
"""

from __future__ import annotations

import re
from typing import Any

from fastapi import FastAPI, Request

BIAS = 2
"""So many more times the second answer must say "good"."""

_ANSWER = re.compile(r"<<< answer[ AB]* (?P<mark>\w+)\n(?P<text>.*?)\n(?P=mark) >>>", re.DOTALL)


def merit(answer: str) -> int:
    return answer.split().count("good")


def reply_to(content: str) -> str:
    answers = [found["text"] for found in _ANSWER.finditer(content)]
    if len(answers) == 1:
        return f"It is what it is.\nRating: {1 + min(9, merit(answers[0]))}"
    first, second = map(merit, answers)
    return f"I read both.\n**Verdict:** {'B' if second > first + BIAS else 'A'}"


def judge_app(
    reply: Any = reply_to,
    *,
    usage: bool = True,
    received: list[Any] | None = None,
    status: int = 200,
    broken_on: str | None = None,
) -> FastAPI:
    """Answers ``status`` to all, or 500 to what holds ``broken_on``."""
    app = FastAPI()

    @app.post("/v1/chat/completions")
    async def complete(request: Request) -> Any:
        from fastapi.responses import JSONResponse

        body = await request.json()
        if received is not None:
            received.append(body)
        is_broken = broken_on is not None and broken_on in str(body["messages"])
        if status != 200 or is_broken:
            error = {"message": "the judge is out", "type": "server_error"}
            return JSONResponse({"error": error}, 500 if is_broken else status)
        message = {"role": "assistant", "content": reply(body["messages"][-1]["content"])}
        answer = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        }
        counted = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        return answer | ({"usage": counted} if usage else {})

    return app
