"""The later commands: rollouts, the reward model, the report; each from files to files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from workers.training import files
from workers.training.abacus import evaluate, surprise
from workers.training.abacus.data import fresh_problems, load_problems, load_tokenizer
from workers.training.abacus.exporting import export_prm
from workers.training.abacus.lm import load_trained
from workers.training.abacus.measure import draw_samples
from workers.training.abacus.models import SAMPLING_TEMPERATURE, new_prm
from workers.training.abacus.prm import PrmSettings, labelled_solutions, train
from workers.training.abacus.rollouts import RolloutSettings, run
from workers.training.abacus.sampling import SamplingSettings
from workers.training.errors import TrainingError

AGGREGATION_QUESTIONS = 500


def rollouts_path(data_dir: Path) -> Path:
    return data_dir / "rollouts" / "train.jsonl"


def make_rollouts(data_dir: Path, seed: int, questions: int, threads: int) -> dict[str, Any]:
    torch.set_num_threads(threads)
    model, _ = load_trained(data_dir, "small")
    seen = {problem.key for problem in load_problems(data_dir, "train")}
    path = rollouts_path(data_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = run(
        model,
        load_tokenizer(data_dir),
        fresh_problems(seed, questions, seen),
        path,
        RolloutSettings(seed=seed, questions=questions),
        SamplingSettings(SAMPLING_TEMPERATURE),
    )
    return {"questions": len(rows), "solutions": sum(len(row["samples"]) for row in rows), "path": path}


def make_prm(data_dir: Path, models_dir: Path, seed: int, threads: int) -> dict[str, Any]:
    from workers.training.abacus.report import score_rows

    torch.set_num_threads(threads)
    path = rollouts_path(data_dir)
    if not path.exists():
        raise TrainingError(f"{path} is missing; run: gradus train rollouts")
    tokenizer = load_tokenizer(data_dir)
    small, _ = load_trained(data_dir, "small")
    model = new_prm(small, seed)
    rows = list(files.read_json_lines(path))
    surprise.learn(model, small, labelled_solutions(tokenizer, rows), data_dir / "prm", seed=seed)
    trained = train(model, tokenizer, rows, data_dir / "prm", PrmSettings(seed=seed))
    trained["rollout_questions"] = len(rows)
    samples = draw_samples(
        small,
        tokenizer,
        load_problems(data_dir, "validation", AGGREGATION_QUESTIONS),
        data_dir / "samples" / "validation-small-16.jsonl",
        samples=evaluate.GROUP,
        settings=SamplingSettings(SAMPLING_TEMPERATURE),
        seed=seed,
        label="validation small",
    )
    aggregation, table = evaluate.choose_aggregation(samples, score_rows(model, tokenizer, samples))
    files.append_json_line(data_dir / "prm" / "metrics.jsonl", {"aggregation": aggregation, "table": table})
    said = (
        f"Trained on {trained['solutions']:,} distinct solutions ({trained['steps']:,} steps) of "
        f"{trained['questions']:,} questions, initialised from abacus-small; stopped early after epoch "
        f"{trained['best_epoch']} at a validation loss of {trained['validation_loss']:.3f}."
    )
    folder = export_prm(model, tokenizer, said, aggregation, models_dir)
    files.write_json(
        data_dir / "prm" / "result.json", {**trained, "aggregation": aggregation, "table": table}
    )
    return {**trained, "aggregation": aggregation, "exported": folder}


def make_report(
    data_dir: Path, models_dir: Path, output: Path, seed: int, questions: int, threads: int
) -> dict[str, Any]:
    from workers.training.abacus.markdown import render
    from workers.training.abacus.report import ReportSettings, measure, plot

    torch.set_num_threads(threads)
    numbers = measure(data_dir, ReportSettings(seed=seed, questions=questions), models_dir)
    result_path = data_dir / "prm" / "result.json"
    numbers["prm_training"] = files.read_json(result_path) if result_path.exists() else {}
    numbers["data"] = files.read_json(data_dir / "data" / "done.json")
    files.write_json(data_dir / "report.json", numbers)
    plot_path = output.with_suffix("") / "accuracy.png"
    plot(numbers, plot_path)
    text = render(numbers, plot_path.relative_to(output.parent).as_posix())
    files.replace_file(output, lambda target: target.write_text(text))
    return {"report": output, "plot": plot_path}
