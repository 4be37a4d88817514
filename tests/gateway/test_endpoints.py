"""Models, explain, health, and the description of the interface itself."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx
import openai
import pytest
import redis

from gateway.api import examples
from gateway.schemas import ChatCompletion, ChatRequest, ErrorBody, Explanation, Readiness
from router import wire
from tests.gateway.conftest import Configure, Start
from tests.gateway.doubles import ScriptedWorker

HELLO = {"messages": [{"role": "user", "content": "Calculate 3 + 4."}]}


def test_models_are_the_default_policy_all_policies_and_all_models(client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]

    assert names[:2] == ["gradus", "gradus/default"]
    assert {"gradus/remote", "small", "big", "remote", "lite"} < set(names)


@pytest.mark.parametrize("name", ["gradus", "gradus/remote", "small"])
def test_a_model_is_looked_up_by_its_name_slash_or_not(client: openai.OpenAI, name: str) -> None:
    assert client.models.retrieve(name).id == name


def test_an_unknown_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("gradus/nobody")

    assert caught.value.code == "model_not_found"


def test_explain_prices_every_bin_and_generates_nothing(url: str, redis_url: str) -> None:
    answer = httpx.post(f"{url}/v1/gradus/explain", json={"model": "gradus", **HELLO})

    plan = answer.json()["plan"]
    assert answer.status_code == 200
    assert (plan["policy"], plan["small"], plan["verifier"], plan["stages"][-1]["samples"]) == (
        "default",
        "small",
        "prm",
        4,
    )
    bins = [branch["difficulty_bin"] for branch in plan["stages"][-1]["branches"]]
    assert bins == ["easy", "medium", "hard", "very_hard"]
    assert plan["stages"][-1]["branches"][0]["chosen"]["model"] == "small"
    assert plan["stages"][-1]["branches"][3]["chosen"]["model"] == "big"
    assert all(branch["rejected"] and branch["reason"] for branch in plan["stages"][-1]["branches"])
    assert Decimal(plan["worst_case_cost_usd"]) >= Decimal(plan["expected_cost_usd"]) > 0
    assert "e" not in plan["probe_cost_usd"].lower()
    with redis.Redis.from_url(redis_url) as client:
        assert client.llen(wire.QUEUE) == 0


def test_small_prices_are_plain_digits(configure: Configure, start: Start, redis_url: str) -> None:
    price = "GRADUS__MODELS__BIG__PRICE__USD_PER_MILLION_"
    cheap = {f"{price}PROMPT_TOKENS": "0.0041666668", f"{price}COMPLETION_TOKENS": "0.0041666668"}
    url = start(configure(**cheap))

    answer = httpx.post(f"{url}/v1/gradus/explain", json={"model": "big", **HELLO, "max_tokens": 1})
    plan = httpx.post(f"{url}/v1/gradus/explain", json={"model": "gradus", **HELLO}).json()["plan"]

    costs = [value for name, value in _fields([answer.json(), plan]) if name.endswith("cost_usd")]
    assert costs
    for cost in costs:
        assert set(cost) <= set("0123456789."), cost


def _fields(node: Any) -> list[tuple[str, Any]]:
    if isinstance(node, dict):
        return [*node.items(), *(field for value in node.values() for field in _fields(value))]
    return [field for value in node for field in _fields(value)] if isinstance(node, list) else []


def test_explain_of_an_unpriced_model_says_null_not_zero(url: str) -> None:
    plan = httpx.post(f"{url}/v1/gradus/explain", json={"model": "lite", **HELLO}).json()["plan"]

    assert plan["stages"][-1]["samples"] == 0
    assert [branch["chosen"]["model"] for branch in plan["stages"][-1]["branches"]] == ["lite"]
    assert plan["expected_cost_usd"] is None


def test_litellm_models_are_priced_by_its_own_list_without_a_network(
    configure: Configure, start: Start, redis_url: str
) -> None:
    url = start(configure(GRADUS__MODELS__LITE__LITELLM_MODEL="openai/gpt-4o-mini"))

    plan = httpx.post(f"{url}/v1/gradus/explain", json={"model": "lite", **HELLO, "max_tokens": 10}).json()[
        "plan"
    ]

    assert Decimal(plan["expected_cost_usd"]) > 0


def test_explain_refuses_what_chat_refuses(url: str) -> None:
    answer = httpx.post(f"{url}/v1/gradus/explain", json={"model": "gradus", **HELLO, "n": 2})

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "n")


def test_the_process_is_alive_before_any_worker_is(url: str) -> None:
    assert httpx.get(f"{url}/healthz").json() == {"status": "ok"}


def test_ready_means_that_live_workers_run_every_model(url: str, redis_url: str) -> None:
    nobody = httpx.get(f"{url}/readyz")
    assert nobody.status_code == 503
    assert "gradus worker" in nobody.json()["reasons"][0]

    worker = ScriptedWorker(redis_url)
    worker.announce("small", "longer")
    some = httpx.get(f"{url}/readyz")
    assert (some.status_code, some.json()["reasons"]) == (503, ["No live worker runs big."])

    worker.announce("small", "big", "longer")
    ready = httpx.get(f"{url}/readyz")
    assert (ready.status_code, ready.json()["status"], ready.json()["reasons"]) == (200, "ready", [])


def test_readiness_warns_of_missing_keys_and_missing_large_models(configure: Configure, start: Start) -> None:
    warnings = httpx.get(f"{start(configure(REMOTE_KEY=''))}/readyz").json()["warnings"]

    assert any("REMOTE_KEY" in warning for warning in warnings)
    assert any("alone" in warning for warning in warnings)
    assert not any("LITE_KEY" in warning for warning in warnings)


def test_readiness_warns_of_a_calibration_that_is_not_there(configure: Configure, start: Start) -> None:
    url = start(configure(GRADUS__CALIBRATION="nowhere.json"))
    assert any("nowhere.json: no such file" in each for each in httpx.get(f"{url}/readyz").json()["warnings"])


def test_the_interface_describes_itself_with_examples(url: str) -> None:
    schema = httpx.get(f"{url}/openapi.json").json()

    chat = schema["paths"]["/v1/chat/completions"]["post"]
    shown = chat["requestBody"]["content"]["application/json"]["examples"]
    assert shown["routed"]["value"]["model"] == "gradus"
    assert shown["search"]["value"]["gradus"]["strategy"] == "beam"
    assert schema["components"]["schemas"]["GradusOptions"]["properties"]["budget"]
    assert {"200", "400", "402", "404", "413", "502", "503", "504"} <= set(chat["responses"])
    for status, response in chat["responses"].items():
        assert response["content"]["application/json"]["example"], status
    assert "text/event-stream" in chat["responses"]["200"]["content"]
    assert {"/v1/models", "/v1/models/{name}", "/v1/gradus/explain", "/healthz", "/readyz"} < set(
        schema["paths"]
    )


def test_every_reference_of_the_description_leads_somewhere(url: str) -> None:
    schema = httpx.get(f"{url}/openapi.json").json()

    for name in _references(schema):
        kind, found = name.removeprefix("#/components/").split("/")
        assert found in schema["components"][kind], name


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [name for value in node.values() for name in _references(value)]
    if isinstance(node, list):
        return [name for value in node for name in _references(value)]
    return []


def test_examples_are_what_the_schemas_say() -> None:
    ChatCompletion.model_validate(examples.COMPLETION)
    Explanation.model_validate(examples.EXPLANATION)
    for request in examples.REQUESTS.values():
        ChatRequest.model_validate(request["value"])
    Readiness.model_validate(examples.NOT_READY)
    for error in examples.ERRORS.values():
        ErrorBody.model_validate(error["content"]["application/json"]["example"])


def test_answers_are_what_the_schema_says(url: str, worker: ScriptedWorker) -> None:
    answer = httpx.post(f"{url}/v1/chat/completions", json={"model": "gradus", **HELLO})

    known = ChatCompletion.model_validate_json(answer.content)
    assert not known.gradus.model_extra
