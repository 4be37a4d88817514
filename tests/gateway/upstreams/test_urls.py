"""No URL of a client is fetched by the gateway: what litellm would download is refused by its place."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.errors import BadRequest
from gateway.upstreams.urls import media_url
from router.config import LiteLLMModel
from tests.gateway.upstreams.servers import asking, config, question

HERE = "data:image/png;base64,iVBORw0KGgo="


def model(*names: str) -> LiteLLMModel:
    return LiteLLMModel.model_validate(
        {"engine": "litellm", "deployments": [{"litellm_model": name} for name in names]}
    )


def message(*parts: dict[str, Any]) -> dict[str, Any]:
    text = {"type": "text", "text": "see http://x/"}
    return {"messages": [{"role": "system", "content": "http://x/"}, {"content": [text, *parts]}]}


IMAGE = {"type": "image_url", "image_url": {"url": "https://x/a.png"}}
CLAUDE, OPENAI = "anthropic/claude-sonnet-4-5", "openai/gpt-4o"


@pytest.mark.parametrize(
    ("names", "parts", "refused"),
    [
        ([CLAUDE], [IMAGE], True),
        ([OPENAI], [IMAGE], False),
        (["azure/x", OPENAI], [IMAGE], False),
        ([OPENAI, CLAUDE], [IMAGE], True),
        (["gpt-4o"], [IMAGE], True),  # whose that is litellm decides
        ([CLAUDE], [{"type": "image_url", "image_url": " HTTP://x/a.png"}], True),
        ([CLAUDE], [{"type": "image_url", "image_url": {"url": HERE}}], False),
        ([OPENAI], [{"type": "file", "file": {"file_id": "https://x/a.pdf"}}], True),
        ([OPENAI], [{"type": "file", "file": {"file_id": "file-1"}}], False),
        ([OPENAI], [{"type": "file", "file": {"file_id": "www.x/a.pdf"}}], True),
        ([CLAUDE], [{"type": "video_url", "video_url": {"url": "file:///etc/passwd"}}], True),
        ([CLAUDE], [], False),
    ],
)
def test_a_url_is_refused_where_litellm_would_fetch_it(
    names: list[str], parts: list[dict[str, Any]], refused: bool
) -> None:
    where = media_url(message(*parts), model(*names))
    assert where == ("messages[1].content[1]" if refused else None)


def test_a_refused_url_costs_nothing() -> None:
    given = config(big={"engine": "litellm", "litellm_model": CLAUDE})

    async def run() -> None:
        async with asking(given) as upstreams:
            asked = question(**message(IMAGE))
            with pytest.raises(BadRequest) as caught:
                await upstreams.complete(asked)
            assert caught.value.param == "messages[1].content[1]"
            assert asked.calls.made == []

    asyncio.run(run())
