"""The experiments from questions to report, without a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.paper import coverage, optimal, report, scale, search
from benchmarks.paper.difficulty import difficulties
from benchmarks.paper.experiments import load, run
from benchmarks.paper.rows import PARALLEL, WAYS, Way, search_rows
from benchmarks.paper.setting import Setting
from tests.benchmarks.paper.doubles import QUESTIONS, scripted_setting
from workers.engines.scripted import ScriptedEngine
from workers.training.errors import TrainingError


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return scripted_setting(tmp_path / "work")


def calls(setting: Setting) -> int:
    engine = setting.models[setting.small].engine
    assert isinstance(engine, ScriptedEngine)
    return len(engine.calls)


def test_every_way_has_a_row_a_budget_and_repeat_of_every_question(setting: Setting) -> None:
    rows = search_rows(setting, "all", WAYS)
    assert len(rows) == QUESTIONS * len(WAYS) * (2 + 1)
    weighted = [row for row in rows if (row.way, row.budget) == ("best-of-N weighted", 16)]
    assert {row.candidates for row in weighted} == {16}
    assert all(row.generation_flops and row.verifier_flops for row in weighted)
    assert all(row.verifier_tokens == 0 for row in rows if row.way == "majority")


def test_what_was_searched_is_not_searched_again_and_another_question_of_it_is(setting: Setting) -> None:
    rows = search_rows(setting, "all", PARALLEL)
    asked = calls(setting)
    assert search_rows(setting, "all", PARALLEL) == rows
    assert calls(setting) == asked
    file = setting.folder / "rows" / "all.jsonl"
    whole = file.read_text()
    file.write_text(whole[: len(whole) // 2])  # killed halfway
    again = search_rows(setting, "all", PARALLEL)
    assert sorted(map(str, again)) == sorted(map(str, rows))
    assert calls(setting) == asked


def test_repeats_see_other_samples_and_ways_see_the_same_ones(setting: Setting) -> None:
    ways = [Way("one", "best_of_n"), Way("two", "best_of_n")]
    rows = search_rows(setting, "all", ways, repeats={4: 3})
    by_way = {
        label: [
            (row.question, row.repeat, row.right, row.completion_tokens) for row in rows if row.way == label
        ]
        for label in ("one", "two")
    }
    assert by_way["one"] == by_way["two"]
    spent = {row.repeat: [] for row in rows}  # type: ignore[var-annotated]
    for row in rows:
        spent[row.repeat].append(row.completion_tokens)
    assert spent[0] != spent[1] != spent[2]


def test_oracle_difficulty_is_the_share_of_right_samples_in_bins_of_equal_size(setting: Setting) -> None:
    found = difficulties(setting)
    assert [found.oracle.count(each) for each in range(5)] == [2] * 5
    assert found.oracle[-1] == 0
    assert found.oracle[0] == 4
    assert found.pass_at_1[0] < found.pass_at_1[-1]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    setting = scripted_setting(tmp_path_factory.mktemp("work"))
    about = {
        "size": "tiny",
        "questions": QUESTIONS,
        "difficulty_samples": 16,
        "probes": 16,
        "small": "abacus-small",
        "large": "abacus-large",
        "verifier": "abacus-prm",
        "weights": {"abacus-small": "0123"},
        "machine": "none",
        "seconds": {"coverage": 60.0},
    }
    parts = {"coverage": coverage, "search": search, "optimal": optimal, "scale": scale}
    found = {"about": about} | {name: module.run(setting) for name, module in parts.items()}
    whole: dict[str, Any] = json.loads(json.dumps(found))
    return whole


def test_the_report_is_made_of_the_results_alone(results: dict[str, Any], tmp_path: Path) -> None:
    report.render(results, tmp_path / "docs" / "paper.md")
    text = (tmp_path / "docs" / "paper.md").read_text()
    titles = [load(name).TITLE for name in ("coverage", "search", "optimal", "scale")]
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        *(f"## {number}. {title}" for number, title in enumerate(titles, start=1)),
        "## How it was made",
    ]
    for line in text.splitlines():
        if line.startswith("!["):
            picture = tmp_path / "docs" / line.partition("(")[2].rstrip(")")
            assert picture.stat().st_size > 10_000
    assert "nan" not in text.lower()


def test_a_note_written_by_hand_stands_in_its_section(
    results: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "NOTES", tmp_path)
    (tmp_path / "coverage.md").write_text("What it means.\n")
    report.render({name: results[name] for name in ("about", "coverage")}, tmp_path / "paper.md")
    text = (tmp_path / "paper.md").read_text()
    assert text.index("*The paper:*") < text.index("What it means.") < text.index("| questions |")


@pytest.mark.parametrize(
    ("size", "only", "message"),
    [
        ("huge", [], "there is no 'huge'"),
        ("small", ["searhc"], "there is no 'searhc'"),
        ("small", [], "no results"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    size: str, only: list[str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=message):
        run(
            size,
            folder=tmp_path,
            rollouts=tmp_path,
            output=tmp_path / "x.md",
            only=only,
            count=None,
            draw_only=True,
        )
