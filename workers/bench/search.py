"""Every strategy at every budget on the same questions: what it gets right, and what it consumes.

A question's difficulty bin is that of a probe of its own (16 samples, judged), so it is the same for every
strategy, and no search profits from it. Rows are written as they come, and what is there already is not
run again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import product
from math import isqrt
from pathlib import Path
from typing import Any

from rich.progress import Progress

from cost_model.usage import Usage
from router.market import Market
from router.probe import difficulty_of
from router.types import Evidence, StrategyName, StrategySpec, Task
from workers.answers import answers_for
from workers.answers.reference import are_right
from workers.bench.errors import BenchError
from workers.errors import NoAnswer
from workers.executor import Model
from workers.meter import Meter
from workers.protocols import Cancellation, Problem, SamplingParams, Verifier
from workers.search import STRATEGIES
from workers.search.sampling import sample
from workers.training.questions import Question

PROBES = 16
AT_ONCE = 8
"""Questions that are searched side by side: they decode together."""


@dataclass(frozen=True, slots=True)
class Way:
    """A strategy as the tables name it; ``width`` is M at a budget of N."""

    label: str
    name: StrategyName

    def spec(self, samples: int) -> StrategySpec:
        width = isqrt(samples) if self.label.endswith("sqrt(N)") else min(4, samples)
        while samples % width:
            width -= 1
        return StrategySpec(self.name, samples, beam_width=width, chain_length=min(4, samples))


WAYS = (
    Way("direct", "direct"),
    Way("majority", "majority"),
    Way("best_of_n", "best_of_n"),
    Way("best_of_n_weighted", "best_of_n_weighted"),
    Way("beam, M = 4", "beam"),
    Way("beam, M = sqrt(N)", "beam"),
    Way("lookahead", "lookahead"),
    Way("dvts", "dvts"),
    Way("particle", "particle"),
    Way("backtrack", "backtrack"),
    Way("revisions", "revisions"),
    Way("reflect", "reflect"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One question, one way, one budget, and what that consumed."""

    question: int
    way: str
    samples: int
    right: bool
    candidates: int
    prompt_tokens: int
    completion_tokens: int
    verifier_tokens: int
    flops: float | None


@dataclass(frozen=True, slots=True)
class Bench:
    """What is measured: a policy's small model and verifier, as they are configured."""

    market: Market
    model: Model
    verifier: Verifier
    task: Task
    questions: Sequence[Question]
    budgets: Sequence[int]
    ways: Sequence[Way]


def run(bench: Bench, folder: Path, progress: Progress) -> tuple[list[Row], dict[int, str]]:
    """All rows and the bin of each question; ``folder`` keeps them as JSON lines.

    Raises :class:`workers.bench.errors.BenchError` if it holds those of something else.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _claim(bench, folder / "about.json")
    bins = _bins(bench, folder / "bins.jsonl", progress)
    file = folder / "rows.jsonl"
    rows = [Row(**row) for row in _lines(file)]
    done = {(row.way, row.samples, row.question) for row in rows}
    with file.open("a", encoding="utf-8") as out, ThreadPoolExecutor(AT_ONCE) as pool:
        for way, samples in product(bench.ways, bench.budgets):
            missing = [at for at in range(len(bench.questions)) if (way.label, samples, at) not in done]
            label = f"{way.label}, N = {samples}"
            found = pool.map(lambda at, way=way, samples=samples: _search(bench, way, samples, at), missing)
            for row in progress.track(found, total=len(missing), description=label):
                rows.append(row)
                out.write(json.dumps(asdict(row)) + "\n")
                out.flush()
    wanted = {(way.label, samples) for way, samples in product(bench.ways, bench.budgets)}
    return [row for row in rows if (row.way, row.samples) in wanted and row.question in bins], bins


def _claim(bench: Bench, file: Path) -> None:
    """Say what the folder's rows are of, or check that it says the same."""
    asked = json.dumps([{"question": each.question, "answer": each.answer} for each in bench.questions])
    about = {
        "model": bench.model.engine.model,
        "verifier": bench.verifier.name,
        "temperature": bench.model.config.temperature,
        "task": bench.task.kind,
        "questions_sha256": sha256(asked.encode()).hexdigest(),
    }
    if not file.exists():
        file.write_text(json.dumps(about, indent=1) + "\n", "utf-8")
    elif json.loads(file.read_text("utf-8")) != about:
        raise BenchError(
            f"{file}: the rows there are of another model or other questions; choose another --rows"
        )


