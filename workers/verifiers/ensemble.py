"""Several verifiers as one: the weighted mean of what they say."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

from router.types import Task
from workers.errors import WorkerError
from workers.protocols import Prompt, Scored, Scores, Verifier


class EnsembleVerifier:
    """Weighs the scores of its members, one after another; who made the members closes them.

    It scores steps where all members do. A turn has step scores where they also agree on their number.
    """

    def __init__(self, name: str, members: Sequence[tuple[Verifier, float]]) -> None:
        self.name = name
        self.scores_steps = all(member.scores_steps for member, _ in members)
        self.reads_history = all(member.reads_history for member, _ in members)
        self.compares_turns = any(member.compares_turns for member, _ in members)
        total = fsum(weight for _, weight in members)
        self._members = [(member, weight / total) for member, weight in members]

    def score(self, turns: Sequence[Prompt], task: Task) -> Scores:
        """Raises what its members raise: without one of them the score would mean something else."""
        said: list[tuple[str, Scores]] = []
        for member, _ in self._members:
            try:
                said.append((member.name, member.score(turns, task)))
            except WorkerError as error:
                broken = [] if error.consumed is None else [(member.name, error.consumed)]
                error.consumed = _together((), [*said, *broken])
                raise
        scored = tuple(
            self._mean([scores.scored[place] for _, scores in said]) for place in range(len(turns))
        )
        return _together(scored, said)

    def close(self) -> None:
        pass

    def _mean(self, each: Sequence[Scored]) -> Scored:
        steps: tuple[float, ...] = ()
        if self.scores_steps and len({len(one.step_scores) for one in each}) == 1:
            steps = tuple(map(self._weighted, zip(*(one.step_scores for one in each), strict=True)))
        return Scored(steps, self._weighted([one.score for one in each]))

    def _weighted(self, scores: Sequence[float]) -> float:
        mean = fsum(share * score for (_, share), score in zip(self._members, scores, strict=True))
        return min(1.0, mean)


def _together(scored: tuple[Scored, ...], said: Sequence[tuple[str, Scores]]) -> Scores:
    return Scores(
        scored,
        tokens=sum(scores.tokens for _, scores in said),
        completion_tokens=sum(scores.completion_tokens for _, scores in said),
        members=tuple(said),
    )
