"""A gateway with a predictor: what it decides for each prompt, and what it records to learn more."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from router.fitting.fit import fit_predictor
from router.outcome_files import read_outcomes
from router.outcome_table import Action
from router.predictor.files import save_predictor
from tests.gateway.conftest import Configure, Start
from tests.gateway.doubles import ScriptedWorker, easy
from tests.router.tables import table

EASY = "add two apples two add apples number 7"
# Decided query by query: such a policy is never one action for every prompt.
ROUTES = {"GRADUS__POLICIES__DEFAULT__MIN_ACCURACY": "0.75"}
UNSEEN = "¿Qué hora es? $$$ \\begin{theorem} ∀x∃y ... SELECT * FROM users;" * 5
HARD = "prove integral converges prove integral prove number 8"


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the models "small" and "big"."""
    actions = (
        Action("small", "small", "small"),
        Action("majority@8", "small", "small", "majority", 8),
        Action("big", "large", "big"),
    )
    folder = tmp_path_factory.mktemp("predictor")
    save_predictor(fit_predictor(replace(table(400), actions=actions), method="words"), folder)
    return folder


def _chat(text: str) -> dict[str, Any]:
    return {"model": "gradus", "messages": [{"role": "user", "content": text}]}


def _plan(url: str, text: str) -> Mapping[str, Any]:
    plan: Mapping[str, Any] = httpx.post(f"{url}/v1/gradus/explain", json=_chat(text)).json()["plan"]
    return plan


def test_prompts_are_told_apart_before_anything_is_generated(
    predictor: Path, configure: Configure, start: Start
) -> None:
    url = start(configure(GRADUS__PREDICTOR=str(predictor)))
    easy_plan, hard_plan = _plan(url, EASY), _plan(url, HARD)

    assert easy_plan["p_right"] > 0.6 > 0.4 > hard_plan["p_right"]
    assert easy_plan["familiarity"] > 0.01
    sources = {
        branch["chosen"]["accuracy_source"] for stage in easy_plan["stages"] for branch in stage["branches"]
    }
    assert sources == {"predicted"}


def test_a_prompt_unlike_all_others_goes_by_the_table_of_bins(
    predictor: Path, configure: Configure, start: Start
) -> None:
    url = start(
        configure(GRADUS__PREDICTOR=str(predictor), **ROUTES, GRADUS__POLICIES__DEFAULT__UNSEEN_BELOW="0.02")
    )
    plan = _plan(url, UNSEEN)

    assert plan["familiarity"] <= 0.02
    assert [branch["difficulty_bin"] for branch in plan["stages"][-1]["branches"]] == [
        "easy",
        "medium",
        "hard",
        "very_hard",
    ]


def test_what_was_predicted_of_an_unseen_prompt_is_not_recorded(
    predictor: Path,
    configure: Configure,
    start: Start,
    worker: ScriptedWorker,
    redis_url: str,
    tmp_path: Path,
) -> None:
    records = tmp_path / "records.jsonl"
    kept = {"GRADUS_REDIS_URL": redis_url, "GRADUS__RECORDS": str(records)}
    unseen = {"GRADUS__POLICIES__DEFAULT__UNSEEN": "small", "GRADUS__POLICIES__DEFAULT__UNSEEN_BELOW": "0.02"}
    url = start(configure(GRADUS__PREDICTOR=str(predictor), **ROUTES, **kept, **unseen))
    worker.script = easy
    for text in (EASY, UNSEEN):
        httpx.post(f"{url}/v1/chat/completions", json=_chat(text)).raise_for_status()

    known, strange = [json.loads(line) for line in records.read_text("utf-8").splitlines()]
    assert known["p_right"] > 0.6
    assert strange["p_right"] is None
    assert strange["familiarity"] <= 0.02


def test_a_predictor_of_other_models_keeps_the_gateway_from_starting(
    predictor: Path, configure: Configure, start: Start
) -> None:
    from router.errors import ArtifactInvalid

    settings = configure(GRADUS__PREDICTOR=str(predictor))
    policies = {"default": settings.config.policies["default"].model_copy(update={"larges": ("longer",)})}
    config = settings.config.model_copy(update={"policies": policies})
    with pytest.raises(ArtifactInvalid, match="gradus fit"):
        start(replace(settings, config=config))


def test_what_was_answered_is_recorded_in_the_shape_that_fitting_reads(
    configure: Configure, start: Start, worker: ScriptedWorker, redis_url: str, tmp_path: Path
) -> None:
    records = tmp_path / "records.jsonl"
    url = start(configure(GRADUS_REDIS_URL=redis_url, GRADUS__RECORDS=str(records)))
    worker.script = easy
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
    reply = client.chat.completions.create(model="gradus", messages=[{"role": "user", "content": EASY}])

    (row,) = [json.loads(line) for line in records.read_text("utf-8").splitlines()]
    assert row["id"] == reply.id
    labels = tmp_path / "labels.csv"
    labels.write_text(f"id,right\n{reply.id},1\n", "utf-8")
    read = read_outcomes([records], labels)
    assert (read.ids, read.prompts) == ((reply.id,), (EASY,))
    assert [action.name for action in read.actions] == ["best_of_n_weighted@8"]
    assert read.right[0, 0] == 1.0
    assert read.cost_usd[0, 0] == pytest.approx(float(reply.model_extra["gradus"]["cost_usd"]))  # type: ignore[index]
    assert read.evidence[0] is not None
    assert len(read.evidence[0].scores) == 4


def test_feedback_watches_what_was_predicted_once_an_answer(
    predictor: Path, configure: Configure, start: Start, worker: ScriptedWorker, redis_url: str
) -> None:
    url = start(configure(GRADUS__PREDICTOR=str(predictor), **ROUTES))
    worker.script = easy
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
    reply = client.chat.completions.create(model="gradus", messages=[{"role": "user", "content": EASY}])

    def watched() -> list[str]:
        text = httpx.get(f"{url}/metrics").text
        return re.findall(r"^gradus_drift_(?:queries|feedback)_total (\S+)", text, re.MULTILINE)

    assert watched() == ["1.0", "0.0"]
    for right in (True, False):
        said = {"id": reply.id, "right": right}
        assert httpx.post(f"{url}/v1/gradus/feedback", json=said).status_code == 200
    assert watched() == ["1.0", "1.0"]
