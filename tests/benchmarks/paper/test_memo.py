"""A verifier's memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.paper.memo import MemoVerifier
from router.types import Task
from tests.benchmarks.paper.doubles import CountingScriptedVerifier
from workers.protocols import Prompt

TASK = Task("number")
ASKED = ({"role": "user", "content": "How much?"},)


def turns(*texts: str) -> list[Prompt]:
    return [Prompt(ASKED, text) for text in texts]


def judge() -> CountingScriptedVerifier:
    return CountingScriptedVerifier(lambda text: [len(line) / 7 for line in text.splitlines()])


def test_a_turn_is_judged_once_ever_and_billed_each_time(tmp_path: Path) -> None:
    file = tmp_path / "scores.jsonl"
    real = judge()
    first = MemoVerifier(real, file).score(turns("a b", "c", "a b"), TASK)
    assert [each.score for each in first.scored] == [0.428571, 0.142857, 0.428571]
    assert first.tokens == 3
    again = MemoVerifier(real, file)
    assert again.score(turns("a b", "c", "a b"), TASK) == first
    assert again.score(turns("c", "d e f"), TASK).tokens == 1 + 3
    assert [len(batch) for batch in real.calls] == [2, 1]


def test_the_same_text_in_another_conversation_is_another_turn(tmp_path: Path) -> None:
    real = judge()
    memo = MemoVerifier(real, tmp_path / "scores.jsonl")
    memo.score(turns("a"), TASK)
    memo.score([Prompt(({"role": "user", "content": "And this?"},), "a")], TASK)
    assert len(real.calls) == 2


def test_a_verifier_that_compares_turns_cannot_be_remembered(tmp_path: Path) -> None:
    real = CountingScriptedVerifier(lambda _: [0.5], compares_turns=True)
    with pytest.raises(ValueError, match="compares turns"):
        MemoVerifier(real, tmp_path / "scores.jsonl")
