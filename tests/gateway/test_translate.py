"""Bodies to queries: what is kept, what is needed, and where it was found."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import schemas, translate
from gateway.errors import BadRequest
from gateway.translate import Asked

USER = {"role": "user", "content": "hello"}


def read(**fields: Any) -> Asked:
    body = {"model": "gradus", "messages": [USER], **fields}
    return translate.read(*schemas.parse(json.dumps(body).encode()))


def test_a_plain_request_needs_nothing() -> None:
    asked = read(
        user="me", seed=1, stream=False, n=1, response_format={"type": "text"}, tools=[], logprobs=False
    )

    assert asked.query.needs == ()
    assert asked.not_honoured == ()


@pytest.mark.parametrize(
    ("fields", "need", "param"),
    [
        ({"tools": [{"type": "function"}]}, "tools", "tools"),
        ({"functions": [{"name": "f"}]}, "functions", "functions"),
        ({"response_format": {"type": "json_schema"}}, "response_format", "response_format"),
        ({"n": 3}, "n", "n"),
        ({"top_logprobs": 2}, "top_logprobs", "top_logprobs"),
        ({"modalities": ["text", "audio"]}, "modalities", "modalities"),
        ({"web_search_options": {}}, "web_search_options", "web_search_options"),
        (
            {
                "messages": [
                    USER,
                    {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "file"}]},
                ]
            },
            "file content",
            "messages[1].content[1]",
        ),
        (
            {"messages": [USER, {"role": "assistant", "tool_calls": [{"id": "1"}]}]},
            "tool messages",
            "messages[1]",
        ),
        (
            {"messages": [{"role": "assistant", "content": None, "audio": {"id": "a"}}, USER]},
            "audio messages",
            "messages[0].audio",
        ),
        (
            {"messages": [{"role": "assistant", "content": None, "refusal": "no"}, USER]},
            "refusal messages",
            "messages[0].refusal",
        ),
    ],
)
def test_features_of_large_models_are_needs_with_their_place(
    fields: dict[str, Any], need: str, param: str
) -> None:
    asked = read(**fields)

    assert asked.query.needs == (need,)
    assert asked.params == {need: param}


def test_needs_are_named_in_one_order_whatever_the_order_of_a_clients_fields() -> None:
    asks = {"tools": [{"type": "function"}], "response_format": {"type": "json_object"}, "n": 3}

    turned = read(**dict(reversed(asks.items())))

    assert turned.query.needs == read(**asks).query.needs == ("tools", "response_format", "n")


def test_what_it_knows_not_is_kept_for_the_model_that_answers_and_named_for_workers() -> None:
    asked = read(top_k=3, min_p=None, tool_choice="auto", metadata={"a": "b"})

    assert asked.body["top_k"] == 3
    assert asked.query.extra == {"top_k": 3, "min_p": None, "tool_choice": "auto", "metadata": {"a": "b"}}
    assert asked.not_honoured == ("top_k",)


def test_what_is_filed_otherwise_than_asked_is_named() -> None:
    assert read(service_tier="flex", store=True).not_honoured == ("service_tier", "store")
    assert read(service_tier="auto", store=False).not_honoured == ()


def test_options_of_streams_that_nobody_here_knows_are_named() -> None:
    options = {"include_usage": True, "include_obfuscation": False, "chunks": 3}
    assert read(stream=True, stream_options=options).not_honoured == ("stream_options.chunks",)


def test_a_nucleus_of_nothing_is_the_likeliest_token_alone() -> None:
    asked = read(temperature=0.7, top_p=0)
    assert (asked.query.sampling.temperature, asked.query.sampling.top_p) == (0.0, None)
    assert asked.body["top_p"] == 0


@pytest.mark.parametrize("name", ["reasoning_effort", "reasoning"])
@pytest.mark.parametrize("effort", ["high", "xhigh", "max", "low", "medium", "none", None])
def test_much_thinking_is_a_need_and_little_is_named_where_a_search_answers(
    name: str, effort: str | None
) -> None:
    asked = read(**{name: effort if name == "reasoning_effort" else {"effort": effort}})

    assert asked.query.needs == ((name,) if effort in ("high", "xhigh", "max") else ())
    assert asked.not_honoured == (() if (name, effort) == ("reasoning_effort", None) else (name,))


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "f"}}])
def test_a_call_of_no_tools_is_refused(choice: Any) -> None:
    with pytest.raises(BadRequest) as refused:
        read(tool_choice=choice)
    assert refused.value.param == "tool_choice"


def test_chat_templates_get_one_text_and_roles_they_know() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    asked = read(
        messages=[
            {"role": "developer", "content": "be brief"},
            {"role": "assistant", "content": None},
            {"role": "user", "content": parts, "name": "ann"},
        ]
    )

    assert asked.query.messages == (
        {"role": "system", "content": "be brief"},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": "ab", "name": "ann"},
    )
    assert asked.body["messages"][0]["role"] == "developer"


@pytest.mark.parametrize(
    ("stop", "expected"), [("a", ("a",)), (["a", "b"], ("a", "b")), (None, ()), ([], ())]
)
def test_stop_is_one_text_or_some(stop: Any, expected: tuple[str, ...]) -> None:
    assert read(stop=stop).query.sampling.stop == expected


def test_headers_hold_what_headers_can() -> None:
    headers = translate.headers_of({"route": "small", "model": "größe 50%\n", "bin": None, "samples": 3})

    assert headers == {
        "x-gradus-route": "small",
        "x-gradus-model": "gr%C3%B6%C3%9Fe 50%25%0A",
        "x-gradus-samples": "3",
    }


@given(
    extra=st.dictionaries(
        st.text(min_size=1, max_size=8).map(lambda name: f"x_{name}"),
        st.none()
        | st.booleans()
        | st.integers(-9, 9)
        | st.text(max_size=5)
        | st.lists(st.integers(0, 3), max_size=2),
        max_size=4,
    )
)
def test_no_unknown_field_is_ever_lost(extra: dict[str, Any]) -> None:
    asked = read(**extra)

    assert {name: asked.query.extra[name] for name in extra} == extra
    assert {name: asked.body[name] for name in extra} == extra
