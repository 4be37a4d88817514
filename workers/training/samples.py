"""The samples of one question: drawn once, judged as probes of several sizes, known right or wrong."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from cost_model.usage import Usage
from router.outcomes import ProbeSample
from router.types import Task
from workers.answers import Embed, answers_for
from workers.answers.reference import are_right
from workers.executor import Model
from workers.meter import Meter
from workers.protocols import Cancellation, Candidate, Problem, SamplingParams, Verifier
from workers.search.sampling import as_candidate, judged
from workers.training.drawing import Draw
from workers.training.questions import Question


@dataclass(frozen=True, slots=True)
class Sampling:
    """What is sampled and by whom it is judged. The first ``probes`` of ``samples`` are judged."""

    small: Model
    verifier: Verifier
    task: Task
    embed: Embed | None
    samples: int
    probes: int


@dataclass(frozen=True, slots=True)
class Begun:
    """Samples that a search starts from, and what drawing and judging them took."""

    candidates: tuple[Candidate, ...]
    lines: tuple[Usage, ...]
    seconds: float


class Samples:
    """Of one question; they are drawn when this is made. For one thread.

    ``drawing`` is what drawing all of them took: the prompt was read once.
    """

    def __init__(self, sampling: Sampling, question: Question, draw: Draw) -> None:
        model = sampling.small.config
        messages = ({"role": "user", "content": question.question},)
        self.question = question
        self.draw = draw
        self._sampling = sampling
        self._answers = answers_for(sampling.task, sampling.embed)
        self.problem = Problem(messages, self._answers, sampling.small.steps, revise=model.revise_prompt)
        meter = self.meter()
        params = self.params("samples")
        generate = meter.generator(draw.engine, "direct", params, steps=self.problem.steps)
        self._drawn = generate([self.problem.turn()] * sampling.samples)
        self.count(meter)
        (self.drawing,) = meter.usage
        self._candidates = [as_candidate(self.problem, one.text, one.ended) for one in self._drawn]
        self.right = self.are_right(self._candidates)
        self._judged: dict[int, Begun] = {}

    def begun(self, count: int, *, is_judged: bool) -> Begun:
        """The first ``count`` samples, as a policy with so many probes would have them."""
        if count and is_judged:
            return self.probe(count)
        drawn_s = self.drawing.seconds if count else 0.0
        return Begun(tuple(self._candidates[:count]), self._drawn_lines(count), drawn_s)

    def probe(self, count: int) -> Begun:
        """Judged, in a batch of their own; remembered."""
        if count not in self._judged:
            meter = self.meter()
            samples = self._candidates[:count]
            score = meter.scorer(self._sampling.verifier, self._sampling.task, self.problem.steps)
            started_s = time.monotonic()
            judgements = score([self.problem.turn(one.text) for one in samples])
            judged_s = time.monotonic() - started_s
            self.count(meter)
            candidates = tuple(judged(*pair) for pair in zip(samples, judgements, strict=True))
            lines = (*self._drawn_lines(count), *meter.usage)
            self._judged[count] = Begun(candidates, lines, self.drawing.seconds + judged_s)
        return self._judged[count]

    def evidence(self, probe: Begun) -> tuple[ProbeSample, ...]:
        return tuple(
            ProbeSample(
                answer=one.answer,
                right=self.right[at],
                score=one.score,
                step_scores=one.step_scores,
                completion_tokens=self._drawn[at].completion_tokens,
                finish_reason=one.finish_reason,
            )
            for at, one in enumerate(probe.candidates)
        )

    def turns(self) -> list[dict[str, Any]]:
        """A row a sample, as `gradus quality` reads them; those of the probe have their scores."""
        probes = self._sampling.probes
        scores = [one.score for one in self.probe(probes).candidates] if probes else []
        return [
            {
                "id": self.question.id,
                "question": self.question.question,
                "text": one.text,
                "right": self.right[at],
                **({"score": scores[at]} if at < probes else {}),
                "task": {"kind": self._sampling.task.kind},
            }
            for at, one in enumerate(self._candidates)
        ]

    def are_right(self, candidates: Sequence[Candidate]) -> tuple[bool, ...]:
        return are_right(self._answers, [one.answer for one in candidates], self.question.answer)

    def agreement(self, candidates: Sequence[Candidate]) -> float:
        """The share of the most frequent answer; candidates without one agree with nothing."""
        said = [one.answer for one in candidates if one.answer is not None]
        votes = Counter(self._answers.classes(said))
        return max(votes.values(), default=0) / len(candidates)

    def meter(self) -> Meter:
        return Meter(self.problem.messages, Cancellation())

    def params(self, what: str) -> SamplingParams:
        """Seeded by the recipe, the question and what is done: nothing that ran before matters."""
        digest = hashlib.sha256(f"{self.draw.name}:{what}".encode()).digest()
        return replace(self.draw.params, seed=int.from_bytes(digest[:4], "big") >> 1)

    def count(self, meter: Meter) -> None:
        """Count what was drawn. Raises what an engine or the verifier failed with."""
        if meter.failure is not None:
            raise meter.failure
        drawn = (line.completion_tokens for line in meter.usage if line.purpose != "verifier")
        self.draw.completion_tokens += sum(drawn)

    def _drawn_lines(self, count: int) -> tuple[Usage, ...]:
        if not count:
            return ()
        drawn = self._drawn[:count]
        line = replace(
            self.drawing,
            purpose="probe",
            calls=count,
            completion_tokens=sum(one.completion_tokens for one in drawn),
            reasoning_tokens=sum(one.reasoning_tokens for one in drawn),
        )
        return (line,)
