"""`gradus train abacus report`: docs/abacus.md with its plots, and workers/models/calibration.json."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from router.types import Task
from workers.engines import load_engine
from workers.protocols import Prompt
from workers.search.selection import select_best_of_n, select_best_of_n_weighted
from workers.training import files
from workers.training.abacus import evaluate
from workers.training.abacus.data import load_problems
from workers.training.abacus.evaluate import GROUP, Floats, part, together
from workers.training.abacus.lm import run_dir
from workers.training.abacus.models import SAMPLING_TEMPERATURE
from workers.training.abacus.revising import Revised, Revising, revising
from workers.training.abacus.samples import (
    Sampled,
    Shipped,
    Wanted,
    draw,
    held_out,
    kept_at,
    shipped,
    weights_sha256,
)
from workers.training.questions import Question
from workers.training.rollouts import RolloutsRecipe
from workers.training.rollouts import make as make_rollouts
from workers.verifiers import load_verifier
from workers.verifiers.quality import Judged, auc, measure

SMALL, LARGE, PRM = "abacus-small", "abacus-large", "abacus-prm"
REVISION, REVISION_ORM = "abacus-revision", "abacus-revision-orm"
LANGUAGE_MODELS = (SMALL, LARGE, REVISION)
VERIFIERS = (PRM, REVISION_ORM)
BUDGETS = (4, 16, 64)


@dataclass(frozen=True, slots=True)
class ReportSettings:
    """How much is measured. Quintiles come from half of the small model's samples.

    ``revision_questions`` of the questions are revised, in ``chains`` of ``chain_length`` attempts each.
    """

    seed: int = 1
    questions: int = 400
    small_samples: int = 64
    large_samples: int = 16
    calibration_large_samples: int = 4
    rollout_questions: int = 96
    revision_questions: int = 80
    chains: int = 4
    chain_length: int = 16


@dataclass(frozen=True, slots=True)
class Report:
    """Draws what it lacks, and keeps it in the data folder."""

    shipped: Shipped
    data_dir: Path
    settings: ReportSettings

    @property
    def home(self) -> Path:
        return self.data_dir / "samples"

    def asked(self, split: str, count: int | None = None) -> list[Question]:
        return held_out(self.data_dir, split, count or self.settings.questions)

    def samples(
        self, split: str, model: str, verifier: str | None, chains: int, length: int = 1
    ) -> list[Sampled]:
        count = self.settings.revision_questions if model == REVISION else None
        wanted = Wanted(
            # A router's large model answers once, greedily; here it is compared as a sampler.
            model=self.shipped.models[model].model_copy(update={"temperature": SAMPLING_TEMPERATURE}),
            verifier=None if verifier is None else self.shipped.verifiers[verifier],
            chains=chains,
            length=length,
            seed=self.settings.seed,
        )
        return draw(self.home, f"{split}-{model}-{chains}x{length}", wanted, self.asked(split, count))

    def judged(self, split: str, model: str, verifier: str | None, samples: int) -> list[Judged]:
        return [together(each.chains) for each in self.samples(split, model, verifier, samples)]


def numbers(report: Report) -> dict[str, Any]:
    """Every number of the report."""
    settings = report.settings
    small = report.judged("test", SMALL, PRM, settings.small_samples)
    half = settings.small_samples // 2
    # The first half ranks the questions, the second measures: the ranking then flatters nobody.
    ranks = evaluate.quintiles([part(each, 0, half) for each in small])
    measured = [part(each, half, settings.small_samples) for each in small]
    large = report.judged("test", LARGE, None, settings.large_samples)
    majority = evaluate.by_majority(measured)
    weighted = evaluate.solved(measured, select_best_of_n_weighted)

    def rows(values: Floats) -> dict[str, Any]:
        return {"overall": float(values.mean()), "by_quintile": evaluate.by_quintile(values, ranks)}

    found = measure(measured)
    return {
        "temperature": SAMPLING_TEMPERATURE,
        "questions": len(small),
        "settings": asdict(settings),
        "data": files.read_json(report.data_dir / "data" / "done.json"),
        "parameters": {name: report.shipped.parameters(name) for name in (*LANGUAGE_MODELS, *VERIFIERS)},
        "training": {size: training_summary(report.data_dir, size) for size in files.SIZES},
        "accuracy": {
            "small_pass_1": rows(evaluate.pass_1(measured)),
            "small_majority_16": rows(majority),
            "small_weighted_16": rows(weighted),
            "small_pass_16": rows(evaluate.coverage(measured, GROUP)),
            "large_pass_1": rows(evaluate.pass_1(large)),
            "large_pass_16": rows(evaluate.coverage(large, GROUP)),
        },
        "best_16": float(evaluate.solved(measured, select_best_of_n).mean()),
        "weighted_minus_majority": asdict(evaluate.share(weighted - majority)),
        "prm": {"auc": found.auc, "within_question_auc": found.within_question_auc},
        "aggregations": evaluate.aggregations(report.judged("validation", SMALL, PRM, GROUP)),
        "steps": step_agreement(report),
        "families": by_family(report, measured, large),
        "revising": asdict(revisions(report, small)),
    }


def calibration(report: Report) -> dict[str, Any]:
    """What the router reads: measured on the calibration split."""
    small = report.samples("calibration", SMALL, PRM, GROUP)
    large = report.samples("calibration", LARGE, None, report.settings.calibration_large_samples)
    found = evaluate.calibration(
        [together(each.chains) for each in small],
        [together(each.chains) for each in large],
        np.array([each.completion_tokens for each in small]),
        np.array([each.completion_tokens for each in large]),
    )
    # By the hashes the router knows whether the weights are still those that were measured.
    hashes = {name: weights_sha256(report.shipped.folder(name)) for name in (SMALL, LARGE, PRM)}
    names = {"small": SMALL, "verifier": PRM, "large": LARGE}
    return {**found, **names, "temperature": SAMPLING_TEMPERATURE, "models": hashes}


def revisions(report: Report, small: Sequence[Judged]) -> Revising:
    """What revising gains on the first questions of the test split; ``small`` has those of all of them."""
    settings = report.settings
    chains = report.samples("test", REVISION, REVISION_ORM, settings.chains, settings.chain_length)
    parallel = report.judged("test", REVISION, REVISION_ORM, max(BUDGETS))
    questions = [
        Revised(chained.chains, firsts, samples)
        for chained, firsts, samples in zip(chains, parallel, small, strict=False)
    ]
    return revising(questions, settings.chain_length, BUDGETS)


def step_agreement(report: Report) -> dict[str, float | int | None]:
    """Scores of unfinished solutions of test problems against fresh rollout labels."""
    model, verifier = report.shipped.models[SMALL], report.shipped.verifiers[PRM]
    recipe = RolloutsRecipe(model=model, seed=report.settings.seed)
    asked = report.asked("test", report.settings.rollout_questions)
    folder = kept_at(report.home, "test-rollouts", recipe, [model.path], asked)
    attempts = make_rollouts(recipe, asked, folder, partial(load_engine, SMALL, model))
    judge = load_verifier(PRM, verifier)
    turns = [Prompt(({"role": "user", "content": each.question},), each.text) for each in attempts]
    scored = judge.score(turns, Task()).scored
    judge.close()
    pairs = [
        (score, label)
        for attempt, one in zip(attempts, scored, strict=True)
        for score, label in zip(one.step_scores[:-1], attempt.labels[:-1], strict=True)
        if label is not None
    ]
    scores, labels = np.array(pairs).T
    return {
        "steps": len(pairs),
        "auc": auc(scores, labels >= 0.5),
        "correlation": float(np.corrcoef(scores, labels)[0, 1]),
    }


def by_family(
    report: Report, small: Sequence[Judged], large: Sequence[Judged]
) -> dict[str, dict[str, float]]:
    problems = load_problems(report.data_dir, "test", report.settings.questions)
    families = np.array([problem.family for problem in problems])
    found = {}
    for family in sorted(set(families.tolist())):
        own = families == family
        right = {"small": evaluate.pass_1(small), "large": evaluate.pass_1(large)}
        shares = {size: float(values[own].mean()) for size, values in right.items()}
        found[family] = {"questions": int(own.sum()), **shares}
    return found


def training_summary(data_dir: Path, size: str) -> dict[str, Any]:
    rows = list(files.read_json_lines(run_dir(data_dir, size) / "metrics.jsonl"))
    return {"steps": rows[-1]["step"], "tokens": rows[-1]["tokens"]}


def make(data_dir: Path, models_dir: Path, output: Path, settings: ReportSettings) -> dict[str, Any]:
    """Write the report and the calibration; returns where they are."""
    from workers.training.abacus import markdown, plots

    report = Report(shipped(models_dir), data_dir, settings)
    found = numbers(report)
    found["calibration"] = calibration(report)
    files.write_json(data_dir / "report.json", found)
    files.write_json(models_dir / "calibration.json", found["calibration"])
    drawn = output.with_suffix("")
    plots.accuracy(found["accuracy"], drawn / "accuracy.png")
    plots.revisions(found["revising"], drawn / "revisions.png")
    text = markdown.render(found, drawn.name)
    files.replace_file(output, lambda target: target.write_text(text, "utf-8"))
    return {"report": output, "plots": drawn, "calibration": models_dir / "calibration.json"}
