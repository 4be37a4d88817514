"""A search on the shipped doubles through a real meter: what it asked for, what it chose, and the bill.

Tokens, for who computes a bill by hand: the question is 6 tokens, a word is one, a newline is one, and so is
the end of a turn. A verifier reads words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from router.types import StrategySpec, Task
from tests.workers.jobs import MESSAGES
from workers.answers import answers_for
from workers.engines.scripted import ScriptedEngine
from workers.meter import Meter
from workers.protocols import Cancellation, Candidate, Problem, Prompt, SamplingParams, SearchResult
from workers.search import STRATEGIES
from workers.steps import LINES, Steps
from workers.verifiers.scripted import ScriptedVerifier


class Book:
    """A script for :class:`ScriptedEngine`: what is said after each prefix, the first time and so on."""

    def __init__(self, pages: Mapping[str, Sequence[str]]) -> None:
        self._pages = pages
        self._read: Counter[str] = Counter()

    def __call__(self, prompt: Prompt, _index: int, _seed: int) -> str:
        said = self._pages[prompt.prefix]
        self._read[prompt.prefix] += 1
        return said[(self._read[prompt.prefix] - 1) % len(said)]


@dataclass(frozen=True)
class Trace:
    result: SearchResult
    batches: list[tuple[str, ...]]
    """The prefixes that each batch was to continue."""
    prompts: list[tuple[Prompt, ...]]
    temperatures: list[float]
    judged: list[tuple[str, ...]]
    bill: dict[str, tuple[int, int, int]]
    """For each purpose (calls, prompt tokens, completion tokens)."""

    @property
    def answers(self) -> list[str | None]:
        return [one.answer for one in self.result.candidates]


def trace(
    spec: StrategySpec,
    script: Callable[[Prompt, int, int], str],
    worth: Callable[[str], float],
    *,
    probes: Sequence[Candidate] = (),
    steps: Steps = LINES,
    reads_history: bool = False,
) -> Trace:
    """``worth`` is the score of a turn that ends with its last step."""
    engine = ScriptedEngine(script)
    verifier = ScriptedVerifier(
        lambda text: [worth("".join(steps.split(text)[: n + 1])) for n in range(len(steps.split(text)))],
        reads_history=reads_history,
    )
    meter = Meter(MESSAGES, Cancellation())
    generate = meter.generator(engine, "candidate", SamplingParams(64, temperature=0.8), steps=steps)
    score = meter.scorer(verifier, Task(), steps)
    problem = Problem(meter.messages, answers_for(Task()), steps, tuple(probes))
    result = STRATEGIES[spec.name](problem, spec, generate, score)
    return Trace(
        result,
        [tuple(prompt.prefix for prompt in prompts) for prompts, _ in engine.calls],
        [prompts for prompts, _ in engine.calls],
        [params.temperature for _, params in engine.calls],
        [tuple(turn.prefix for turn in batch) for batch in verifier.calls],
        {line.purpose: (line.calls, line.prompt_tokens, line.completion_tokens) for line in meter.usage},
    )
