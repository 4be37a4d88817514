"""Sampling whole turns until enough is known: the budget is used up, or a stopping rule holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import fsum

from router.types import StoppingRule, StrategySpec
from workers.errors import NoAnswer
from workers.protocols import Candidate, Completion, Generate, Problem, Score, Scored, SearchResult
from workers.search.sampling import as_candidate, is_complete, judged
from workers.search.selection import Select, has_answer
from workers.search.stopping import agrees, cannot_lose, stays_ahead, whole_windows

_BEST_SCORE = 1.0


class Vote:
    """N samples, launched in windows, and what ``select`` chooses of those there are when a rule stops it.

    Samples are judged in as few batches as may be: at the end, or when only their scores can tell whether the
    rule holds. Where scores compare them, all are judged at the end, those of the probe again. ``score`` is
    ``None`` where nothing needs to be judged.
    """

    def __init__(self, problem: Problem, spec: StrategySpec, select: Select, score: Score | None) -> None:
        self._problem = problem
        self._spec = spec
        self._select = select
        self._score = score
        self._judgements = {one.text: Scored(one.step_scores, one.score) for one in problem.probes}
        self._samples: list[Candidate | None] = list(problem.probes)
        """In the order that they were asked for; ``None`` is one that was broken off."""
        self._arriving: list[Candidate | None] = []
        """Of the window that runs, in the order that they ended."""
        self._stopped: str | None = None
        self._rule = rule_of(problem, spec, score)
        self._labels: dict[str, int] = {}
        """The class of each answer so far."""

    def run(self, generate: Generate) -> SearchResult:
        """Raises :class:`workers.errors.NoAnswer` if nothing is complete when time or budget run out."""
        over = self._is_decided()
        while not over and len(self._samples) < self._spec.samples:
            done = generate([self._problem.turn()] * self._window(), enough=self._arrived)
            self._samples += [self._candidate(one) for one in done]
            self._arriving = []
            over = any(one.ended == "cancelled" for one in done) or self._is_decided()
        candidates = self._judged()
        if not candidates:
            raise NoAnswer("the deadline came before any candidate was complete")
        return replace(self._select(candidates, self._problem.answers), stopped=self._stopped)

    def _window(self) -> int:
        """How many to launch: what the window that is begun still lacks."""
        asked, window = len(self._samples), self._spec.stopping.window
        left = self._spec.samples - asked
        return left if window is None else min(left, window - asked % window)

    def _arrived(self, completion: Completion) -> bool:
        self._arriving.append(self._candidate(completion))
        return self._is_decided()

    def _candidate(self, completion: Completion) -> Candidate | None:
        if not is_complete(completion.ended):
            return None
        return as_candidate(
            self._problem,
            completion.text,
            completion.ended,
            mean_logprob=completion.mean_logprob,
            completion_tokens=completion.completion_tokens,
        )

    def _is_decided(self) -> bool:
        to_come = self._spec.samples - len(self._samples) - len(self._arriving)
        if self._stopped is None and to_come > 0:
            reason = self._reason_to_stop(to_come)
            self._stopped = reason and f"{reason}, and {to_come} of {self._spec.samples} were still to come"
        return self._stopped is not None

    def _reason_to_stop(self, to_come: int) -> str | None:
        said = _said(self._complete())
        if not self._may_hold(len(said), to_come):
            return None
        if self._labels.keys() != set(said):
            distinct = tuple(dict.fromkeys(said))
            self._labels = dict(zip(distinct, self._problem.answers.classes(distinct), strict=True))
        match self._rule:
            case "leader":
                return self._votes_ahead(to_come) if self._score is None else self._scores_ahead(to_come)
            case "beta":
                return self._stays_ahead()
            case "window":
                return self._window_agrees()
        return None

    def _may_hold(self, voters: int, to_come: int) -> bool:
        """Whether the rule would hold if all agreed: before that no answers need to be compared."""
        match self._rule:
            case "leader":
                return voters > to_come
            case "beta":
                return stays_ahead(voters, 0) >= self._spec.stopping.confidence
            case "window":
                return not self._arriving
        return False

    def _votes_ahead(self, to_come: int) -> str | None:
        votes = self._votes()
        if not self._cannot_lose(votes, to_come):
            return None
        first, second = _first_two(votes)
        return f"the leader can no longer lose: it has {first:g} votes, the runner-up {second:g}"

    def _scores_ahead(self, to_come: int) -> str | None:
        """A sample weighs at most 1, so those not judged yet are only judged if they could decide it."""
        most, least = self._weights(_BEST_SCORE), self._weights(0.0)
        for answer, weight in most.items():
            others = (least[other] for other in least if other != answer)
            if cannot_lose(weight, max(others, default=0.0), to_come):
                break
        else:
            return None
        self._judged()
        weights = self._weights(0.0)
        if not self._cannot_lose(weights, to_come):
            return None
        first, second = _first_two(weights)
        return (
            f"the leader can no longer lose: its scores sum to {first:.2f}, the runner-up's to {second:.2f}"
        )

    def _cannot_lose(self, weights: Mapping[int, float], to_come: int) -> bool:
        """Where answers support each other in part (tool calls), all the rest counts against the leader."""
        first, second = _first_two(weights)
        if not cannot_lose(first, second, to_come):
            return False
        alone = Counter(_said(self._complete()))
        behind = self._problem.answers.support(tuple(alone), tuple(map(float, alone.values())))
        stand_alone = list(behind) == list(alone.values())
        return stand_alone or cannot_lose(first, fsum(weights.values()) - first, to_come)

    def _stays_ahead(self) -> str | None:
        votes = self._votes()
        first, second = _first_two(votes)
        probability = stays_ahead(int(first), int(second))
        if not votes or probability < self._spec.stopping.confidence or not self._wins(_leader(votes)):
            return None
        return f"the leader stays ahead with probability {probability:.3f}, by {first:g} votes to {second:g}"

    def _window_agrees(self) -> str | None:
        size = self._spec.stopping.window
        if size is None:
            return None
        classes = [None if one is None else self._class(one) for one in self._samples]
        for window in whole_windows(len(classes), size):
            agreed = classes[window][0]
            if agrees(classes[window]) and agreed is not None and self._wins(agreed):
                return f"all {size} samples of a window agree"
        return None

    def _wins(self, label: int) -> bool:
        """Whether what would be chosen now is of that class of answers."""
        return self._class(self._select(self._judged(), self._problem.answers).best) == label

    def _class(self, candidate: Candidate) -> int | None:
        return self._labels[candidate.answer or ""] if has_answer(candidate) else None

    def _votes(self) -> Counter[int]:
        """How many gave an answer of each class, in order of first appearance."""
        votes: Counter[int] = Counter()
        for answer, count in Counter(_said(self._complete())).items():
            votes[self._labels[answer]] += count
        return votes

    def _weights(self, unjudged: float) -> dict[int, float]:
        """The sum of scores of each class of answers."""
        weights: dict[int, list[float]] = {}
        for one in filter(has_answer, self._complete()):
            known = self._judgements.get(one.text)
            own = weights.setdefault(self._labels[one.answer or ""], [])
            own.append(unjudged if known is None else known.score)
        return {label: fsum(own) for label, own in weights.items()}

    def _complete(self) -> list[Candidate]:
        return [one for one in (*self._samples, *self._arriving) if one is not None]

    def _judged(self) -> list[Candidate]:
        """All complete candidates, with their scores: each text judged once, or all of them together."""
        candidates = self._complete()
        if self._score is None:
            return candidates
        if self._problem.judged_together:
            new = [one.text for one in candidates] if len(candidates) > len(self._problem.probes) else []
        else:
            new = [
                text for text in dict.fromkeys(one.text for one in candidates) if text not in self._judgements
            ]
        if new:
            scored = self._score([self._problem.turn(text) for text in new])
            self._judgements.update(zip(new, scored, strict=True))
        return [judged(one, self._judgements[one.text]) for one in candidates]


def rule_of(problem: Problem, spec: StrategySpec, score: Score | None) -> StoppingRule:
    """The rule that may stop this vote.

    Scores that compare the turns of a batch are known only at the end. "leader" promises the same answer:
    best-of-N breaks ties by votes that are still to come, and where classes are more than equal texts a
    later answer may found one that takes others with it.
    """
    if score is not None and problem.judged_together:
        return "none"
    if spec.stopping.rule == "leader" and (spec.name == "best_of_n" or not problem.answers.is_exact):
        return "none"
    return spec.stopping.rule


def _said(candidates: Sequence[Candidate]) -> list[str]:
    """The answers of those that may win."""
    return [one.answer for one in candidates if one.answer is not None and one.finish_reason == "stop"]


def _first_two(weights: Mapping[int, float]) -> tuple[float, float]:
    """What stands behind the first and the second answer."""
    first, second, *_ = (*sorted(weights.values(), reverse=True), 0, 0)
    return first, second


def _leader(votes: Counter[int]) -> int:
    """Of equals the one that came first."""
    return votes.most_common(1)[0][0]
