"""The numbers of the report, on samples that are made up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from router.artifacts import load_calibration
from workers.training.abacus import evaluate


def _row(right: int, samples: int, answer: str = "1") -> dict[str, Any]:
    texts = [f"The answer is {answer}."] * right + [f"The answer is {n + 2}." for n in range(samples - right)]
    return {"question": "?", "answer": answer, "texts": texts, "tokens": [10] * samples}


def test_weighted_selection_can_save_what_majority_loses() -> None:
    rows = [{**_row(6, 16), "texts": ["The answer is 1."] * 6 + ["The answer is 2."] * 10}]
    scores = [[[0.9]] * 6 + [[0.1]] * 10]
    majority, weighted, best = evaluate.selection_accuracy(rows, scores, "last")
    assert (majority[0], weighted[0], best[0]) == (0.0, 1.0, 1.0)


def test_the_aggregation_that_selects_best_is_chosen() -> None:
    rows = [{**_row(8, 16), "texts": ["The answer is 1."] * 8 + ["The answer is 2."] * 8}]
    # The last step tells right from wrong; the smallest step says the opposite.
    scores = [[[0.2, 0.9]] * 8 + [[0.5, 0.5]] * 8]
    chosen, table = evaluate.choose_aggregation(rows, scores)
    assert chosen == "last"
    assert table["last"]["auc"] == 1.0
    assert table["min"]["auc"] == 0.0


def test_halves_do_not_overlap() -> None:
    (first,), (second,) = evaluate.halves([_row(3, 64)])
    assert first["texts"] + second["texts"] == _row(3, 64)["texts"]


def test_pass_rates_are_unbiased_and_by_quintile() -> None:
    rows = [_row(right, 32) for right in (32, 24, 16, 8, 0)]
    rates = evaluate.pass_rates(rows, evaluate.difficulty_quintiles(rows))
    assert rates.pass_1 == pytest.approx(0.5)
    assert rates.pass_1_by_quintile == (1.0, 0.75, 0.5, 0.25, 0.0)
    assert rates.pass_16_by_quintile[4] == 0.0
    assert rates.pass_16_by_quintile[2] > 0.99


def test_the_router_reads_what_calibration_writes(tmp_path: Path) -> None:
    small = [_row(16, 16), _row(8, 16), _row(0, 16)]
    scores = [[[score]] * 16 for score in (0.9, 0.5, 0.1)]
    large = [_row(4, 4), _row(4, 4), _row(1, 4)]
    made = evaluate.calibration(small, scores, large, "last")
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps({**made, "temperature": 0.8}))
    read = load_calibration(str(path))
    assert read is not None
    assert {name: one.large_right for name, one in read.bins.items()} == {
        "easy": 1.0,
        "medium": 1.0,
        "very_hard": 0.25,
    }
    assert list(read.bins.values())[-1].small_right == 0.0


def test_prod_and_mean_read_every_step() -> None:
    steps = [0.5, 0.8]
    made = {name: aggregate(steps) for name, aggregate in evaluate.AGGREGATIONS.items()}
    assert made == {
        name: pytest.approx(v) for name, v in {"last": 0.8, "min": 0.5, "prod": 0.4, "mean": 0.65}.items()
    }
    assert np.isnan(evaluate.auc([0.1], [True]))
