from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cache.entries import KeptAnswer, entry_of, may_be_kept, pack, reply_of, unpack
from tests.gateway.cache.asking import reply
from tests.gateway.upstream import completion

ENTRY = KeptAnswer(1.5, ("a", ""), "The answer is 7.", "stop", {"model": "small", "deep": [1, 2.5, None]})
BIG = replace(ENTRY, text="7 " * 5000)


@pytest.mark.parametrize(
    "entry", [ENTRY, BIG, replace(ENTRY, upstream=completion(), tool_calls=({"id": "a"},))]
)
def test_an_answer_comes_back_as_it_was_kept(entry: KeptAnswer) -> None:
    assert unpack(pack(entry)) == entry


def test_a_large_answer_takes_less_room() -> None:
    assert len(pack(BIG)) < 1000


@given(at=st.integers(0, len(pack(ENTRY)) - 1), flip=st.integers(1, 255))
def test_a_damaged_answer_is_none(at: int, flip: int) -> None:
    packed = bytearray(pack(ENTRY))
    packed[at] ^= flip
    assert unpack(bytes(packed)) is None


@given(st.binary())
def test_what_somebody_else_wrote_is_none(packed: bytes) -> None:
    assert unpack(packed) is None


def test_an_answer_of_another_version_is_none() -> None:
    assert unpack(pack(ENTRY).replace(b"answer-1", b"answer-2", 1)) is None


def _choices(*choices: dict[str, Any]) -> dict[str, Any]:
    return completion(choices=list(choices))


WHOLE = {"message": {"content": "7"}, "finish_reason": "stop"}


@pytest.mark.parametrize(
    ("entry", "kept"),
    [
        (ENTRY, True),
        (replace(ENTRY, finish_reason="length"), False),
        (replace(ENTRY, text=""), False),
        (replace(ENTRY, text="", tool_calls=({"id": "a"},), finish_reason="tool_calls"), True),
        (replace(ENTRY, gradus={"confidence": 0.4}), False),
        (replace(ENTRY, gradus={"confidence": 0.6}), True),
        (replace(ENTRY, gradus={"confidence": None}), True),
        (replace(ENTRY, upstream=_choices(WHOLE)), True),
        (replace(ENTRY, upstream=_choices(WHOLE, {**WHOLE, "finish_reason": "length"})), False),
        (replace(ENTRY, upstream=_choices({**WHOLE, "finish_reason": "content_filter"})), False),
        (replace(ENTRY, upstream=_choices({**WHOLE, "finish_reason": None})), False),
        (replace(ENTRY, upstream=_choices({**WHOLE, "message": {"content": None}})), False),
        (replace(ENTRY, upstream=_choices({**WHOLE, "message": {"refusal": "No."}})), True),
        (replace(ENTRY, upstream=_choices()), False),
    ],
)
def test_only_whole_answers_are_kept(entry: KeptAnswer, kept: bool) -> None:
    assert may_be_kept(entry, 0.5) is kept


def test_an_answer_is_given_again_without_what_the_first_one_cost() -> None:
    kept = entry_of(reply(cost_usd="0.1", tokens={"probe": 5}, lines=[1]), None, 0.0, ())
    again = reply_of(kept, {"cost_usd": "0", "lines": []}, {"total_tokens": 0}, 0.001, {})
    assert (again.text, again.usage, again.done) == ("7", {"total_tokens": 0}, None)
    assert again.gradus == {
        "route": "small",
        "model": "abacus-small",
        "confidence": 0.9,
        "cost_usd": "0",
        "lines": [],
        "latency_s": {"total": 0.001},
        "cached": True,
    }
