"""JSON: found in what a model wrote, spelled one way, held to its schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.types import Task
from workers.answers import answers_for
from workers.answers.json_text import DEEPEST
from workers.errors import InvalidTask

JSON = answers_for(Task("json"))
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('{"b": 1.0, "a": [1e2, -0.0, 0.10]}', '{"a":[100,0,0.1],"b":1}'),
        ('Here it is:\n```json\n{"a": 1}\n```\nI hope it helps.', '{"a":1}'),
        ("```\n[1]\n```\nor rather\n```json\n[2]\n```", "[2]"),
        ('Sure! {"a": {"b": []}} is what you want.', '{"a":{"b":[]}}'),
        ('The list [1, {"a": 2}] it is', '[1,{"a":2}]'),
        ("true", "true"),
        ('{"é": "\\u00e9"}', '{"\\u00e9":"\\u00e9"}'),
        ('{"a": NaN}', None),
        ('{"a": 1e999}', None),
        ('{"a": 1', None),
        ("I do not know", None),
        ("", None),
    ],
)
def test_json_is_found_and_spelled_one_way(text: str, answer: str | None) -> None:
    assert JSON.extract(text) == answer


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_layout_does_not_matter_and_canonical_json_is_its_own_canonical_form(value: Any) -> None:
    compact = JSON.extract(json.dumps(value))
    airy = JSON.extract(f"```json\n{json.dumps(value, indent=2, ensure_ascii=True)}\n```")

    assert compact is not None
    assert compact == airy == JSON.extract(compact)
    assert json.loads(compact) == value


def test_json_that_is_nested_too_deep_is_no_answer() -> None:
    assert JSON.extract("[" * (DEEPEST - 1) + "]" * (DEEPEST - 1)) is not None
    assert JSON.extract("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1)) is None


def test_json_that_breaks_the_schema_is_no_answer() -> None:
    people = answers_for(Task("json", json_schema=PERSON))

    assert people.extract('{"age": 3.0, "name": "Bo"}') == '{"age":3,"name":"Bo"}'
    assert people.extract('{"age": -1, "name": "Bo"}') is None
    assert people.extract('{"name": "Bo", "size": 3}') is None
    assert people.extract("{}") is None


@pytest.mark.parametrize(
    ("schema", "complaint"),
    [
        ({"type": "objekt"}, "objekt"),
        ({"$ref": "https://example.com/person.json"}, "leaves the schema"),
        ({"properties": {"a": {"$ref": "other.json#/a"}}}, "leaves the schema"),
        ({"$ref": "#/$defs/none"}, "none"),
        ({"$ref": "#"}, "recursion"),
        ({"properties": {"a": {"pattern": "(a"}}}, "regex"),
        ({"description": "x" * 200_000}, "characters"),
        ({"const": object()}, "serializable"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused_by_name(schema: Mapping[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidTask, match=f"json_schema.*{complaint}"):
        answers_for(Task("json", json_schema=schema))


def test_a_schema_that_takes_for_ever_makes_no_answer() -> None:
    pattern = answers_for(Task("json", json_schema={"pattern": "^(a+)+$"}))
    assert pattern.extract('"aaa"') == '"aaa"'
    assert pattern.extract('"' + "a" * 60 + 'b"') is None
