"""Our selection rules on other people's scored candidates: accuracy with bootstrap intervals, and agreement.

    python -m benchmarks.selection DATA
    python -m benchmarks.selection DATA --output docs/selection.md      (with its plot, docs/selection.png)

DATA is a folder with `math500_prm_search` (MATH-500: candidates of Llama and Qwen models with a PRM's scores
of their steps) and `qwen_math_rm8` (8 samples a problem with a reward), each as its README says. Nothing is
generated or judged: candidates, scores and what is right are theirs, the choice is ours. Answers are compared
by the rules of task "math". Repeats of a run are pooled too: rules differ where candidates are many.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from router.types import Task
from workers.answers import Answers, answers_for
from workers.protocols import Candidate, SearchResult
from workers.search.selection import select_best_of_n, select_best_of_n_weighted, select_majority
from workers.verifiers.aggregate import AGGREGATIONS, Aggregation, aggregate

RESAMPLES = 10_000
HEAD = """# Selection rules on other people's candidates

Written by `python -m benchmarks.selection DATA --output docs/selection.md`, which says what DATA is. The
candidates, their step scores and what is right are published; only the choice is ours
(`workers/search/selection.py`). Majority breaks ties by score. "last", "min", "prod" and "mean" say how step
scores become the score of a candidate. RLHFlow's Deepseek PRM scored them, in `qwen_math_rm8` a reward model.
"""
SPELLED = answers_for(Task())
"""Compares answers by their spelling, once equivalent ones are spelled alike."""
Select = Callable[[Sequence[Candidate], Answers], SearchResult]


@dataclass(frozen=True)
class Problem:
    """Candidates of one problem, whether each is right, and which one the run itself chose, if it says so."""

    candidates: tuple[Candidate, ...]
    right: tuple[bool, ...]
    picked: int | None


@dataclass(frozen=True)
class Share:
    """Of problems right, with its 95% interval (percentile bootstrap over problems)."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} ({self.low:.2f} to {self.high:.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with math500_prm_search and qwen_math_rm8")
    parser.add_argument("--output", type=Path, help="Markdown file to write, with a plot; else it is printed")
    options = parser.parse_args()
    sets = dict(_sets(options.data))
    shares = {name: _shares(sets[name]) for name in track(sets, description="selecting")}
    text = _report(sets, shares)
    if options.output is None:
        print(text)
        return
    plot = options.output.with_suffix(".png")
    _plot(shares, plot)
    head = f"{HEAD}\n![Accuracy of each rule on each set of candidates]({plot.name})\n\n"
    options.output.write_text(head + text + "\n", "utf-8")


def _report(sets: Mapping[str, list[Problem]], shares: Mapping[str, Mapping[str, Share]]) -> str:
    rules = list(dict.fromkeys(rule for row in shares.values() for rule in row))
    lines = [f"| candidates | problems | {' | '.join(rules)} |", "|---" * (len(rules) + 2) + "|"]
    for name, row in shares.items():
        cells = " | ".join(str(row.get(rule, "")) for rule in rules)
        lines.append(f"| {name} | {len(sets[name])} | {cells} |")
    lines += ["", "How often best-of-N by the last step's score chooses what the run itself chose:", ""]
    lines += [
        "| candidates | same candidate | same answer, or both right | where it differs |",
        "|---|---|---|---|",
    ]
    chose = {name: problems for name, problems in sets.items() if problems[0].picked is not None}
    return "\n".join([*lines, *(f"| {name} | {_agreement(problems)} |" for name, problems in chose.items())])


def _plot(shares: Mapping[str, Mapping[str, Share]], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 0.8 * len(shares) + 1.5), layout="constrained")
    shown = [
        "first candidate",
        "majority",
        "best-of-N, last",
        "weighted, last",
        "weighted, prod",
        "any candidate",
    ]
    for place, rule in enumerate(shown):
        found = [(at, row[rule]) for at, row in enumerate(shares.values()) if rule in row]
        heights = [at + (place - len(shown) / 2) * 0.11 for at, _ in found]
        means = [share.mean for _, share in found]
        spread = [
            [share.mean - share.low for _, share in found],
            [share.high - share.mean for _, share in found],
        ]
        axes.errorbar(means, heights, xerr=spread, fmt="o", markersize=4, capsize=2, label=rule)
    axes.set_yticks(range(len(shares)), list(shares))
    axes.invert_yaxis()
    axes.set_xlabel("share of problems right (95% interval)")
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(path, dpi=110)


