"""The report says what was measured, in tables that are whole and plots that are there."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from router.types import Bin
from tests.workers.training.abacus.judged import some_right
from workers.training.abacus import markdown, plots
from workers.training.abacus.evaluate import share
from workers.training.abacus.report import BUDGETS, ReportSettings
from workers.training.abacus.revising import Revised, revising
from workers.training.abacus.tables import wrapped


def _numbers() -> dict[str, Any]:
    chains = (some_right(1, 4, 0.25), some_right(2, 4, 0.75))
    question = Revised(chains, some_right(20, 64), some_right(10, 64))
    fifths = {"overall": 0.5, "by_quintile": [0.9, 0.7, 0.5, 0.3, 0.1]}
    keys = ("small_pass_1", "small_majority_16", "small_weighted_16", "small_pass_16", "large_pass_1")
    names = ("abacus-small", "abacus-large", "abacus-revision", "abacus-prm", "abacus-revision-orm")
    row = {"questions": 4, "small_pass_1": 0.5, "small_majority_right": 0.5, "small_right": 0.75}
    return {
        "temperature": 0.8,
        "questions": 400,
        "settings": asdict(ReportSettings()),
        "data": {"tokens": 10_000_000, "settings": {"seed": 1, "problems": 150_000}},
        "parameters": dict.fromkeys(names, 951_424),
        "training": {size: {"steps": 2600, "tokens": 5_000_000} for size in ("small", "large")},
        "accuracy": dict.fromkeys([*keys, "large_pass_16"], fifths),
        "best_16": 0.25,
        "weighted_minus_majority": {"value": 0.01, "low": -0.01, "high": 0.03},
        "prm": {"auc": 0.9, "within_question_auc": None},
        "aggregations": {"last": {"weighted_best_of_16": 0.4, "auc": 0.9, "within_question_auc": 0.6}},
        "steps": {"steps": 2507, "auc": 0.76, "correlation": 0.4},
        "families": {"arithmetic": {"questions": 178, "small": 0.35, "large": 0.5}},
        "revising": asdict(revising([question] * 3, 4, BUDGETS)),
        "calibration": {"questions": 8, "bins": {Bin.EASY.value: {**row, "large_right": 0.9}}},
    }


def test_every_table_of_the_report_is_whole() -> None:
    text = markdown.render(_numbers(), "abacus")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) > 50
    blocks = [block for block in text.split("\n\n") if block.startswith("|")]
    for block in blocks:
        assert len({line.count("|") for line in block.splitlines()}) == 1, block
    assert max(len(line) for line in text.splitlines() if not line.startswith(("|", "gradus"))) <= 110


def test_the_report_says_what_revising_gains_and_what_is_unknown() -> None:
    text = markdown.render(_numbers(), "abacus")
    assert "| 64 | abacus-revision, best-of-N weighted by its verifier |" in text
    assert "breaks 0.667 [0.667, 0.667] of the right answers" in text.replace("\n", " ")
    assert "AUC 0.900 over all samples, – within a question" in text.replace("\n", " ")
    assert "yes, but none is within the interval" in text


def test_the_plots_are_drawn(tmp_path: Path) -> None:
    found = _numbers()
    plots.accuracy(found["accuracy"], tmp_path / "accuracy.png")
    plots.revisions(found["revising"], tmp_path / "revisions.png")
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in tmp_path.iterdir())


def test_paragraphs_are_wrapped_and_the_rest_is_left() -> None:
    table = "| a | b |\n| --- | --- |"
    assert wrapped(f"# Head\n\n{'word ' * 40}\nends\n\n{table}") == (
        f"# Head\n\n{('word ' * 22).strip()}\n{('word ' * 18).strip()} ends\n\n{table}\n"
    )


def test_a_share_that_never_varies_has_no_width() -> None:
    import numpy as np

    assert share(np.zeros(4)) == share(np.zeros(4), np.ones(4))
