"""Back-tracking guided by a process reward model: a step after which the score falls is taken back."""

from __future__ import annotations

from dataclasses import dataclass, field

from router.types import StrategySpec
from workers.protocols import Candidate, Generate, Problem, Score, Scored, SearchResult
from workers.search.selection import select_best_of_n_weighted
from workers.search.tree import ROOT, Path, Tree

TRIES = 3
"""After so many rejected continuations of a step, the step itself is dropped."""


def backtrack(problem: Problem, spec: StrategySpec, generate: Generate, score: Score) -> SearchResult:
    """N/M paths side by side, each of M turns' worth of steps; at last best-of-N weighted.

    A step whose score is more than ``max_drop`` below that of the step before is rejected, and another one
    sampled; after :data:`TRIES` rejections the step before is dropped too, which counts as a rejection there.
    A path that has asked for M times as many steps as it is long accepts what comes, and so does every path
    in its last ``max_rounds`` rounds; one that is longer still then goes on to the end of its turn, without
    steps. The next steps of all paths are one batch. Rejected
    steps are on the bill; one that was the end of a turn stays a candidate.

    The probe's turns are walked along up to the first fall: what was accepted begins the first paths.
    Raises :class:`workers.errors.NoAnswer` if nothing is complete when time or budget run out.
    """
    tree = Tree(problem, generate, score)
    count = max(1, spec.samples // spec.beam_width)
    trails = [_walk(problem, probe, spec.max_drop) for probe in problem.probes[:count]]
    trails += [_Trail() for _ in range(count - len(trails))]
    patience = (spec.beam_width - 1) * spec.max_rounds
    for turn in range(spec.beam_width * spec.max_rounds):
        growing = [trail for trail in trails if not trail.tip.complete]
        grown = zip(growing, tree.grow([trail.tip for trail in growing]), strict=True)
        trails = []
        for trail, path in grown:
            if path is None:  # broken off
                continue
            trails.append(trail)
            trail.asked += 1
            may_reject = turn < patience and trail.asked < spec.beam_width * trail.length
            if may_reject and _falls(trail.tip, path, spec.max_drop):
                trail.reject()
            else:
                trail.accept(path)
        if not trails:
            break
    tree.finish(trail.tip for trail in trails)
    return tree.select(select_best_of_n_weighted)


@dataclass(slots=True)
class _Trail:
    """The accepted steps of one path, and how many continuations of each were rejected.

    ``asked`` counts the steps that were sampled for it; ``length`` is the most that it had at once, with the
    one that is under trial.
    """

    steps: list[Path] = field(default_factory=lambda: [ROOT])
    rejected: list[int] = field(default_factory=lambda: [0])
    asked: int = 0
    length: int = 1

    @property
    def tip(self) -> Path:
        return self.steps[-1]

    def accept(self, path: Path) -> None:
        self.steps.append(path)
        self.rejected.append(0)
        self.length = max(self.length, len(self.steps))

    def reject(self) -> None:
        self.rejected[-1] += 1
        while self.rejected[-1] >= TRIES and len(self.steps) > 1:
            self.steps.pop()
            self.rejected.pop()
            self.rejected[-1] += 1


def _falls(before: Path, path: Path, max_drop: float) -> bool:
    """Whether the last step of ``path`` is that much worse than the one before; a first step is not."""
    return before is not ROOT and path.last_step_score < before.last_step_score - max_drop


def _walk(problem: Problem, probe: Candidate, max_drop: float) -> _Trail:
    """The steps of a probe before its first fall, as far as each has a score of its own."""
    trail = _Trail()
    steps = problem.steps.split(probe.text)
    if len(steps) != len(probe.step_scores):
        return trail
    for at, own in enumerate(probe.step_scores):
        is_last = at + 1 == len(steps)
        path = Path("".join(steps[: at + 1]), probe.finish_reason if is_last else "step", Scored((own,), own))
        if _falls(trail.tip, path, max_drop):
            break
        trail.asked += 1
        trail.accept(path)
    return trail
