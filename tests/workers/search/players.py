"""What searches are handed in these tests: turns from a script, scores from a function of the text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from router.types import FinishReason
from workers.protocols import Candidate, Completion, Scored
from workers.search.sampling import as_candidate
from workers.search.steps import first_step, split_steps


@dataclass
class Player:
    """Sequence i of all that were ever asked for says the i-th turn, cyclically.

    A prefix continues as the turns that begin with it do. ``asked`` records the batches; after ``batches`` of
    them everything is broken off, as a meter does it when time or budget have run out.
    """

    turns: Sequence[str]
    batches: int | None = None
    asked: list[tuple[str, ...]] = field(default_factory=list)
    _said: int = 0

    def generate(self, prefixes: Sequence[str], to_step_end: bool) -> tuple[Completion, ...]:
        self.asked.append(tuple(prefixes))
        if self.batches is not None and len(self.asked) > self.batches:
            return tuple(Completion("", "cancelled", 0) for _ in prefixes)
        return tuple(self._continue(prefix, to_step_end) for prefix in prefixes)

    def _continue(self, prefix: str, to_step_end: bool) -> Completion:
        fitting = [turn for turn in self.turns if turn.startswith(prefix)]
        rest = fitting[self._said % len(fitting)].removeprefix(prefix)
        self._said += 1
        text = first_step(rest) if to_step_end else rest
        ended = "stop" if text == rest else "step"
        return Completion(text, ended, len(text.split()))


@dataclass
class Judge:
    """Scores each step by a function of the turn up to there; the last counts. ``seen`` records texts."""

    worth: Callable[[str], float]
    seen: list[tuple[str, ...]] = field(default_factory=list)

    def score(self, texts: Sequence[str]) -> tuple[Scored, ...]:
        self.seen.append(tuple(texts))
        return tuple(self.judgement(text) for text in texts)

    def judgement(self, text: str) -> Scored:
        steps = split_steps(text)
        scores = tuple(self.worth("".join(steps[: n + 1])) for n in range(len(steps)))
        return Scored(scores, scores[-1] if scores else 0.0)


def probes(judge: Judge, *turns: str) -> tuple[Candidate, ...]:
    """Complete, judged turns, as a probe leaves them."""
    return tuple(as_candidate(turn, "stop", judge.judgement(turn)) for turn in turns)


def candidate(answer: str | None, score: float, finish_reason: FinishReason = "stop") -> Candidate:
    text = "I do not know." if answer is None else f"The answer is {answer}."
    return Candidate(text, finish_reason, answer, (score,), score)
