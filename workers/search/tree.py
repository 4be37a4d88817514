"""Turns that grow step by step: what every search by steps is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from workers.errors import NoAnswer
from workers.protocols import Candidate, Completion, Generate, Problem, Score, Scored, SearchResult
from workers.search.sampling import UNJUDGED, as_candidate, is_complete
from workers.search.selection import Select

_ASKS_A_FIRST_STEP = 5
"""At most: the mark of the thinking, its end, two blank lines, and the first step."""


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

    @property
    def last_step_score(self) -> float:
        """That of the last step alone, however the verifier aggregates them."""
        return self.judgement.step_scores[-1] if self.judgement.step_scores else self.judgement.score


ROOT = Path("", "step", UNJUDGED)


class Tree:
    """The paths of one search: makes them longer, has them judged, keeps those that are complete.

    Equal turns are judged once, in whatever round they come up: continuations often agree. Every path that
    was once complete was paid for, and stays a candidate.
    """

    def __init__(self, problem: Problem, generate: Generate, score: Score) -> None:
        self._problem = problem
        self._generate = generate
        self._score = score
        self._judgements = {one.text: Scored(one.step_scores, one.score) for one in problem.probes}
        self._finished: list[Path] = []

    def grow(self, paths: Sequence[Path]) -> list[Path | None]:
        """One more step for each path, judged; ``None`` in the place of one that time or budget broke off."""
        grown = self.judge(self.extend(paths))
        self.keep(alive(grown))
        return grown

    def extend(self, paths: Sequence[Path], *, temperature: float | None = None) -> list[Path | None]:
        """One more step for each path, not judged.

        Thinking whose steps do not count ends before the first step that can be judged begins: that takes
        more than one ask, of a path that begins.
        """
        grown = list(paths)
        going = list(range(len(grown)))
        for _ in range(_ASKS_A_FIRST_STEP):
            if not going:
                break
            prompts = [self._problem.step(grown[at].text) for at in going]
            for at, completion in zip(going, self._generate(prompts, temperature=temperature), strict=True):
                grown[at] = _longer(grown[at], completion)
            going = [
                at
                for at in going
                if paths[at] is ROOT
                and grown[at].ended == "step"
                and not self._problem.steps.is_whole(grown[at].text)
            ]
        return [None if one.ended == "cancelled" else one for one in grown]

    def judge(self, paths: Sequence[Path | None]) -> list[Path | None]:
        """The paths with their scores, in order."""
        new = dict.fromkeys(one.text for one in alive(paths) if one.text not in self._judgements)
        if new:
            scored = self._score([self._problem.turn(text) for text in new])
            self._judgements.update(zip(new, scored, strict=True))
        return [one and replace(one, judgement=self._judgements[one.text]) for one in paths]

    def finish(self, paths: Iterable[Path]) -> None:
        """Where rounds ran out: the rest of each turn that is not complete, in one batch, judged and kept."""
        open_ends = [one for one in paths if not one.complete]
        if not open_ends:
            return
        rests = self._generate([self._problem.turn(one.text) for one in open_ends])
        ends = [_longer(one, rest) for one, rest in zip(open_ends, rests, strict=True)]
        self.keep(alive(self.judge([one for one in ends if one.complete])))

    def keep(self, paths: Iterable[Path]) -> None:
        """Make the complete ones among these paths candidates."""
        self._finished += [one for one in paths if one.complete]

    def select(self, rule: Select) -> SearchResult:
        """What ``rule`` chooses of all candidates, the probes first. Raises :class:`NoAnswer` without any."""
        found = [*self._problem.probes]
        found += [as_candidate(self._problem, one.text, one.ended, one.judgement) for one in self._finished]
        if not found:
            raise NoAnswer("no turn was complete when time or budget ran out")
        return rule(found, self._problem.answers)


def first_steps(problem: Problem) -> list[Path]:
    """The paths that the probe's turns begin with; their scores are known already."""
    return [_first_step(problem, probe) for probe in problem.probes]


def alive(paths: Iterable[Path | None]) -> list[Path]:
    """Those that were not broken off."""
    return [one for one in paths if one is not None]


def best(paths: Iterable[Path], count: int) -> list[Path]:
    """The best scored of the paths that differ in their text."""
    distinct: dict[str, Path] = {}
    for one in sorted(paths, key=rank, reverse=True):
        distinct.setdefault(one.text, one)
    return [*distinct.values()][:count]


def rank(path: Path) -> tuple[float, str, bool]:
    """What orders paths: of equal scores the text decides, so that the order they came in does not."""
    return path.score, path.text, path.complete


def shares(total: int, parts: int) -> list[int]:
    """``total`` in ``parts`` that differ by one at most, the larger ones first."""
    return [total // parts + (at < total % parts) for at in range(parts)]


def _first_step(problem: Problem, probe: Candidate) -> Path:
    step = problem.steps.first(probe.text)
    if step == probe.text:
        return Path(probe.text, probe.finish_reason, Scored(probe.step_scores, probe.score))
    return Path(step, "step", Scored(probe.step_scores[:1], next(iter(probe.step_scores), 0.0)))


def _longer(path: Path, completion: Completion) -> Path:
    return Path(path.text + completion.text, completion.ended, UNJUDGED)
