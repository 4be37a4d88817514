from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from router.errors import ArtifactInvalid, OutcomesInvalid
from router.outcome_table import Action, OutcomeTable
from router.strategy_table import (
    StrategyTable,
    fit_strategy_table,
    load_strategy_table,
    save_strategy_table,
)
from router.types import Evidence
from tests.router.evaluation.tables import table

ACTIONS = (
    Action("small", "small", "tiny"),
    Action("best_of_n_weighted@4", "small", "tiny", "best_of_n_weighted", 4),
    Action("beam@4", "small", "tiny", "beam", 4),
    Action("best_of_n_weighted@16", "small", "tiny", "best_of_n_weighted", 16),
    Action("beam@16", "small", "tiny", "beam", 16),
)


def outcomes(
    count: int = 400, *, crossing: bool = True, actions: tuple[Action, ...] = ACTIONS
) -> OutcomeTable:
    """Beam search is right more often on hard questions, best-of-N on easy ones; or both are the same."""
    random = np.random.default_rng(0)
    likely = random.random(count)
    shift = 0.25 * np.where(likely < 0.5, 1, -1) if crossing else np.zeros(count)
    chance = np.stack([likely, *[likely - shift, likely + shift] * 2], axis=1)
    right = (random.random((count, 5)) < chance).astype(float)
    evidence = [Evidence((float(each),), ("1",)) for each in likely]
    columns = [ACTIONS.index(each) for each in actions]
    return table(right[:, columns], actions=actions, evidence=evidence)


def fitted(questions: OutcomeTable) -> StrategyTable:
    return fit_strategy_table(
        questions,
        model="tiny",
        verifier="prm",
        weights={"tiny": "abc"},
        data_sha256="def",
        created="2026-11-22",
        bins=4,
        seeds=2,
        resamples=100,
    )


def test_each_bin_gets_the_search_that_is_right_there_most_often() -> None:
    found = fitted(outcomes())

    assert [found.best(each, 4) for each in range(4)] == ["beam", "beam", *["best_of_n_weighted"] * 2]
    assert found.edges == pytest.approx((0.25, 0.5, 0.75), abs=0.1)
    assert (found.bin_of(0.1), found.bin_of(0.9)) == (0, 3)


def test_choosing_by_difficulty_pays_where_searches_cross_and_only_there() -> None:
    crossing, same = fitted(outcomes()).budgets[0], fitted(outcomes(crossing=False)).budgets[0]

    assert crossing.over_one_search.low > 0.05
    assert same.over_one_search.low < 0 < same.over_one_search.high + 0.02


def test_accuracy_is_measured_on_questions_that_chose_nothing() -> None:
    """Of two coin flips the better one on the same questions is right more than half of the time."""
    random = np.random.default_rng(4)
    flips = random.integers(0, 2, (60, 2)).astype(float)
    scores = [Evidence((float(each),), ("1",)) for each in random.random(60)]

    found = fitted(table(flips, actions=ACTIONS[1:3], evidence=scores)).budgets[0].right

    in_sample = np.mean([flips[part].mean(axis=0).max() for part in np.array_split(np.arange(60), 4)])
    assert found.value < in_sample
    assert found.low < 0.5 < found.high


def test_algorithm_6_is_compared_where_its_searches_were_recorded() -> None:
    """It takes best-of-N above 0.6 only, and so does worse than the table between 0.5 and 0.6."""
    with_both = fitted(outcomes()).budgets[0].over_algorithm_6
    only_beams = fitted(outcomes(actions=ACTIONS[::2])).budgets[0].over_algorithm_6

    assert with_both is not None
    assert -0.05 < with_both.value < 0.15
    assert only_beams is None


def test_a_budget_that_was_not_measured_takes_the_next_smaller_one() -> None:
    found = fitted(outcomes())
    by_budget = {(each.bin, each.samples): each.strategy for each in found.cells}

    assert found.best(0, 8) == by_budget[0, 4]
    assert found.best(0, 64) == by_budget[0, 16]
    assert found.best(0, 2) == by_budget[0, 4]


def test_scores_that_are_mostly_equal_make_fewer_bins_and_no_empty_one() -> None:
    questions = outcomes(100)
    scores = tuple(Evidence((0.0 if each < 70 else each / 100,), ("1",)) for each in range(100))

    found = fitted(table(questions.right, actions=ACTIONS, evidence=scores))

    assert len(found.edges) == 1
    assert all(each.questions > 0 for each in found.cells)


def test_a_saved_table_reads_back_the_same(tmp_path: Path) -> None:
    found = fitted(outcomes(60))
    save_strategy_table(found, tmp_path / "table.json")

    read = load_strategy_table(
        str(tmp_path / "table.json"), model="tiny", verifier="prm", weights={"tiny": None}
    )

    assert read == found


@pytest.mark.parametrize(
    ("model", "verifier", "sha256", "said"),
    [
        ("other", "prm", "abc", "of tiny judged by prm, but configured are other and prm"),
        ("tiny", "votes", "abc", "but configured are tiny and votes"),
        ("tiny", "prm", "xyz", "other weights of tiny"),
    ],
)
def test_a_table_of_something_else_is_refused(
    tmp_path: Path, model: str, verifier: str, sha256: str, said: str
) -> None:
    save_strategy_table(fitted(outcomes(60)), tmp_path / "table.json")

    with pytest.raises(ArtifactInvalid, match=said):
        load_strategy_table(
            str(tmp_path / "table.json"), model=model, verifier=verifier, weights={"tiny": sha256}
        )


def test_outcomes_without_a_search_or_a_probe_are_refused() -> None:
    with pytest.raises(OutcomesInvalid, match="no search"):
        fitted(table(np.ones((30, 2))))
    with pytest.raises(OutcomesInvalid, match="0 questions have a probe"):
        fitted(table(np.ones((30, 2)), actions=ACTIONS[1:3]))
