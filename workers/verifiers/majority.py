"""Judging without a model: an answer is as good as it is frequent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from workers.answers.short import extract_answer
from workers.protocols import Scored, Scores


class MajorityVerifier:
    """Scores a text by the share of texts of its batch that end in the same answer; without an answer, by 0.

    Reads no tokens. It cannot judge unfinished turns.
    """

    scores_steps = False

    def __init__(self, name: str) -> None:
        self.name = name

    def score(self, messages: Sequence[Mapping[str, Any]], texts: Sequence[str]) -> Scores:  # noqa: ARG002
        answers = [extract_answer(text) for text in texts]
        votes = Counter(answers)
        shares = [0.0 if answer is None else votes[answer] / len(texts) for answer in answers]
        return Scores(tuple(Scored((), share) for share in shares), tokens=0)

    def close(self) -> None:
        pass
