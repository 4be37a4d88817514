"""docs/routing.md keeps out what flatters, however often it is rendered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.routing.baselines import TFIDF
from benchmarks.routing.report import render

GAIN = {"value": 0.2, "low": 0.1, "high": 0.3}


def _row(tfidf: str, title: str = "a / b") -> dict[str, Any]:
    names = ("prompt length", tfidf, "gradus, text")
    routers = [
        {"name": name, "kind": "router", "apgr": GAIN, "apgr_over_tfidf": GAIN, "over_best": GAIN}
        for name in names
    ]
    return {
        "set": "x",
        "title": title,
        "questions": 9,
        "groups": 9,
        "strong": "b",
        "policies": routers,
        "verdict": {"router": None, "choice": "b", "reason": "always b"},
        "calls": {},
        "oracle_calls": [[0, 1], [0, 1]],
    }


@pytest.mark.filterwarnings("ignore:No artists")
def test_a_difference_to_the_weaker_tfidf_is_left_out(tmp_path: Path) -> None:
    rows = [
        _row(TFIDF),
        _row(f"{TFIDF}, alpha 1"),
        _row(f"{TFIDF}, alpha 1", "routellm/mmlu: mixtral-8x7b / gpt-4"),
    ]

    render(rows, "about", tmp_path / "routing.md")

    short_part, stronger, weaker = (tmp_path / "routing.md").read_text("utf-8").split("\n### ")[-4:-1]
    short = [line for line in short_part.split("\n") if line.startswith(("| a / b", "| routellm"))]
    assert ["+0.200" in line for line in short] == [True, False, False]
    assert "| – |" in short[1]
    assert "+0.019 [+0.008, +0.031]" in short[2]
    assert stronger.count("+0.200") == 6  # over tf-idf, and over the best single action
    assert weaker.count("+0.200") == 3
    assert "left out" in short_part
