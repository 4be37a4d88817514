"""What OpenAI's client and langchain send to a large model, and get back: tools, parsed answers, several."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.gateway.upstream import UpstreamDouble, chunk, completion

MESSAGES: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}
CALLS = [
    {
        "id": f"call-{city}",
        "type": "function",
        "function": {"name": "weather", "arguments": json.dumps({"city": city})},
    }
    for city in ("Paris", "Rome")
]


class Weather(BaseModel):
    city: str
    celsius: int


def calling(calls: list[dict[str, Any]]) -> dict[str, Any]:
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    return completion(choices=[{"index": 0, "message": message, "finish_reason": "tool_calls"}])


@pytest.mark.parametrize("model", ["remote", "gradus/remote", "gradus/lite"])
def test_parallel_tool_calls_come_back_as_they_were_made(
    client: openai.OpenAI, upstream: UpstreamDouble, model: str
) -> None:
    upstream.answer = calling(CALLS)

    answer = client.chat.completions.create(
        model=model, messages=MESSAGES, tools=[TOOL], parallel_tool_calls=True
    )

    calls = answer.choices[0].message.tool_calls or []
    assert [each.id for each in calls] == ["call-Paris", "call-Rome"]
    assert upstream.bodies[0]["tools"] == [TOOL]
    assert upstream.bodies[0]["parallel_tool_calls"] is True


def test_streamed_tool_calls_are_put_together_by_the_client(
    client: openai.OpenAI, upstream: UpstreamDouble
) -> None:
    begun = {"index": 0, "id": "c1", "type": "function", "function": {"name": "weather", "arguments": ""}}
    rest = [{"index": 0, "function": {"arguments": part}} for part in ('{"city": ', '"Paris"}')]
    upstream.chunks = (
        chunk({"role": "assistant", "content": None, "tool_calls": [begun]}),
        *(chunk({"tool_calls": [part]}) for part in rest),
        chunk({}, "tool_calls"),
    )

    with client.chat.completions.stream(model="gradus/remote", messages=MESSAGES, tools=[TOOL]) as stream:
        for _ in stream:
            pass
        (call,) = stream.get_final_completion().choices[0].message.tool_calls or []

    assert call.function.parsed_arguments == {"city": "Paris"}


def test_parse_gives_an_object_of_the_schema(client: openai.OpenAI, upstream: UpstreamDouble) -> None:
    upstream.answer = completion('{"city": "Paris", "celsius": 21}')

    answer = client.chat.completions.parse(model="gradus/remote", messages=MESSAGES, response_format=Weather)

    assert answer.choices[0].message.parsed == Weather(city="Paris", celsius=21)
    assert upstream.bodies[0]["response_format"]["json_schema"]["strict"] is True


def test_several_answers_with_log_probabilities(client: openai.OpenAI, upstream: UpstreamDouble) -> None:
    token = {"token": "7", "logprob": -0.5, "bytes": None, "top_logprobs": []}
    upstream.answer["choices"] = [
        {**upstream.answer["choices"][0], "index": index, "logprobs": {"content": [token], "refusal": None}}
        for index in range(2)
    ]

    answer = client.chat.completions.create(model="gradus/remote", messages=MESSAGES, n=2, logprobs=True)

    assert [each.index for each in answer.choices] == [0, 1]
    assert answer.choices[1].logprobs is not None
    assert upstream.bodies[0]["n"] == 2


def test_everything_else_that_the_client_can_send_reaches_the_model(
    client: openai.OpenAI, upstream: UpstreamDouble
) -> None:
    image: Any = {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}
    file: Any = {
        "type": "file",
        "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"},
    }
    content = [{"type": "text", "text": "What is this?"}, image, file]
    sent: dict[str, Any] = {
        "messages": [{"role": "user", "content": content}],
        "seed": 7,
        "stop": ["\n\n"],
        "reasoning_effort": "low",
        "metadata": {"job": "1"},
        "service_tier": "auto",
        "verbosity": "low",
        "user": "u1",
    }

    client.chat.completions.create(model="gradus/remote", extra_body={"top_k": 5}, **sent)

    assert {name: upstream.bodies[0][name] for name in sent} == sent
    assert upstream.bodies[0]["top_k"] == 5


def test_langchain_binds_tools_and_structured_output(url: str, upstream: UpstreamDouble) -> None:
    langchain = pytest.importorskip("langchain_openai")
    chat = langchain.ChatOpenAI(model="gradus/remote", base_url=f"{url}/v1", api_key="any", max_retries=0)
    upstream.answer = calling(CALLS[:1])
    called = chat.bind_tools([TOOL]).invoke("What is the weather in Paris?")
    upstream.answer = completion('{"city": "Paris", "celsius": 21}')
    parsed = chat.with_structured_output(Weather).invoke("What is the weather in Paris?")

    assert [call["args"] for call in called.tool_calls] == [{"city": "Paris"}]
    assert parsed == Weather(city="Paris", celsius=21)
