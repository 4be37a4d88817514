"""A text model is compared with tf-idf at its best; where it was not, the report leaves that out."""

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


def test_rows_that_are_compared_with_the_weaker_one_say_so_and_leave_the_difference_out(
    tmp_path: Path,
) -> None:
    file = tmp_path / "routing.md"
    alone = "routellm/mmlu: mixtral-8x7b / gpt-4"
    render([_row("new", TFIDF), *(_row(title, f"{TFIDF}, alpha 1") for title in ("old", alone))], "", file)
    shown = file.read_text("utf-8")
    assert "| new | 9 | 0.500 | 0.600 | gradus, text 0.700" in shown
    assert "| old | 9 | 0.500 | 0.600, alpha 1 | gradus, text 0.700" in shown
    gain = "+0.200 [+0.100, +0.300]"
    new, old = (shown.partition(f"\n### {title}\n")[2].partition("\n### ")[0] for title in ("new", "old"))
    assert (new.count(gain), old.count(gain), old.count("|  | – |")) == (3, 0, 3)
    short = shown.partition("## In short")[2].partition("\n## ")[0]
    assert "left out" in short
    told = {line.split(" | ")[0]: line for line in short.split("\n")}
    assert gain in told["| new"]
    assert "| – | always grand |" in told["| old"]
    assert "| **+0.019 [+0.008, +0.031]**, in a run of its own | always grand |" in told[f"| {alone}"]


def _row(title: str, tfidf: str) -> dict[str, Any]:
    value = {"low": 0.4, "high": 0.8}
    found = {"prompt length": 0.5, tfidf: 0.6, "gradus, text": 0.7}
    gain = {"value": 0.2, "low": 0.1, "high": 0.3}
    policies = [
        {"name": each, "kind": "router", "apgr": {"value": v, **value}, "apgr_over_tfidf": gain}
        for each, v in found.items()
    ]
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
