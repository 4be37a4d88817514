"""The first rule whose conditions all hold decides; what a rule covers, a later one never sees."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.config import Condition, Policy, Rule
from router.limits import REQUIRED_TOOLS
from router.rules import covers, first_rule, language_of, unknown_languages
from router.types import Query
from tests.router.examples import query

GERMAN = "Wie viele Äpfel bleiben übrig, wenn ich von zwanzig Äpfeln sieben verschenke?"
ENGLISH = "How many apples are left when I give away seven of my twenty apples?"


def _policy(*rules: Rule) -> Policy:
    return Policy.model_validate(
        {"small": "tiny", "verifier": "prm", "usd_per_right_answer": 1, "rules": list(rules)}
    )


def _rule(use: str = "small", **when: Any) -> Rule:
    return Rule(when=Condition(**when), use=use)


def _matches(asked: Query, prompt_tokens: int = 10, **when: Any) -> bool:
    return first_rule(asked, _policy(_rule(**when)), prompt_tokens) is not None


def _parts(*parts: dict[str, Any]) -> Query:
    return Query(({"role": "user", "content": list(parts)},))


IMAGE = _parts({"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "x"}})


def test_the_first_of_several_that_hold_decides() -> None:
    policy = _policy(_rule("one", prefix="/a"), _rule("two", prefix="/"), _rule("three", pattern="."))
    assert [
        rule.use if (rule := first_rule(query(text), policy, 10)) else None
        for text in ("/abc", "/b", "c", "")
    ] == ["one", "two", "three", None]


def test_without_rules_none_holds() -> None:
    assert first_rule(query(), _policy(), 10) is None


@pytest.mark.parametrize("need", ["tools", REQUIRED_TOOLS, "functions", "tool messages"])
def test_tools_are_offered_or_in_the_conversation_already(need: str) -> None:
    assert _matches(query(needs=(need,)), tools=True)
    assert not _matches(query(needs=(need,)), tools=False)
    assert _matches(query(needs=("logprobs",)), tools=False)


def test_an_image_is_a_part_of_a_message() -> None:
    assert _matches(IMAGE, images=True)
    assert not _matches(query(), images=True)
    assert _matches(query(), images=False)
    assert not _matches(_parts({"type": "text", "text": "image_url"}), images=True)


def test_a_long_prompt_has_so_many_tokens_or_more() -> None:
    assert [_matches(query(), tokens, min_prompt_tokens=100) for tokens in (99, 100, 101)] == [
        False,
        True,
        True,
    ]


def test_users_are_those_of_the_request() -> None:
    assert _matches(query(extra={"user": "ann"}), users=("bob", "ann"))
    assert not _matches(query(extra={"user": "anna"}), users=("bob", "ann"))
    assert not _matches(query(), users=("ann",))


def test_prefix_and_pattern_read_the_last_message_of_the_user() -> None:
    asked = Query(
        (
            {"role": "system", "content": "/fast"},
            {"role": "user", "content": "/fast 1 + 1?"},
            {"role": "assistant", "content": "2"},
            {"role": "user", "content": [{"type": "text", "text": "  /slow 2 + 2?"}]},
            {"role": "assistant", "content": "/fast"},
        )
    )
    assert _matches(asked, prefix="/slow")
    assert not _matches(asked, prefix="/fast")
    assert _matches(asked, pattern=r"\d \+ \d\?$")
    assert not _matches(asked, pattern=r"1 \+")


def test_a_conversation_without_a_user_has_no_last_message() -> None:
    asked = Query(({"role": "system", "content": "/fast"},))
    assert not _matches(asked, prefix="/fast")


def test_languages_are_told_by_what_is_asked() -> None:
    assert _matches(query(GERMAN), languages=("de", "fr"))
    assert not _matches(query(ENGLISH), languages=("de", "fr"))
    assert (language_of(GERMAN), language_of(ENGLISH)) == ("de", "en")


@pytest.mark.parametrize("text", ["", "48 * 97 - 12", "x^2 - 5x + 6 = 0", "ok", "def f(x): return x + 1"])
def test_what_is_in_no_language_falls_under_no_rule_about_one(text: str) -> None:
    assert language_of(text) is None
    assert not _matches(query(text), languages=("en", "de", "ro"))


def test_a_language_that_nobody_tells_is_known_as_such() -> None:
    assert unknown_languages(Condition(languages=("de", "xx"))) == ["xx"]
    assert unknown_languages(Condition(tools=True)) == []


def test_all_conditions_of_a_rule_must_hold() -> None:
    when: dict[str, Any] = {"prefix": "/fast", "users": ("ann",)}
    assert _matches(query("/fast", extra={"user": "ann"}), **when)
    assert not _matches(query("/fast"), **when)
    assert not _matches(query("slow", extra={"user": "ann"}), **when)


CONDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "tools": st.booleans(),
        "images": st.booleans(),
        "min_prompt_tokens": st.integers(1, 4),
        "prefix": st.sampled_from(["/", "/a", "/ab"]),
        "users": st.sets(st.sampled_from("xyz"), min_size=1).map(lambda names: tuple(sorted(names))),
        "pattern": st.sampled_from(["a", "b$"]),
    },
).filter(bool)
QUERIES = st.builds(
    lambda text, user, tools, image: Query(
        (
            {
                "role": "user",
                "content": [{"type": "text", "text": text}, *([{"type": "image"}] if image else [])],
            },
        ),
        needs=("tools",) if tools else (),
        extra={"user": user},
    ),
    st.sampled_from(["", "/", "/a", "/ab", "b"]),
    st.sampled_from("xyz"),
    st.booleans(),
    st.booleans(),
)


@given(CONDITIONS, CONDITIONS, QUERIES, st.integers(0, 5))
def test_what_an_earlier_rule_covers_never_reaches_a_later_one(
    earlier: dict[str, Any], later: dict[str, Any], asked: Query, tokens: int
) -> None:
    if covers(Condition(**earlier), Condition(**later)) and _matches(asked, tokens, **later):
        assert _matches(asked, tokens, **earlier)


COVERED = [
    ({"tools": True}, {"tools": True, "images": True}, True),
    ({"tools": True}, {"tools": False}, False),
    ({"tools": True}, {"images": True}, False),
    ({"min_prompt_tokens": 10}, {"min_prompt_tokens": 20}, True),
    ({"min_prompt_tokens": 20}, {"min_prompt_tokens": 10}, False),
    ({"prefix": "/f"}, {"prefix": "/fast"}, True),
    ({"prefix": "/fast"}, {"prefix": "/f"}, False),
    ({"languages": ("de", "fr")}, {"languages": ("fr",)}, True),
    ({"languages": ("fr",)}, {"languages": ("de", "fr")}, False),
    ({"users": ("a",)}, {"users": ("a",), "tools": True}, True),
    ({"users": ("a",), "tools": True}, {"users": ("a",)}, False),
    ({"pattern": "x"}, {"pattern": "x"}, True),
    ({"pattern": "x"}, {"pattern": "xy"}, False),
]


@pytest.mark.parametrize(("earlier", "later", "covered"), COVERED, ids=str)
def test_a_wider_condition_covers_a_narrower_one(
    earlier: dict[str, Any], later: dict[str, Any], covered: bool
) -> None:
    assert covers(Condition(**earlier), Condition(**later)) == covered
