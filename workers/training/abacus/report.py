"""`gradus train abacus report`: docs/abacus.md with its plot, and workers/models/calibration.json."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoModelForTokenClassification, AutoTokenizer

from workers.training import files
from workers.training.abacus import evaluate
from workers.training.abacus.data import load_problems
from workers.training.abacus.evaluate import Scores
from workers.training.abacus.exporting import VERIFIER_FILE
from workers.training.abacus.lm import run_dir
from workers.training.abacus.measure import draw_samples, right_counts
from workers.training.abacus.models import SAMPLING_TEMPERATURE, parameter_count
from workers.training.abacus.prm import score_solutions
from workers.training.abacus.rollouts import RolloutSettings
from workers.training.abacus.rollouts import run as run_rollouts
from workers.training.abacus.sampling import SamplingSettings
from workers.training.errors import MissingExtraError, TrainingError


@dataclass(frozen=True)
class ReportSettings:
    """How many held-out questions and samples; quintiles come from half of the small model's samples."""

    seed: int = 1
    questions: int = 400
    small_samples: int = 64
    large_samples: int = 16
    calibration_large_samples: int = 4
    rollout_questions: int = 96


@dataclass(frozen=True)
class Exported:
    """The committed models: a report is about what is shipped, not about a checkpoint."""

    small: Any
    large: Any
    prm: Any
    tokenizer: Any
    aggregation: str


def load_exported(models_dir: Path = files.MODELS_DIR) -> Exported:
    def folder(name: str) -> Path:
        path = models_dir / f"abacus-{name}"
        if not path.exists():
            raise TrainingError(f"{path} is missing; train it first")
        return path

    def language_model(name: str) -> Any:
        return AutoModelForCausalLM.from_pretrained(folder(name), dtype=torch.float32).eval()

    return Exported(
        language_model("small"),
        language_model("large"),
        AutoModelForTokenClassification.from_pretrained(folder("prm"), dtype=torch.float32).eval(),
        AutoTokenizer.from_pretrained(folder("small")),
        str(files.read_json(folder("prm") / VERIFIER_FILE)["aggregation"]),
    )


def score_rows(prm: Any, tokenizer: Any, rows: Sequence[dict[str, Any]]) -> Scores:
    """Step scores of every sample of every question."""
    flat = iter(
        score_solutions(prm, tokenizer, [(row["question"], text) for row in rows for text in row["texts"]])
    )
    return [[next(flat) for _ in row["texts"]] for row in rows]


def _weights_sha256(folder: Path) -> str:
    return sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def _draw(
    data_dir: Path, models: Exported, settings: ReportSettings, split: str, size: str, samples: int
) -> Any:
    return draw_samples(
        models.small if size == "small" else models.large,
        models.tokenizer,
        load_problems(data_dir, split, settings.questions),
        data_dir / "samples" / f"{split}-{size}-{samples}.jsonl",
        samples=samples,
        settings=SamplingSettings(SAMPLING_TEMPERATURE),
        seed=settings.seed,
        label=f"{split} {size}",
    )


def step_agreement(data_dir: Path, models: Exported, settings: ReportSettings) -> dict[str, float]:
    """Scores of unfinished solutions of test problems against fresh rollout labels."""
    rows = run_rollouts(
        models.small,
        models.tokenizer,
        load_problems(data_dir, "test", settings.rollout_questions),
        data_dir / "rollouts" / "test.jsonl",
        RolloutSettings(seed=settings.seed + 1),
        SamplingSettings(SAMPLING_TEMPERATURE),
    )
    pairs = [(row["question"], one["text"]) for row in rows for one in row["samples"]]
    predicted = [
        score for scores in score_solutions(models.prm, models.tokenizer, pairs) for score in scores[:-1]
    ]
    labels = [label for row in rows for one in row["samples"] for label in one["labels"][:-1]]
    return {
        "steps": len(labels),
        "auc": evaluate.auc(predicted, [label >= 0.5 for label in labels]),
        "correlation": float(np.corrcoef(predicted, labels)[0, 1]),
    }


def training_summary(data_dir: Path, size: str) -> dict[str, Any]:
    rows = list(files.read_json_lines(run_dir(data_dir, size) / "metrics.jsonl"))
    return {"steps": rows[-1]["step"], "tokens": rows[-1]["tokens"]}


