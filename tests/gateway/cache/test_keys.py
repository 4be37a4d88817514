"""Never a wrong hit: whatever may change the answer changes the key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gateway.accounts import Account
from gateway.cache.keys import (
    NEUTRAL,
    is_deterministic,
    key_of,
    looks_outside,
    neutral_fields,
    tenant_of,
)
from router.config import OpenAIModel
from router.config.rules import Condition, Rule
from tests.gateway.cache.asking import BODY, account, config

TEXTS = st.text(max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
FIELDS = [
    "max_tokens",
    "temperature",
    "top_p",
    "n",
    "stop",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "reasoning_effort",
    "verbosity",
    "modalities",
    "service_tier",
    "functions",
    "prediction",
    "top_k",
    "chat_template_kwargs",
]
NAMES = st.sampled_from(FIELDS) | TEXTS.filter(lambda name: name not in NEUTRAL | {"messages"})
MESSAGES = st.lists(
    st.dictionaries(st.sampled_from(["role", "content", "name", "tool_calls", "refusal"]), VALUES),
    max_size=3,
)
BODIES = st.builds(
    lambda fields, messages: {**fields, "messages": messages}, st.dictionaries(NAMES, VALUES), MESSAGES
)


def _key(body: Mapping[str, Any] = BODY, **other: Any) -> str:
    known: dict[str, Any] = {
        "endpoint": "/v1/chat/completions",
        "options": {},
        "policy": "default",
        "tenant": "all",
        "account": Account(None),
        "fingerprint": "f",
    }
    return key_of(body=body, **{**known, **other})


def _text(value: object) -> str:
    """Equal only where JSON would be: 1, 1.0 and true are three values, and so are 0.0 and -0.0."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{name!r}:{_text(value[name])}" for name in sorted(value)) + "}"
    return "[" + ",".join(map(_text, value)) + "]" if isinstance(value, list) else repr(value)


@given(body=BODIES, name=NAMES, value=VALUES)
@example(body=dict(BODY), name="temperature", value=0.0)
@example(body=dict(BODY), name="n", value=True)
def test_any_other_value_of_any_field_is_another_key(body: dict[str, Any], name: str, value: Any) -> None:
    changed = {**body, name: value}
    assume(_text(changed) != _text(body))
    assert _key(changed) != _key(body)


@given(body=BODIES)
def test_every_field_that_is_left_out_is_another_key(body: dict[str, Any]) -> None:
    keys = {_key({name: value for name, value in body.items() if name != left_out}) for left_out in body}
    assert _key(body) not in keys
    assert len(keys) == len(body)


@given(first=BODIES, second=BODIES)
def test_two_bodies_that_differ_have_two_keys(first: dict[str, Any], second: dict[str, Any]) -> None:
    assume(_text(first) != _text(second))
    assert _key(first) != _key(second)


@given(body=BODIES, order=st.randoms(use_true_random=False))
def test_the_order_of_fields_is_no_other_key(body: dict[str, Any], order: Any) -> None:
    def shuffled(each: Mapping[str, Any]) -> dict[str, Any]:
        return dict(order.sample([*each.items()], len(each)))

    other = shuffled({**body, "messages": [shuffled(message) for message in body["messages"]]})
    assert _key(other) == _key(body)


@given(body=BODIES, name=st.sampled_from(sorted(NEUTRAL)), value=VALUES)
def test_what_is_neutral_is_no_other_key(body: dict[str, Any], name: str, value: Any) -> None:
    assert _key({**body, name: value}) == _key(body)


def test_models_write_in_the_order_of_a_schema_so_it_counts() -> None:
    def asks(*names: str) -> dict[str, Any]:
        schema = {"type": "object", "properties": {name: {"type": "string"} for name in names}}
        return {**BODY, "response_format": {"type": "json_schema", "json_schema": {"schema": schema}}}

    assert _key(asks("why", "answer")) != _key(asks("answer", "why"))


@pytest.mark.parametrize(
    "other",
    [
        {"endpoint": "/v1/completions"},
        {"options": {"budget": 8}},
        {"options": {"task": "math"}},
        {"policy": "careful"},
        {"policy": None},
        {"tenant": "key:k1"},
        {"fingerprint": "g"},
        {"account": account("k1", models=("big",))},
        {"account": account("k1", policies=("default",))},
    ],
)
def test_whatever_else_decides_is_another_key(other: dict[str, Any]) -> None:
    assert _key(**other) != _key()


def test_asking_for_the_cache_is_no_other_request() -> None:
    assert _key(options={"cache": True, "budget": 8}) == _key(options={"budget": 8})


def test_a_key_that_may_do_anything_shares_with_others_of_its_tenant() -> None:
    assert _key(account=account("k1"), tenant="team:t") == _key(account=account("k2"), tenant="team:t")


@pytest.mark.parametrize(
    ("scope", "who", "tenant"),
    [
        ("key", account("k1", "t1"), "key:k1"),
        ("team", account("k1", "t1"), "team:t1"),
        ("team", account("k1"), "key:k1"),
        ("everybody", account("k1", "t1"), "all"),
        ("key", Account(None), "all"),
    ],
)
def test_who_shares_an_answer(scope: str, who: Account, tenant: str) -> None:
    assert tenant_of(who, scope) == tenant


def test_a_rule_about_users_makes_the_user_part_of_the_key() -> None:
    plain = config()
    rule = Rule(when=Condition(users=("ada",)), use="small")
    policy = plain.policies["default"].model_copy(update={"rules": (rule,)})
    ruled = plain.model_copy(update={"policies": {**plain.policies, "default": policy}})
    assert neutral_fields(plain, ["abacus-small"]) - neutral_fields(ruled, ["abacus-small"]) == {"user"}


def test_what_a_server_reads_of_a_request_is_part_of_the_key_where_one_may_answer() -> None:
    plain = config()
    known = {"engine": "openai", "base_url": "http://a", "upstream_model": "m"}
    server = OpenAIModel.model_validate(known)
    served = plain.model_copy(update={"models": {**plain.models, "server": server}})
    assert neutral_fields(served, ["abacus-small"]) == NEUTRAL
    assert NEUTRAL - neutral_fields(served, ["abacus-small", "server"]) == {"user", "metadata"}


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [({"temperature": 0}, True), ({"seed": 0}, True), ({"temperature": 0.1}, False), ({}, False)],
)
def test_who_wants_the_same_answer_again(fields: dict[str, Any], wanted: bool) -> None:
    assert is_deterministic(fields) is wanted


def _with_image(url: str) -> dict[str, Any]:
    parts = [{"type": "text", "text": "http://x"}, {"type": "image_url", "image_url": {"url": url}}]
    return {"messages": [{"role": "user", "content": parts}]}


@pytest.mark.parametrize(
    ("body", "outside"),
    [
        (BODY, False),
        ({**BODY, "web_search_options": {}}, True),
        (_with_image("https://example.com/now.png"), True),
        (_with_image("data:image/png;base64,AAAA"), False),
    ],
)
def test_what_others_may_change_meanwhile_is_outside(body: dict[str, Any], outside: bool) -> None:
    assert looks_outside(body) is outside
