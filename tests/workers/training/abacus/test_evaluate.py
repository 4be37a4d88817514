"""The numbers of the report, on samples that are made up."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from router.artifacts import load_calibration
from tests.workers.training.abacus.judged import RIGHT, judged, some_right
from workers.search.selection import select_best_of_n, select_best_of_n_weighted
from workers.training.abacus import evaluate
from workers.verifiers.aggregate import AGGREGATIONS


def test_weighted_selection_can_save_what_majority_loses() -> None:
    question = judged([RIGHT] * 6 + ["2"] * 10, [0.9] * 6 + [0.1] * 10)
    assert evaluate.by_majority([question]).tolist() == [0.0]
    assert evaluate.solved([question], select_best_of_n_weighted).tolist() == [1.0]
    assert evaluate.solved([question], select_best_of_n).tolist() == [1.0]


def test_scores_have_no_hand_in_the_majority() -> None:
    one, other = judged([RIGHT, "2"], [0.9, 0.1]), judged([RIGHT, "2"], [0.1, 0.9])
    assert evaluate.by_majority([one], 2).tolist() == evaluate.by_majority([other], 2).tolist()


def test_a_question_counts_the_share_of_its_groups() -> None:
    question = judged([RIGHT, RIGHT, "2", "2", RIGHT, "2"], [0.5] * 6)
    assert evaluate.by_majority([evaluate.part(question, 0, 4)], 2).tolist() == [0.5]
    assert evaluate.solved([question], select_best_of_n_weighted, 4).tolist() in ([0.0], [1.0])


def test_every_way_to_aggregate_steps_is_compared() -> None:
    # The last step tells right from wrong; the smallest step says the opposite.
    question = judged([RIGHT] * 8 + ["2"] * 8, [[0.2, 0.9]] * 8 + [[0.5, 0.5]] * 8)
    table = evaluate.aggregations([question])
    assert set(table) == set(AGGREGATIONS)
    assert (table["last"]["auc"], table["last"]["weighted_best_of_16"]) == (1.0, 1.0)
    assert (table["min"]["auc"], table["min"]["weighted_best_of_16"]) == (0.0, 0.0)
    assert table["last"]["within_question_auc"] == 1.0


def test_pass_rates_are_unbiased_and_by_quintile() -> None:
    questions = [some_right(right, 32) for right in (0, 32, 16, 8, 24)]
    ranks = evaluate.quintiles(questions)
    assert ranks.tolist() == [4, 0, 2, 3, 1]
    assert evaluate.by_quintile(evaluate.pass_1(questions), ranks) == [1.0, 0.75, 0.5, 0.25, 0.0]
    covered = evaluate.by_quintile(evaluate.coverage(questions, 16), ranks)
    assert covered[4] == 0.0
    assert covered[2] > 0.99


def test_an_interval_holds_the_share_and_needs_what_is_counted() -> None:
    found = evaluate.share(np.array([1.0, 0.0, 2.0, 0.0]), np.array([2.0, 2.0, 2.0, 0.0]))
    assert found.value == pytest.approx(3 / 6)
    assert found.low < found.value < found.high
    certain = evaluate.share(np.array([0.5] * 8))
    assert (certain.low, certain.value, certain.high) == (0.5, 0.5, 0.5)


def test_the_router_reads_what_calibration_writes(tmp_path: Path) -> None:
    small = [some_right(16, 16, 0.9), some_right(8, 16, 0.5), some_right(0, 16, 0.1)]
    large = [some_right(4, 4), some_right(4, 4), some_right(1, 4)]
    made = evaluate.calibration(small, large, np.array([10.0, 20.0, 30.0]), np.array([11.0, 21.0, 31.0]))
    names = {"small": "abacus-small", "verifier": "abacus-prm", "large": "abacus-large", "temperature": 0.8}
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps({**made, **names}))
    read = load_calibration(str(path))
    assert read is not None
    assert {name: one.large_right for name, one in read.bins.items()} == {
        "easy": 1.0,
        "medium": 1.0,
        "very_hard": 0.25,
    }
    hardest = list(read.bins.values())[-1]
    assert (hardest.small_right, hardest.small_completion_tokens) == (0.0, 30.0)