def measure(data_dir: Path, settings: ReportSettings, models_dir: Path) -> dict[str, Any]:
    """Every number of the report; samples and rollouts that are on disk already are used again."""
    models = load_exported(models_dir)
    rank_rows, small_rows = evaluate.halves(
        _draw(data_dir, models, settings, "test", "small", settings.small_samples)
    )
    large_rows = _draw(data_dir, models, settings, "test", "large", settings.large_samples)
    quintiles = evaluate.difficulty_quintiles(rank_rows)
    scores = score_rows(models.prm, models.tokenizer, small_rows)
    majority, weighted, best = evaluate.selection_accuracy(small_rows, scores, models.aggregation)
    calibration_small = _draw(data_dir, models, settings, "calibration", "small", evaluate.GROUP)
    calibration_large = _draw(
        data_dir, models, settings, "calibration", "large", settings.calibration_large_samples
    )
    calibration = evaluate.calibration(
        calibration_small,
        score_rows(models.prm, models.tokenizer, calibration_small),
        calibration_large,
        models.aggregation,
    )
    calibration["temperature"] = SAMPLING_TEMPERATURE
    # By these the router knows whether the weights are still those that were measured.
    measured = ("abacus-small", "abacus-large", "abacus-prm")
    calibration["models"] = {name: _weights_sha256(models_dir / name) for name in measured}
    files.write_json(models_dir / "calibration.json", calibration)

    def by_quintile(values: np.ndarray) -> list[float]:
        return [float(values[quintiles == rank].mean()) for rank in range(5)]

    return {
        "temperature": SAMPLING_TEMPERATURE,
        "questions": len(small_rows),
        "settings": asdict(settings),
        "parameters": {
            "small": parameter_count(models.small),
            "large": parameter_count(models.large),
            "prm": parameter_count(models.prm),
        },
        "training": {size: training_summary(data_dir, size) for size in files.SIZES},
        "small": asdict(evaluate.pass_rates(small_rows, quintiles)),
        "large": asdict(evaluate.pass_rates(large_rows, quintiles)),
        "majority_16": float(majority.mean()),
        "weighted_16": float(weighted.mean()),
        "best_16": float(best.mean()),
        "majority_16_by_quintile": by_quintile(majority),
        "weighted_16_by_quintile": by_quintile(weighted),
        # Paired over questions: the standard error of the difference between the two selections.
        "weighted_minus_majority_se": float((weighted - majority).std(ddof=1) / len(weighted) ** 0.5),
        "answer_auc": evaluate.answer_auc(small_rows, scores, models.aggregation),
        "aggregation": models.aggregation,
        "steps": step_agreement(data_dir, models, settings),
        "calibration": calibration,
        "completion_tokens": {
            "small": float(np.mean([count for row in calibration_small for count in row["tokens"]])),
            "large": float(np.mean([count for row in calibration_large for count in row["tokens"]])),
        },
        "families": _by_family(data_dir, settings, small_rows, large_rows),
    }


def _by_family(
    data_dir: Path,
    settings: ReportSettings,
    small_rows: list[dict[str, Any]],
    large_rows: list[dict[str, Any]],
) -> dict[str, dict[str, float]]:
    families = np.array([problem.family for problem in load_problems(data_dir, "test", settings.questions)])
    small = right_counts(small_rows) / len(small_rows[0]["texts"])
    large = right_counts(large_rows) / len(large_rows[0]["texts"])
    return {
        str(family): {
            "questions": int((families == family).sum()),
            "small": float(small[families == family].mean()),
            "large": float(large[families == family].mean()),
        }
        for family in sorted(set(families.tolist()))
    }


def plot(numbers: dict[str, Any], path: Path) -> None:
    """Accuracy by difficulty quintile: one small sample, 16 of them, one large sample."""
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise MissingExtraError("matplotlib") from error
    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7.2, 4.6), layout="constrained")
    places = np.arange(5)
    lines = (
        ("abacus-large, one sample", numbers["large"]["pass_1_by_quintile"], "#d1495b", "o-"),
        (
            "abacus-small, 16 samples: any right (pass@16)",
            numbers["small"]["pass_16_by_quintile"],
            "#9bb8d3",
            "--",
        ),
        (
            "abacus-small, 16 samples weighted by abacus-prm",
            numbers["weighted_16_by_quintile"],
            "#1d5b99",
            "s-",
        ),
        ("abacus-small, majority of 16", numbers["majority_16_by_quintile"], "#5f9e6e", "^-"),
        ("abacus-small, one sample (pass@1)", numbers["small"]["pass_1_by_quintile"], "#444444", "o:"),
    )
    for label, values, colour, style in lines:
        axes.plot(places, values, style, color=colour, label=label, linewidth=2, markersize=5)
    axes.set_xticks(places, ["easiest fifth", "2", "3", "4", "hardest fifth"])
    axes.set_ylim(-0.02, 1.02)
    axes.set_ylabel("share of held-out questions right")
    axes.set_xlabel("difficulty for abacus-small")
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(frameon=False, fontsize=8.5, loc="outside lower center", ncols=2)

    def save(target: Path) -> None:
        figure.savefig(target, dpi=150, format="png")

    files.replace_file(path, save)
    pyplot.close(figure)