def _search(bench: Bench, way: Way, samples: int, at: int) -> Row:
    meter, problem = _begin(bench, at)
    spec = way.spec(samples)
    score = meter.scorer(bench.verifier, bench.task, bench.model.steps)
    generate = meter.generator(bench.model.engine, "candidate", _params(bench, at), steps=bench.model.steps)
    try:
        result = STRATEGIES[way.name](problem, spec, generate, score)
        (right,) = are_right(problem.answers, [result.best.answer], bench.questions[at].answer)
        candidates = len(result.candidates)
    except NoAnswer:
        right, candidates = False, 0
    lines = bench.market.priced(meter.usage)
    flops = [line.flops for line in lines]
    return Row(
        question=at,
        way=way.label,
        samples=samples,
        right=right,
        candidates=candidates,
        prompt_tokens=_sum(lines, "candidate", "prompt_tokens"),
        completion_tokens=_sum(lines, "candidate", "completion_tokens"),
        verifier_tokens=_sum(lines, "verifier", "total_tokens"),
        flops=None if None in flops else sum(each for each in flops if each is not None),
    )


def _bins(bench: Bench, file: Path, progress: Progress) -> dict[int, str]:
    bins: dict[int, str] = {row["question"]: row["bin"] for row in _lines(file)}
    missing = [at for at in range(len(bench.questions)) if at not in bins]
    with file.open("a", encoding="utf-8") as out, ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(lambda at: (at, _bin(bench, at)), missing)
        for at, name in progress.track(found, total=len(missing), description="difficulty"):
            bins[at] = name
            out.write(json.dumps({"question": at, "bin": name}) + "\n")
    return {at: bins[at] for at in range(len(bench.questions))}


def _bin(bench: Bench, at: int) -> str:
    meter, problem = _begin(bench, at)
    generate = meter.generator(bench.model.engine, "probe", _params(bench, at + 1_000_000))
    probes = sample(problem, PROBES, generate, meter.scorer(bench.verifier, bench.task, bench.model.steps))
    evidence = Evidence(tuple(one.score for one in probes), tuple(one.answer for one in probes))
    return str(difficulty_of(evidence).bin)


def _begin(bench: Bench, at: int) -> tuple[Meter, Problem]:
    messages = ({"role": "user", "content": bench.questions[at].question},)
    meter = Meter(messages, Cancellation())
    answers, model = answers_for(bench.task), bench.model
    return meter, Problem(meter.messages, answers, model.steps, revise=model.config.revise_prompt)


def _params(bench: Bench, seed: int) -> SamplingParams:
    limit = bench.model.config.completion_limit(None)
    assert limit is not None, "a searched model has max_tokens: the configuration was checked for it"
    return SamplingParams(limit, bench.model.config.temperature, seed=1000 * seed)


def _sum(lines: Sequence[Usage], purpose: str, name: str) -> int:
    return sum(getattr(line, name) for line in lines if line.purpose == purpose)


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    """Rows of a file whose last line a kill may have cut off: that one is taken out of it."""
    if not file.exists():
        return
    whole, _, cut = file.read_text("utf-8").rpartition("\n")
    if cut:
        file.write_text(whole + "\n" if whole else "", "utf-8")
    for line in whole.splitlines():
        yield json.loads(line)
