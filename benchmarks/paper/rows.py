"""Searches of a question at a budget: whether the answer was right, and everything that was spent on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isqrt
from typing import Any

from benchmarks.paper.setting import TASK, Setting, Sitting
from router.types import Stopping, StrategyName, StrategySpec
from workers.errors import NoAnswer
from workers.executor import Model
from workers.meter import Meter
from workers.protocols import Cancellation, Problem, SamplingParams, SearchResult, Verifier
from workers.search import STRATEGIES

_ALL_SAMPLES = Stopping("none")
"""The paper's searches use up their budget."""


@dataclass(frozen=True, slots=True)
class Way:
    """A way to spend a budget of N turns. ``width`` is the paper's M ("sqrt": that of the samples).

    ``lookahead`` is its k: with it, N turns are N / (k + 1) samples. ``chain`` is how many attempts follow
    one another, ``None`` all.
    """

    label: str
    name: StrategyName
    width: int | str = 4
    lookahead: int = 0
    chain: int | None = 1

    def spec(self, budget: int) -> StrategySpec:
        """Raises :class:`ValueError` if the budget is too small for the way."""
        samples = budget // (self.lookahead + 1)
        width = isqrt(samples) if self.width == "sqrt" else min(int(self.width), samples)
        while width > 1 and samples % width:
            width -= 1
        return StrategySpec(
            self.name,
            samples,
            beam_width=width,
            lookahead_steps=max(1, self.lookahead),
            chain_length=min(self.chain or samples, samples),
            stopping=_ALL_SAMPLES,
        )


PARALLEL = (
    Way("majority", "majority"),
    Way("best-of-N", "best_of_n"),
    Way("best-of-N weighted", "best_of_n_weighted"),
)
BY_STEPS = (
    Way("beam, M = 4", "beam"),
    Way("beam, M = sqrt(N)", "beam", width="sqrt"),
    Way("lookahead, k = 1", "lookahead", lookahead=1),
    Way("lookahead, k = 3", "lookahead", lookahead=3),
)
WAYS = (*PARALLEL, *BY_STEPS)


@dataclass(frozen=True, slots=True)
class Row:
    """One question, one way, one budget, one repeat. ``budget`` is in whole turns, as the paper counts.

    FLOPs are ``None`` where a size is unknown.
    """

    question: int
    way: str
    budget: int
    repeat: int
    right: bool
    candidates: int
    prompt_tokens: int
    completion_tokens: int
    verifier_tokens: int
    generation_flops: float | None
    verifier_flops: float | None

    @property
    def flops(self) -> float | None:
        """Of generating and judging."""
        if self.generation_flops is None or self.verifier_flops is None:
            return None
        return self.generation_flops + self.verifier_flops


def search_rows(
    setting: Setting,
    name: str,
    ways: Sequence[Way],
    *,
    model: str | None = None,
    verifier: str | None = None,
    count: int | None = None,
    repeats: Mapping[int, int] | None = None,
) -> list[Row]:
    """Every way at every budget of the size on every question (the first ``count``), kept under ``name``.

    A budget is repeated as often as the size (or ``repeats``) says, each time on draws that the earlier ones
    did not see.
    """
    drawer, judge = model or setting.small, verifier or setting.verifier
    sizes = repeats or dict(zip(setting.size.budgets, setting.size.repeats, strict=True))
    about = {"ways": [asdict(way) for way in ways], "repeats": list(sizes.items())}

    def search_all(sitting: Sitting) -> list[dict[str, Any]]:
        found = []
        for way in ways:
            for budget, times in sizes.items():
                player = sitting.model(drawer)
                for repeat in range(times):
                    row = search(sitting, way, budget, player, sitting.judge(judge), repeat)[0]
                    found.append(asdict(row))
        return found

    values = setting.each(name, about, [drawer, judge], search_all, count)
    return [Row(**row) for rows in values for row in rows]


def search(
    sitting: Sitting, way: Way, budget: int, model: Model, verifier: Verifier, repeat: int = 0
) -> tuple[Row, SearchResult | None]:
    """Run one search; its result is ``None`` where no turn came to its end."""
    limit = model.config.completion_limit(None)
    assert limit is not None, "a searched model has max_tokens: the configuration was checked for it"
    meter = Meter(sitting.messages, Cancellation())
    params = SamplingParams(limit, model.config.temperature, seed=0)
    problem = Problem(meter.messages, sitting.answers, model.steps, revise=model.config.revise_prompt)
    generate = meter.generator(model.engine, "candidate", params, steps=model.steps)
    score = meter.scorer(verifier, TASK, model.steps)
    try:
        result = STRATEGIES[way.name](problem, way.spec(budget), generate, score)
    except NoAnswer:
        result = None
    if meter.failure is not None:
        raise meter.failure
    return _row(sitting, way, budget, repeat, meter, result), result


def _row(
    sitting: Sitting, way: Way, budget: int, repeat: int, meter: Meter, result: SearchResult | None
) -> Row:
    written = [line for line in meter.usage if line.purpose != "verifier"]
    judged = [line for line in meter.usage if line.purpose == "verifier"]
    return Row(
        question=sitting.at,
        way=way.label,
        budget=budget,
        repeat=repeat,
        right=result is not None and sitting.is_right(result.best.answer),
        candidates=0 if result is None else len(result.candidates),
        prompt_tokens=sum(line.prompt_tokens for line in written),
        completion_tokens=sum(line.completion_tokens for line in written),
        verifier_tokens=sum(line.total_tokens for line in judged),
        generation_flops=_flops(sitting.setting, written),
        verifier_flops=_flops(sitting.setting, judged),
    )


def _flops(setting: Setting, lines: Sequence[Any]) -> float | None:
    known = [line.flops for line in setting.market.priced(lines)]
    return None if None in known else sum(each for each in known if each is not None)
