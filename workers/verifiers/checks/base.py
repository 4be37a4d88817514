"""What all checks share: they read no tokens and judge whole turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from router.types import Task
from workers.protocols import Prompt, Scored, Scores

Judge = Callable[[Sequence[Prompt], Task], Sequence[float]]
"""A score from 0 to 1 for each turn's ``prefix``."""


class Check:
    """A verifier made of a function. It costs nothing and cannot judge unfinished turns."""

    scores_steps = False
    reads_history = False
    compares_turns = False

    def __init__(self, name: str, judge: Judge) -> None:
        self.name = name
        self._judge = judge

    def score(self, turns: Sequence[Prompt], task: Task) -> Scores:
        return Scores(tuple(Scored((), score) for score in self._judge(turns, task)), tokens=0)

    def close(self) -> None:
        pass
