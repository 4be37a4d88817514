"""A deterministic verifier for tests: a function says how good each step of a text is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from workers.protocols import Scored, Scores


class ScriptedVerifier:
    """``judge`` maps a text to its step scores (0 to 1); the last one is the score, 0 if there is none.

    Counts one token a word. ``calls`` records the texts of each batch.
    """

    def __init__(
        self,
        judge: Callable[[str], Sequence[float]],
        *,
        name: str = "scripted",
        scores_steps: bool = True,
    ) -> None:
        self.name = name
        self.scores_steps = scores_steps
        self.calls: list[tuple[str, ...]] = []
        self.closed = False
        self._judge = judge

    def score(self, messages: Sequence[Mapping[str, Any]], texts: Sequence[str]) -> Scores:  # noqa: ARG002
        self.calls.append(tuple(texts))
        scored = []
        for text in texts:
            steps = tuple(self._judge(text))
            scored.append(Scored(steps, steps[-1] if steps else 0.0))
        return Scores(tuple(scored), sum(len(text.split()) for text in texts))

    def close(self) -> None:
        self.closed = True
