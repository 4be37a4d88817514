"""Judging without a model: an answer is as good as it is frequent."""

from __future__ import annotations

from collections.abc import Sequence

from router.types import Task
from workers.answers import Embed, answers_for
from workers.protocols import Prompt, Scored, Scores


class MajorityVerifier:
    """Scores a turn by the share of turns of its batch that end in the same answer; without an answer, by 0.

    Reads no tokens. It cannot judge unfinished turns.
    """

    scores_steps = False
    reads_history = False
    compares_turns = True

    def __init__(self, name: str, embed: Embed | None = None) -> None:
        self.name = name
        self._embed = embed

    def score(self, turns: Sequence[Prompt], task: Task) -> Scores:
        answers = answers_for(task, self._embed)
        said = [answers.extract(turn.prefix) for turn in turns]
        found = [answer for answer in said if answer is not None]
        shares = iter(answers.support(found, [1 / len(turns) for _ in found]))
        scored = tuple(Scored((), 0.0 if answer is None else next(shares)) for answer in said)
        return Scores(scored, tokens=0)

    def close(self) -> None:
        pass
