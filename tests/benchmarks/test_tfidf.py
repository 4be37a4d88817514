"""A text model is compared with tf-idf at its best, and the report says where it is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.routing.baselines import TFIDF, baselines
from benchmarks.routing.measure import methods
from benchmarks.routing.report import render
from router.evaluation.crossval import cross_validate
from tests.router.tables import table


def test_alpha_is_one_of_two_and_chosen_in_the_fold() -> None:
    pair = table().only(("small", "grand"))
    weaker, stronger = f"{TFIDF}, alpha 1", f"{TFIDF}, alpha 10"
    assert {TFIDF, weaker, stronger} <= methods(pair, None, mathematics=False).keys()
    found = baselines(None)
    chosen, *ones = (
        cross_validate(pair, found[name], seeds=[0]).right[0] for name in (TFIDF, weaker, stronger)
    )
    taken = np.any([np.isclose(chosen, one).all(axis=1) for one in ones], axis=0)
    assert taken.all()


def test_rows_that_are_compared_with_the_weaker_one_say_so(tmp_path: Path) -> None:
    file = tmp_path / "routing.md"
    render([_row("new", TFIDF), _row("old", f"{TFIDF}, alpha 1")], "", file)
    shown = file.read_text("utf-8")
    assert "| new | 9 | 0.500 | 0.600 | gradus, text 0.700" in shown
    assert "| old | 9 | 0.500 | 0.600, alpha 1 | gradus, text 0.700" in shown
    assert shown.count("| over tf-idf | CPT20 |") == shown.count("| over tf-idf, alpha 1 | CPT20 |") == 1


def _row(title: str, tfidf: str) -> dict[str, Any]:
    value = {"low": 0.4, "high": 0.8}
    found = {"prompt length": 0.5, tfidf: 0.6, "gradus, text": 0.7}
    policies = [{"name": each, "kind": "router", "apgr": {"value": v, **value}} for each, v in found.items()]
    return {
        "title": title,
        "set": "one",
        "questions": 9,
        "groups": 9,
        "strong": "grand",
        "policies": policies,
        "verdict": {"router": None, "choice": "grand", "reason": "why"},
        "calls": {},
        "oracle_calls": [[0, 1], [0, 1]],
    }
