"""A deterministic verifier for tests: a function says how good each step of a text is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from router.types import Task
from workers.protocols import Prompt, Scored, Scores


class ScriptedVerifier:
    """``judge`` maps a text to its step scores (0 to 1); the last one is the score, 0 if there is none.

    Counts one token a word. ``calls`` records the turns of each batch.
    """

    def __init__(
        self,
        judge: Callable[[str], Sequence[float]],
        *,
        name: str = "scripted",
        scores_steps: bool = True,
        reads_history: bool = False,
        compares_turns: bool = False,
    ) -> None:
        self.name = name
        self.reads_history = reads_history
        self.compares_turns = compares_turns
        self.scores_steps = scores_steps
        self.calls: list[tuple[Prompt, ...]] = []
        self.closed = False
        self._judge = judge

    def score(self, turns: Sequence[Prompt], task: Task) -> Scores:  # noqa: ARG002
        self.calls.append(tuple(turns))
        scored = []
        for turn in turns:
            steps = tuple(self._judge(turn.prefix))
            scored.append(Scored(steps, steps[-1] if steps else 0.0))
        return Scores(tuple(scored), sum(len(turn.prefix.split()) for turn in turns))

    def close(self) -> None:
        self.closed = True