def _sets(data: Path) -> Iterator[tuple[str, list[Problem]]]:
    folder = data / "math500_prm_search"
    for file in ("math500.jsonl.gz", "math100_wide.jsonl.gz"):
        questions = list(_json_lines(folder / file))
        names = [name for name in questions[0]["runs"] if not name.split("|")[-1].startswith("rep")]
        for name in names:
            repeats = [other for other in questions[0]["runs"] if other.startswith(f"{name}|rep")]
            problems = [_problem([question["runs"][name]]) for question in questions]
            if len(problems[0].candidates) > 1:
                yield _plain(name), problems
            if repeats:
                pool = [name, *repeats]
                pooled = [_problem([question["runs"][each] for each in pool]) for question in questions]
                yield f"{_plain(name)}, {len(pool)} runs pooled", pooled
    rows = _json_lines(data / "qwen_math_rm8" / "rows.jsonl.gz")
    yield "qwen_math_rm8", [_rewarded(row) for row in rows]


def _plain(run: str) -> str:
    return run.replace("|", " ")


def _json_lines(file: Path) -> Iterator[Mapping[str, Any]]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _problem(runs: Sequence[Mapping[str, Any]]) -> Problem:
    answers = answers_for(Task("math"))
    candidates = [
        _candidate(answer, steps, aggregate(steps, "last"), answers)
        for run in runs
        for answer, steps in zip(run["ans"], run["step_scores"], strict=True)
    ]
    right = tuple(bool(one) for run in runs for one in run["correct"])
    return Problem(_classed(candidates, answers), right, runs[0]["picked"] if len(runs) == 1 else None)


def _rewarded(row: Mapping[str, Any]) -> Problem:
    answers = answers_for(Task("math"))
    """A reward has no fixed scale: the logistic function puts it where weights may be added, 0 to 1."""
    scores = [1 / (1 + exp(-reward)) for reward in row["rm"]]
    candidates = [
        _candidate(answer, [score], score, answers) for answer, score in zip(row["ans"], scores, strict=True)
    ]
    return Problem(_classed(candidates, answers), tuple(map(bool, row["correct"])), None)


def _classed(candidates: Sequence[Candidate], answers: Answers) -> tuple[Candidate, ...]:
    """Equivalent answers spelled alike: algebra is done once a problem, and not once a rule."""
    said = [one.answer for one in candidates if one.answer is not None]
    leaders: dict[int, str] = {}
    spelled = {
        answer: leaders.setdefault(label, answer)
        for answer, label in zip(said, answers.classes(said), strict=True)
    }
    return tuple(replace(one, answer=one.answer and spelled[one.answer]) for one in candidates)


def _candidate(answer: str | None, steps: Sequence[float], score: float, answers: Answers) -> Candidate:
    read = None if answer is None else answers.extract(f"\\boxed{{{answer}}}")
    return Candidate(answer or "", "stop", read, tuple(steps), score)


def _shares(problems: Sequence[Problem]) -> dict[str, Share]:
    found = {
        "first candidate": _share([one.right[0] for one in problems]),
        "majority": _chosen(problems, select_majority),
    }
    has_steps = any(len(candidate.step_scores) > 1 for one in problems for candidate in one.candidates)
    ways: Iterable[Aggregation] = AGGREGATIONS if has_steps else ("last",)
    rescored = {how: [_rescored(one, how) for one in problems] for how in ways}
    for how, scored in rescored.items():
        found[f"best-of-N, {how}"] = _chosen(scored, select_best_of_n)
    for how, scored in rescored.items():
        found[f"weighted, {how}"] = _chosen(scored, select_best_of_n_weighted)
    return {**found, "any candidate": _share([any(one.right) for one in problems])}


def _rescored(problem: Problem, how: Aggregation) -> Problem:
    candidates = tuple(replace(one, score=aggregate(one.step_scores, how)) for one in problem.candidates)
    return replace(problem, candidates=candidates)


def _chosen(problems: Sequence[Problem], select: Select) -> Share:
    return _share([one.right[_choice(one, select)] for one in problems])


def _choice(problem: Problem, select: Select) -> int:
    best = select(problem.candidates, SPELLED).best
    return next(at for at, one in enumerate(problem.candidates) if one is best)


def _share(right: Sequence[bool]) -> Share:
    values = np.array(right, dtype=float)
    draws = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.percentile(values[draws].mean(axis=1), [2.5, 97.5])
    return Share(float(values.mean()), float(low), float(high))


def _agreement(problems: Sequence[Problem]) -> str:
    """Shares of problems; of the problems where the choice differs, why it does."""
    same = alike = theirs_unanswered = tied = 0
    for problem in problems:
        ours, theirs = _choice(problem, select_best_of_n), problem.picked
        assert theirs is not None, "only runs that say what they chose are compared"
        one, other = problem.candidates[ours], problem.candidates[theirs]
        same += ours == theirs
        alike += (
            ours == theirs or one.answer == other.answer or (problem.right[ours] and problem.right[theirs])
        )
        if ours != theirs:
            theirs_unanswered += other.answer is None
            tied += other.answer is not None and one.score == other.score
    differ = len(problems) - same
    why = f"{differ}: {theirs_unanswered} theirs gives no answer, {tied} equal scores"
    return f"{same / len(problems):.3f} | {alike / len(problems):.3f} | {why}"


if __name__ == "__main__":
    main()
