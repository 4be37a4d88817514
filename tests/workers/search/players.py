"""What searches are handed in these tests: turns from a script, scores from a function of the text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from router.types import Task
from tests.workers.jobs import MESSAGES
from workers.answers import Answers, answers_for
from workers.engines.stopping import StopTexts
from workers.protocols import Candidate, Completion, Enough, Problem, Prompt, Scored
from workers.search.sampling import as_candidate
from workers.steps import LINES, Steps

ANSWERS = answers_for(Task())


@dataclass
class Player:
    """Sequence i of all that were ever asked for says the i-th turn, cyclically.

    A prefix continues as the turns that begin with it do. ``asked`` records the batches, with what was asked
    at which temperature; after ``batches`` of them everything is broken off, as a meter does it when time or
    budget have run out. A batch ends one by one, in order; what ``enough`` cuts off costs nothing here.
    """

    turns: Sequence[str]
    batches: int | None = None
    asked: list[tuple[Prompt, ...]] = field(default_factory=list)
    temperatures: list[float | None] = field(default_factory=list)
    completions: list[Completion] = field(default_factory=list)
    _said: int = 0

    @property
    def prefixes(self) -> list[tuple[str, ...]]:
        """What each batch was to continue."""
        return [tuple(prompt.prefix for prompt in batch) for batch in self.asked]

    def generate(
        self, prompts: Sequence[Prompt], *, temperature: float | None = None, enough: Enough | None = None
    ) -> tuple[Completion, ...]:
        self.asked.append(tuple(prompts))
        self.temperatures.append(temperature)
        is_over = self.batches is not None and len(self.asked) > self.batches
        said = []
        for prompt in prompts:
            if is_over:
                said.append(Completion("", "cancelled", 0))
                continue
            said.append(self.reply(prompt))
            self.completions.append(said[-1])
            is_over = enough is not None and enough(said[-1])
        return tuple(said)

    def reply(self, prompt: Prompt) -> Completion:
        fitting = [turn for turn in self.turns if turn.startswith(prompt.prefix)]
        rest = fitting[self._said % len(fitting)].removeprefix(prompt.prefix)
        self._said += 1
        end = StopTexts((), prompt.stop_after).find(rest)
        text = rest if end is None else rest[: end.length]
        return Completion(text, "stop" if text == rest else "step", len(text.split()))


@dataclass
class Judge:
    """Scores each step by a function of the turn up to there; the last counts. ``seen`` records turns."""

    worth: Callable[[str], float]
    steps: Steps = LINES
    seen: list[tuple[Prompt, ...]] = field(default_factory=list)

    @property
    def texts(self) -> list[tuple[str, ...]]:
        return [tuple(turn.prefix for turn in batch) for batch in self.seen]

    def score(self, turns: Sequence[Prompt]) -> tuple[Scored, ...]:
        self.seen.append(tuple(turns))
        return tuple(self.judgement(turn.prefix) for turn in turns)

    def judgement(self, text: str) -> Scored:
        steps = self.steps.split(text)
        scores = tuple(self.worth("".join(steps[: n + 1])) for n in range(len(steps)))
        return Scored(scores, scores[-1] if scores else 0.0)


def problem(
    *probes: Candidate, steps: Steps = LINES, answers: Answers = ANSWERS, judged_together: bool = False
) -> Problem:
    return Problem(MESSAGES, answers, steps, probes, judged_together)


def probes(judge: Judge, *turns: str) -> tuple[Candidate, ...]:
    """Complete, judged turns, as a probe leaves them."""
    bare = problem(steps=judge.steps)
    return tuple(as_candidate(bare, turn, "stop", judge.judgement(turn)) for turn in turns)


def candidate(
    answer: str | None, score: float, finish_reason: Literal["stop", "length"] = "stop"
) -> Candidate:
    text = "I do not know." if answer is None else f"The answer is {answer}."
    return Candidate(text, finish_reason, answer, (score,), score)
