"""Clients that people have, as they are, against a running product: they need nothing but its address."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from typing import Any

import openai
import pytest

from tests.e2e.product import Product

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

QUESTION = "Calculate 3 + 4."
MESSAGES: list[Any] = [{"role": "user", "content": QUESTION}]
SEARCHED = "gradus/accurate"


def is_right(text: str | None) -> bool:
    return (text or "").splitlines()[-1] == "The answer is 7."


@pytest.mark.parametrize("stream", [False, True])
def test_openais_client_blocking(product: Product, stream: bool) -> None:
    with openai.OpenAI(base_url=f"{product.url}/v1", api_key="any", max_retries=0) as client:
        answer = client.chat.completions.create(model=SEARCHED, messages=MESSAGES, stream=stream)
        text = _joined(answer) if stream else answer.choices[0].message.content  # type: ignore[union-attr]

    assert is_right(text)


@pytest.mark.parametrize("stream", [False, True])
def test_openais_client_asynchronous(product: Product, stream: bool) -> None:
    async def ask() -> str | None:
        async with openai.AsyncOpenAI(base_url=f"{product.url}/v1", api_key="any", max_retries=0) as client:
            answer: Any = await client.chat.completions.create(
                model=SEARCHED, messages=MESSAGES, stream=stream
            )
            if not stream:
                text: str = answer.choices[0].message.content
                return text
            return "".join([each.choices[0].delta.content or "" async for each in answer if each.choices])

    assert is_right(asyncio.run(ask()))


def test_openais_client_lists_models_and_streams_usage(product: Product) -> None:
    with openai.OpenAI(base_url=f"{product.url}/v1", api_key="any", max_retries=0) as client:
        names = {model.id for model in client.models.list()}
        with client.chat.completions.stream(
            model=SEARCHED, messages=MESSAGES, stream_options={"include_usage": True}
        ) as stream:
            for _ in stream:
                pass
            usage = stream.get_final_completion().usage

    assert {"gradus", SEARCHED, "abacus-large"} <= names
    assert usage is not None
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 0


@pytest.mark.parametrize("stream", [False, True])
def test_litellms_sdk(product: Product, stream: bool) -> None:
    litellm = pytest.importorskip("litellm")
    answer = litellm.completion(
        model=f"openai/{SEARCHED}",
        api_base=f"{product.url}/v1",
        api_key="any",
        messages=MESSAGES,
        stream=stream,
        num_retries=0,
    )

    assert is_right(_joined(answer) if stream else answer.choices[0].message.content)


@pytest.mark.parametrize("stream", [False, True])
def test_langchain(product: Product, stream: bool) -> None:
    langchain = pytest.importorskip("langchain_openai")
    chat = langchain.ChatOpenAI(
        model=SEARCHED, base_url=f"{product.url}/v1", api_key="any", max_retries=0, stream_usage=True
    )
    if not stream:
        answer = chat.invoke(QUESTION)
        assert is_right(answer.content)
        assert answer.usage_metadata["total_tokens"] > 0
        return
    parts = list(chat.stream(QUESTION))
    whole = parts[0]
    for part in parts[1:]:
        whole += part
    assert is_right(whole.content)
    assert whole.usage_metadata["total_tokens"] > 0


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl(product: Product) -> None:
    body = json.dumps({"model": SEARCHED, "messages": MESSAGES})
    command = ["curl", "-sS", "--noproxy", "*", f"{product.url}/v1/chat/completions"]
    header = ["-H", "content-type: application/json"]
    whole = subprocess.run([*command, *header, "-d", body], capture_output=True, check=True, timeout=60)
    streamed = subprocess.run(
        [
            *command,
            "-N",
            *header,
            "-d",
            json.dumps({"model": SEARCHED, "messages": MESSAGES, "stream": True}),
        ],
        capture_output=True,
        check=True,
        timeout=60,
    )

    assert is_right(json.loads(whole.stdout)["choices"][0]["message"]["content"])
    assert streamed.stdout.endswith(b"data: [DONE]\n\n")


def _joined(stream: Any) -> str:
    return "".join(each.choices[0].delta.content or "" for each in stream if each.choices)
