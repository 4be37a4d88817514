"""Chains on tape: what a ratio is, what chains share, and what is made of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.paper import ratios
from benchmarks.paper.grid import weightings
from benchmarks.paper.rows import Row, search
from benchmarks.paper.setting import Setting, Sitting
from tests.benchmarks.paper.doubles import CountingScriptedVerifier, scripted_setting
from tests.benchmarks.paper.revising import REVISE, revising_setting
from workers.engines.scripted import ScriptedEngine
from workers.executor import Model
from workers.protocols import Prompt


@pytest.fixture
def setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setting:
    monkeypatch.setattr(ratios, "SMALL", ratios.Extent(6, (4, 16), 16))
    return revising_setting(tmp_path / "work")


def engine_of(setting: Setting) -> ScriptedEngine:
    engine = setting.models[ratios.MODEL].engine
    assert isinstance(engine, ScriptedEngine)
    return engine


def test_ratios_of_sequential_to_parallel_are_powers_of_four() -> None:
    assert [ratios.ratio(16, length) for length in ratios.lengths(16)] == [
        "1:16",
        "2:8",
        "4:4",
        "8:2",
        "16:1",
    ]
    assert ratios.lengths(6) == [1, 2, 4]


def test_every_ratio_spends_the_whole_budget(setting: Setting) -> None:
    rows, majority = ratios.chain_rows(setting)
    assert {row.question for row in rows} == set(range(6))
    keys = {(row.way, row.budget) for row in rows}
    assert keys >= {(ratios.way_of(length).label, 16) for length in (1, 2, 4, 8, 16)}
    assert all(row.candidates == row.budget for row in rows)
    assert [replace(row, right=False) for row in rows] == [replace(row, right=False) for row in majority]


def test_longer_chains_go_on_from_shorter_ones_and_are_asked_in_the_words_of_the_model(
    setting: Setting,
) -> None:
    """64 first attempts (8 repeats of 8); 16 of them get a second one, 8 of those two more, and so on."""
    ratios.chain_rows(setting)
    drawn = sum(len(prompts) for prompts, _ in engine_of(setting).calls)
    each = 64 + 16 * 1 + 8 * 2 + 4 * 4 + 2 * 8
    # Where all 4 attempts that are shown coincide with those of another chain, a few more are drawn.
    assert 6 * each <= drawn <= 6 * each * 1.05
    asked = [prompt.messages for prompts, _ in engine_of(setting).calls for prompt in prompts]
    assert max(len(messages) for messages in asked) == 1 + 2 * 4
    assert {messages[2]["content"] for messages in asked if len(messages) > 1} == {REVISE}


def test_chains_of_one_search_are_independent(setting: Setting) -> None:
    """Two chains whose first attempts are equal do not go on alike: they take cards of one stack in turn."""

    def echo(prompt: Prompt, index: int, seed: int) -> str:
        return "The answer is 1." if len(prompt.messages) == 1 else f"The answer is {seed + index}."

    model = setting.models[ratios.MODEL]
    told = replace(
        setting, models={**setting.models, ratios.MODEL: Model(ScriptedEngine(echo), model.config)}
    )
    sitting = Sitting(told, 0)
    way = ratios.way_of(2)
    _, result = search(sitting, way, 8, sitting.model(ratios.MODEL), sitting.judge(ratios.VERIFIER))
    assert result is not None
    second = [one.text for one in result.candidates[1::2]]
    assert len(set(second)) == len(second) == 4


def test_majority_counts_all_attempts_of_all_chains(setting: Setting) -> None:
    """Three of four say 1, which is wrong; the verifier believes the fourth, which is right."""

    def say(prompt: Prompt, index: int, seed: int) -> str:
        return "The answer is 1." if (seed + index) % 4 else "The answer is 0."

    model = setting.models[ratios.MODEL]
    told = replace(
        setting,
        models={**setting.models, ratios.MODEL: Model(ScriptedEngine(say), model.config)},
        verifiers={
            **setting.verifiers,
            ratios.VERIFIER: CountingScriptedVerifier(lambda text: [1.0 if " 0." in text else 0.1]),
        },
    )
    rows, majority = ratios.chain_rows(told)
    first = [(row.right, voted.right) for row, voted in zip(rows, majority, strict=True) if _is_whole(row)]
    assert set(first) == {(True, False)}


def _is_whole(row: Row) -> bool:
    """16 parallel attempts at the question whose answer is 0."""
    return (row.question, row.way, row.budget) == (0, ratios.PARALLEL, 16)


def test_the_best_ratio_is_told_with_how_sure_that_is() -> None:
    questions = np.arange(40)
    right = {(ratios.way_of(1).label, 4): (questions < 10).astype(float)}
    right[ratios.way_of(2).label, 4] = (questions < 30).astype(float)
    right[ratios.way_of(4).label, 4] = (questions < 12).astype(float)
    found = ratios.best_ratio(right, 4, np.ones(40, dtype=bool))
    assert (found["length"], found["from"], found["to"]) == (2, 2, 2)
    assert found["gain"]["value"] == 0.5
    few = ratios.best_ratio(right, 4, questions < 10)
    assert few["length"] == 1  # of equals the shortest
    assert few["gain"]["value"] == 0.0


def test_choosing_a_ratio_by_bin_saves_what_parallel_sampling_would_take_to_keep_up() -> None:
    """Bin 0 wants chains, bin 1 wants none; parallel is right as often only at four times the budget."""
    bins = [0, 0, 1, 1] * 10
    easy = np.array(bins) == 0
    right = {
        (ratios.PARALLEL, 4): np.where(easy, 0.0, 1.0),
        (ratios.way_of(2).label, 4): np.where(easy, 0.5, 0.5),
        (ratios.way_of(4).label, 4): np.where(easy, 1.0, 0.0),
        (ratios.PARALLEL, 16): np.ones(40),
    }
    flops = {key: np.ones(40) for key in right}
    found = ratios.optimal(right, flops, 4, bins, weightings(40, 20))
    assert found["right"]["value"] == 1.0
    assert found["against_parallel"]["value"] == 0.5
    assert found["saving"]["value"] == pytest.approx(4.0)
    assert found["reached"]
    assert [fold[:2] for fold in found["choices"]] == [["4 in a row", "1 in a row"]] * 2


def test_it_is_told_and_drawn_from_the_results_alone(setting: Setting, tmp_path: Path) -> None:
    results = json.loads(json.dumps(ratios.run(setting)))
    text = ratios.section(results)
    assert "| 16 | 4:4 |" in text
    assert "nan" not in text
    ratios.draw(results, tmp_path)
    assert (tmp_path / "ratios.png").stat().st_size > 10_000


def test_without_a_model_that_revises_it_is_skipped_and_says_so(tmp_path: Path) -> None:
    results = ratios.run(scripted_setting(tmp_path))
    assert ratios.MODEL in ratios.section(results)
    ratios.draw(results, tmp_path)
    assert not (tmp_path / "ratios.png").exists()
