"""Turns that grow step by step: what every search by steps is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from workers.protocols import Candidate, Completion, Generate, Problem, Score, Scored
from workers.search.sampling import UNJUDGED, as_candidate, is_complete


@dataclass(frozen=True, slots=True)
class Path:
    """A turn so far, judged as far as it goes; ``ended`` is that of its last completion."""

    text: str
    ended: str
    judgement: Scored

    @property
    def complete(self) -> bool:
        return is_complete(self.ended)

    @property
    def score(self) -> float:
        return self.judgement.score


ROOT = Path("", "step", UNJUDGED)


def first_step(problem: Problem, probe: Candidate) -> Path:
    """The path that a probe's turn begins with; its score is known already."""
    step = problem.steps.first(probe.text)
    if step == probe.text:
        return Path(probe.text, probe.finish_reason, Scored(probe.step_scores, probe.score))
    return Path(step, "step", Scored(probe.step_scores[:1], next(iter(probe.step_scores), 0.0)))


def grow(problem: Problem, paths: Sequence[Path], generate: Generate, score: Score) -> list[Path]:
    """One more step for each path, judged; fewer than asked for when time or budget ran out."""
    return judge(problem, extend(problem, paths, generate), score)


def extend(
    problem: Problem, paths: Sequence[Path], generate: Generate, *, temperature: float | None = None
) -> list[Path]:
    """One more step for each path, not judged; those that time or budget broke off are left out."""
    if not paths:
        return []
    grown = _append(paths, generate([problem.step(one.text) for one in paths], temperature=temperature))
    # Thinking whose steps do not count ends before the first step that can be judged begins.
    halfway = [
        at for at, one in enumerate(grown) if one.ended == "step" and not problem.steps.is_whole(one.text)
    ]
    if halfway:
        again = [problem.step(grown[at].text) for at in halfway]
        finished = _append([grown[at] for at in halfway], generate(again, temperature=temperature))
        for at, one in zip(halfway, finished, strict=True):
            grown[at] = one
    return [one for one in grown if one.ended != "cancelled"]


def judge(problem: Problem, paths: Sequence[Path], score: Score) -> list[Path]:
    """The paths with their scores, in order; equal texts are judged once, since continuations often agree."""
    texts = list(dict.fromkeys(one.text for one in paths))
    scored = score([problem.turn(text) for text in texts]) if texts else ()
    judgements = dict(zip(texts, scored, strict=True))
    return [replace(one, judgement=judgements[one.text]) for one in paths]


def best(paths: Iterable[Path], count: int) -> list[Path]:
    """The best scored of the paths that differ; of equal scores the first."""
    distinct: dict[str, Path] = {}
    for one in paths:
        distinct.setdefault(one.text, one)
    return sorted(distinct.values(), key=lambda one: one.score, reverse=True)[:count]


def candidates(problem: Problem, paths: Iterable[Path]) -> tuple[Candidate, ...]:
    """The complete ones among the paths."""
    return tuple(as_candidate(problem, one.text, one.ended, one.judgement) for one in paths if one.complete)


def _append(paths: Sequence[Path], completions: Sequence[Completion]) -> list[Path]:
    return [
        Path(one.text + completion.text, completion.ended, UNJUDGED)
        for one, completion in zip(paths, completions, strict=True)
    ]
