"""`gradus train outcomes`: what it refuses, what it writes, and who is asked."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from router.config import Config
from tests.workers.engines import openai_server, tiny
from tests.workers.verifiers.chat_server import judge_app
from tests.workers.verifiers.local_server import serving
from workers.engines.scripted import ScriptedEngine
from workers.training.errors import TrainingError
from workers.training.outcomes import LOG, OutcomesRecipe, actions, make
from workers.training.questions import Question
from workers.training.recipes import load_recipe
from workers.verifiers.outcomes import read_outcomes

QUESTIONS = [Question(str(at), "count", "3") for at in range(3)]
RECIPE = OutcomesRecipe.model_validate(
    {
        "task": "number",
        "samples": 4,
        "strategies": [{"name": "majority"}, {"name": "best_of_n_weighted"}],
        "budgets": [2, 6],
    }
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.make_language_model(tmp_path_factory.mktemp("tiny")))


def config(model: str, large: dict[str, Any] | None = None, **changed: Any) -> Config:
    small: dict[str, Any] = {
        "engine": "transformers",
        "path": model,
        "context_tokens": tiny.CONTEXT_TOKENS,
        "max_tokens": 40,
        "temperature": 1.5,
        "parameters": 1000,
        "price": {"usd_per_million_prompt_tokens": "0.3", "usd_per_million_completion_tokens": 1},
    }
    policy = {"small": "tiny", "verifier": "votes", "probe_samples": 4, "usd_per_right_answer": 1}
    return Config.model_validate(
        {
            "models": {"tiny": {**small, **changed}, **({"big": large} if large else {})},
            "verifiers": {
                "votes": {"kind": "majority"},
                "prm": {"kind": "prm", "path": "x", "context_tokens": 9},
            },
            "policies": {
                "default": {**policy, "large": "big" if large else None},
                "judged": {**policy, "verifier": "prm", "beam_width": 2, "chain_length": 2},
            },
        }
    )


def rows_of(folder: Path, name: str = "outcomes.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


@pytest.fixture(scope="module")
def made(model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outcomes")
    make(RECIPE, config(model), "default", QUESTIONS, folder)
    return folder


def test_a_row_for_each_question_and_action(made: Path) -> None:
    names = ["small", "majority@2", "majority@6", "best_of_n_weighted@2", "best_of_n_weighted@6"]
    assert [(row["id"], row["action"]) for row in rows_of(made)] == [
        (question.id, name) for question in QUESTIONS for name in names
    ]


def test_parquet_holds_the_same_with_exact_money(made: Path) -> None:
    read = parquet.read_table(made / "outcomes.parquet").to_pylist()
    for row, written in zip(read, rows_of(made), strict=True):
        assert row["cost_usd"] == Decimal(written["cost_usd"]) > 0
        assert row["usage"][0]["cost_usd"] == Decimal(written["usage"][0]["cost_usd"])
        flat = {key: row[key] for key in ("id", "action", "right", "completion_tokens", "seconds", "text")}
        assert flat == {key: written[key] for key in flat}
    assert read[0]["probe"]["samples"] == rows_of(made)[0]["probe"]["samples"]


def test_the_samples_are_outcomes_that_gradus_quality_reads(made: Path) -> None:
    questions = read_outcomes(made / "turns.jsonl")
    assert [len(question.outcomes) for question in questions] == [4, 4, 4]
    small = [row for row in rows_of(made) if row["action"] == "small"]
    for row, question in zip(small, questions, strict=True):
        assert row["right"] == sum(one.right for one in question.outcomes) / 4
        assert [one.score for one in question.outcomes] == [one["score"] for one in row["probe"]["samples"]]


def test_the_card_has_a_row_an_action(made: Path) -> None:
    lines = (made / "README.md").read_text().splitlines()
    cells = {line.split("|")[1].strip(): line.split("|")[2:-1] for line in lines if line.startswith("| ")}
    for action in ("small", "best_of_n_weighted@6"):
        those = [row for row in rows_of(made) if row["action"] == action]
        assert cells[action][0].strip().startswith(f"{sum(row['right'] for row in those) / 3:.3f} ± ")
        assert float(cells[action][1]) == pytest.approx(
            sum(float(row["cost_usd"]) for row in those) / 3, rel=0.01
        )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"temperature": 0.5}, "configuration.models.tiny.temperature is 1.5 there, and 0.5 in this one"),
        ({"price": None}, "configuration.models.tiny.price"),
    ],
)
def test_outcomes_of_another_configuration_are_not_mixed_in(
    made: Path, model: str, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        make(RECIPE, config(model, **changed), "default", QUESTIONS, made)


def test_what_is_done_is_not_done_again(made: Path, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log = (made / LOG).read_bytes()
    monkeypatch.setattr("workers.engines.load_engine", lambda *_: pytest.fail("nothing is left to draw"))
    make(RECIPE, config(model), "default", QUESTIONS, made)
    assert (made / LOG).read_bytes() == log


PRICE = {"usd_per_million_prompt_tokens": 2, "usd_per_million_completion_tokens": 10}


def small_and_large(model: str, large: dict[str, Any], folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    recipe = RECIPE.model_copy(update={"strategies": ()})
    make(recipe, config(model, {**large, "max_tokens": 50, "price": PRICE}), "default", QUESTIONS[:1], folder)
    small, big = rows_of(folder)
    assert (small["action"], big["action"], big["model"], big["right"]) == ("small", "large", "big", 1.0)
    usd = (2 * big["prompt_tokens"] + 10 * big["completion_tokens"]) / Decimal(1_000_000)
    assert Decimal(big["cost_usd"]) == usd > 0
    return small, big


def test_a_large_model_may_be_one_of_litellm(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIG_KEY", "secret")
    received: list[Any] = []
    with serving(judge_app(lambda _: "The answer is 3.", received=received)) as url:
        large = {"engine": "litellm", "litellm_model": "openai/big", "api_key_env": "BIG_KEY"}
        _, big = small_and_large(model, {**large, "base_url": f"{url}/v1"}, tmp_path)
    assert (big["prompt_tokens"], big["completion_tokens"]) == (100, 10)
    assert (received[0]["temperature"], received[0]["max_tokens"]) == (0, 50)


def test_a_large_model_may_be_behind_an_openai_compatible_server(model: str, tmp_path: Path) -> None:
    backend = ScriptedEngine(
        lambda prompt, *_: "The answer is 3.".removeprefix(prompt.prefix), model="tiny", context_tokens=500
    )
    with openai_server.serving(openai_server.OpenAIServer(backend, openai_server.LLAMA_CPP).app()) as url:
        large = {"engine": "openai", "base_url": url, "upstream_model": "tiny", "context_tokens": 500}
        small_and_large(model, large, tmp_path)
    assert backend.calls[-1][1].temperature == 0


@pytest.mark.parametrize("name", ["outcomes", "abacus-outcomes"])
def test_shipped_recipes_are_valid_for_the_embedded_models(name: str) -> None:
    from router.config import load_config

    recipe = load_recipe(OutcomesRecipe, name)
    found = actions(recipe, load_config("abacus", {}), "default")
    assert len(found) == len(recipe.strategies) * len(recipe.budgets) > 0


def test_an_action_is_the_policy_s_search_at_its_budget(model: str) -> None:
    recipe = OutcomesRecipe.model_validate(
        {"strategies": [{"name": "beam"}, {"name": "beam", "beam_width": "sqrt"}], "budgets": [16]}
    )
    found = {each.label: each.spec for each in actions(recipe, config(model), "judged")}
    assert found["beam@16"].beam_width == 2
    assert found["beam(beam_width=sqrt)@16"].beam_width == 4
    assert {spec.samples for spec in found.values()} == {16}


MISTAKES = {
    "no such policy": ({}, "defalt", "--policy: there is no policy 'defalt'; there are default, judged"),
    "fewer samples than probes": (
        {"samples": 3},
        "default",
        r"samples: 3 are fewer than .*\(probe_samples: 4\)",
    ),
    "no budget": ({"budgets": []}, "default", "budgets: strategies without a budget; give at least one"),
    "direct": ({"strategies": [{"name": "direct"}]}, "default", "direct is the action 'small' already"),
    "twice": ({"budgets": [4, 4]}, "default", "majority@4 is there twice"),
    "steps without a judge of steps": (
        {"strategies": [{"name": "beam"}]},
        "default",
        "beam@2: strategy: beam judges unfinished answers, and the verifier cannot",
    ),
    "beams that do not divide": (
        {"strategies": [{"name": "beam", "beam_width": 4}]},
        "judged",
        r"beam\(beam_width=4\)@2: beam_width: budgets \(2\) must be a multiple of beam_width \(4\)",
    ),
    "a reference that is no number": ({}, "default", "question 7: its answer 'red' cannot be read"),
}


@pytest.mark.parametrize(("changes", "policy", "message"), MISTAKES.values(), ids=list(MISTAKES))
def test_a_mistake_is_named_before_anything_is_drawn(
    model: str, tmp_path: Path, changes: dict[str, Any], policy: str, message: str
) -> None:
    recipe = OutcomesRecipe.model_validate({**RECIPE.model_dump(), **changes})
    with pytest.raises(TrainingError, match=message):
        make(recipe, config(model), policy, [Question("7", "colour?", "red")], tmp_path)
    assert not (tmp_path / LOG).exists()


def test_a_large_model_without_a_limit_is_named(model: str, tmp_path: Path) -> None:
    large = {"engine": "litellm", "litellm_model": "openai/big"}
    with pytest.raises(TrainingError, match=r"models\.big\.max_tokens is missing"):
        make(RECIPE, config(model, large), "default", QUESTIONS, tmp_path)
