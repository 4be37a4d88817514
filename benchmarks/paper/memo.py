"""A verifier that remembers on disk what it once judged."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from benchmarks.paper.deck import append_lines, conversation, read_lines
from router.types import Task
from workers.protocols import Prompt, Scored, Scores, Verifier

_DIGITS = 6


class CountingVerifier(Verifier, Protocol):
    """A verifier that says what reading one turn takes."""

    def tokens(self, turn: Prompt) -> int: ...


class MemoVerifier:
    """The scores of one question's turns, each judged once, to six digits; tokens as if judged anew.

    A file of JSON lines: a digest of conversation and turn, tokens, step scores, score. Not for verifiers
    that compare the turns of a batch: those are refused with :class:`ValueError`.
    """

    reads_history: bool
    compares_turns = False

    def __init__(self, verifier: CountingVerifier, file: Path) -> None:
        if verifier.compares_turns:
            raise ValueError(f"verifier {verifier.name} compares turns: no score holds for the next batch")
        self.name = verifier.name
        self.scores_steps = verifier.scores_steps
        self.reads_history = verifier.reads_history
        self._verifier = verifier
        self._file = file
        self._known: dict[str, tuple[int, Scored]] = {}
        for line in read_lines(file):
            self._remember(*line)

    def score(self, turns: Sequence[Prompt], task: Task) -> Scores:
        keys = [_digest(turn) for turn in turns]
        distinct = dict(zip(keys, turns, strict=True))
        new = {key: turn for key, turn in distinct.items() if key not in self._known}
        if new:
            found = self._verifier.score(list(new.values()), task)
            lines = [
                _line(key, self._verifier.tokens(turn), scored)
                for (key, turn), scored in zip(new.items(), found.scored, strict=True)
            ]
            for line in lines:
                self._remember(*line)
            append_lines(self._file, lines)
        read = sum(self._known[key][0] for key in distinct)
        return Scores(tuple(self._known[key][1] for key in keys), read)

    def close(self) -> None:
        """The verifier belongs to whoever made it."""

    def _remember(self, key: str, tokens: int, step_scores: Sequence[float], score: float) -> None:
        self._known[key] = (tokens, Scored(tuple(step_scores), score))


def _digest(turn: Prompt) -> str:
    said = f"{conversation(turn.messages)}\n{turn.prefix}"
    return hashlib.blake2b(said.encode(), digest_size=9).hexdigest()


def _line(key: str, tokens: int, scored: Scored) -> list[Any]:
    rounded = [round(score, _DIGITS) for score in scored.step_scores]
    return [key, tokens, rounded, round(scored.score, _DIGITS)]
