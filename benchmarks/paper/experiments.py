"""Runs the experiments in order, and keeps what each found in results.json."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.paper import report
from benchmarks.paper.setting import SIZES, Setting, open_setting
from router.config import load_config
from workers.training.errors import TrainingError


def run(
    size: str,
    *,
    folder: Path,
    rollouts: Path,
    output: Path,
    only: Sequence[str],
    count: int | None,
    draw_only: bool,
) -> None:
    """Reproduce the paper, or the parts in ``only``, and write the report to ``output``.

    ``count`` asks fewer questions than the size has; ``draw_only`` renders what results.json holds. Raises
    :class:`workers.training.errors.TrainingError`.
    """
    names = [part.name for part in report.PARTS]
    if size not in SIZES:
        raise TrainingError(f"--size: there is no {size!r}; there are {', '.join(SIZES)}")
    if unknown := [name for name in only if name not in names]:
        raise TrainingError(f"--only: there is no {unknown[0]!r}; there are {', '.join(names)}")
    chosen = SIZES[size] if count is None else replace(SIZES[size], name=f"{size}-{count}", questions=count)
    file = folder / chosen.name / "results.json"
    results = _read(file)
    if not draw_only:
        columns = (
            TextColumn("{task.description:<24}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with ExitStack() as resources:
            progress = resources.enter_context(Progress(*columns))
            config = load_config("abacus", os.environ)
            setting = open_setting(chosen, folder, rollouts, config, resources, progress)
            about = _about(setting, size)
            before = results.get("about", {}).get("weights", {})
            if any(about["weights"].get(name) != digest for name, digest in before.items()):
                results = {}  # of models that are no more: a report has one kind of each
            results.setdefault("about", {"seconds": {}})
            results["about"] |= about
            for name in only or names:
                began_s = time.monotonic()
                results[name] = load(name).run(setting)
                # What is kept takes seconds: the time that counts is that of the run that drew it.
                seconds = results["about"]["seconds"]
                seconds[name] = max(seconds.get(name, 0.0), time.monotonic() - began_s)
                _write(file, results)
    if "about" not in results:
        raise TrainingError(f"{file}: there are no results to draw; run it without --draw-only first")
    report.render(results, output)


def load(name: str) -> report.Experiment:
    """The module of a part."""
    return cast(report.Experiment, import_module(f"benchmarks.paper.{name}"))


def _about(setting: Setting, size: str) -> dict[str, Any]:
    names = (*setting.models, *setting.verifiers)
    return {
        "size": size,
        "questions": len(setting.questions),
        "difficulty_samples": setting.size.difficulty_samples,
        "probes": setting.size.probes,
        "small": setting.small,
        "large": setting.large,
        "verifier": setting.verifier,
        "weights": {name: setting.weights(name) for name in names},
        "machine": f"{os.cpu_count()} CPU cores, {platform.machine()}",
    }


def _read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text("utf-8")) if file.is_file() else {}


def _write(file: Path, results: dict[str, Any]) -> None:
    """Whole or not at all: a killed run leaves the results of the one before."""
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    partial.replace(file)
