"""A request's ``gradus`` object: the search that it names is done, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from gateway.settings import load_settings
from tests.gateway.conftest import Start
from tests.gateway.doubles import ScriptedWorker
from tests.gateway.upstream import UpstreamDouble, UpstreamHost

CONFIG = """
models:
  small:
    engine: transformers
    path: nowhere
    context_tokens: 512
    max_tokens: 100
    price: {{usd_per_million_prompt_tokens: 1, usd_per_million_completion_tokens: 2}}
  served:
    engine: openai
    base_url: {upstream}/v1
    upstream_model: double
    context_tokens: 512
    max_tokens: 100
    price: {{usd_per_million_prompt_tokens: 1, usd_per_million_completion_tokens: 2}}
  big:
    engine: transformers
    path: elsewhere
    context_tokens: 512
    max_tokens: 100
    price: {{usd_per_million_prompt_tokens: 1000, usd_per_million_completion_tokens: 2000}}
verifiers:
  prm: {{kind: prm, path: nowhere, context_tokens: 512, price: {{usd_per_million_tokens: 1}}}}
  tests: {{kind: check, check: tests}}
  key: {{kind: check, check: key}}
policies:
  default: &default
    small: small
    verifier: prm
    large: big
    probe_samples: 4
    search_samples: 8
    min_accuracy: 0.5
    usd_per_right_answer: 0.01
  capped: {{<<: *default, max_cost_usd: 0.0001}}
  served: {{<<: *default, small: served, task: math}}
  tested: {{<<: *default, verifier: tests, task: code}}
  keyed: {{<<: *default, verifier: key}}
"""
QUESTION = [{"role": "user", "content": "hello"}]


@pytest.fixture
def gateway(start: Start, tmp_path: Path, redis_url: str, upstream_host: UpstreamHost) -> str:
    path = tmp_path / "gradus.yaml"
    path.write_text(CONFIG.format(upstream=upstream_host.url))
    return start(load_settings(path, {"GRADUS_REDIS_URL": redis_url}))


def _post(gateway: str, gradus: object, path: str = "chat/completions", **fields: Any) -> httpx.Response:
    body = {"model": "gradus", "messages": QUESTION, "gradus": gradus, **fields}
    return httpx.post(f"{gateway}/v1/{path}", json=body, timeout=30)


def test_the_openai_client_asks_for_a_search_by_extra_body(gateway: str, worker: ScriptedWorker) -> None:
    with openai.OpenAI(base_url=f"{gateway}/v1", api_key="any", max_retries=0) as client:
        answer = client.chat.completions.create(
            model="gradus",
            messages=[{"role": "user", "content": "hello"}],
            extra_body={"gradus": {"strategy": "beam", "budget": 16, "beam_width": 2, "task": "math"}},
        )

    assert answer.model_extra is not None
    assert answer.model_extra["gradus"]["strategy"] == "beam"
    assert answer.model_extra["gradus"]["policy"] == "default"
    (job,) = worker.jobs
    (branch,) = job.plan.branches
    assert (job.plan.probe_samples, branch.chosen.model, branch.chosen.token_cap) == (0, "small", 1600)
    assert (branch.chosen.strategy.samples, branch.chosen.strategy.beam_width) == (16, 2)
    assert job.query.task.kind == "math"
    assert "gradus" not in job.query.extra


def test_a_gateway_is_ready_when_workers_search_on_its_small_models_behind_servers_too(
    gateway: str, worker: ScriptedWorker
) -> None:
    worker.announce("small", "big")
    assert httpx.get(f"{gateway}/readyz").json()["reasons"] == ["No live worker runs served."]
    worker.announce("small", "big", "served")
    assert httpx.get(f"{gateway}/readyz").status_code == 200


def test_what_a_server_says_was_cached_or_thought_is_on_the_bill(
    gateway: str, upstream: UpstreamDouble
) -> None:
    upstream.answer["usage"]["prompt_tokens_details"] = {"cached_tokens": 5, "audio_tokens": 1}
    answer = _post(gateway, None, model="served").json()
    assert answer["usage"]["prompt_tokens_details"] == {"cached_tokens": 5, "audio_tokens": 1}
    assert answer["usage"]["completion_tokens_details"] == {"reasoning_tokens": 3}
    (line,) = answer["gradus"]["lines"]
    assert (line["cached_prompt_tokens"], line["reasoning_tokens"]) == (5, 3)


def test_a_budget_alone_is_routed_as_ever(gateway: str, worker: ScriptedWorker) -> None:
    assert _post(gateway, {"budget": 32}).json()["gradus"]["bin"] == "easy"
    (job,) = worker.jobs
    assert job.plan.probe_samples == 4
    assert {
        branch.chosen.strategy.samples for branch in job.plan.branches if branch.chosen.route == "small"
    } == {32}


def test_a_small_model_asked_for_by_name_is_searched(gateway: str, worker: ScriptedWorker) -> None:
    answer = _post(gateway, {"strategy": "best_of_n", "budget": 4}, model="small").json()
    assert answer["gradus"]["strategy"] == "best_of_n"
    (job,) = worker.jobs
    assert (job.plan.policy, job.plan.verifier) == ("default", "prm")


def test_one_small_answer_may_be_asked_for(gateway: str, worker: ScriptedWorker) -> None:
    answer = _post(gateway, {"strategy": "direct"}).json()
    assert (answer["gradus"]["model"], answer["gradus"]["strategy"]) == ("small", "direct")
    assert len(worker.jobs) == 1


def test_a_search_on_a_model_behind_a_server_is_for_a_worker_and_one_answer_of_it_is_not(
    gateway: str, worker: ScriptedWorker, upstream: UpstreamDouble
) -> None:
    searched = _post(gateway, {"strategy": "beam", "budget": 8}, model="gradus/served", logprobs=None)
    assert searched.json()["gradus"]["model"] == "served"
    assert not upstream.bodies
    assert worker.jobs[0].query.task.kind == "math"

    direct = _post(gateway, {"strategy": "direct"}, model="gradus/served", top_k=5, n=2)
    assert direct.json()["gradus"]["strategy"] == "direct"
    assert len(worker.jobs) == 1
    (body,) = upstream.bodies
    assert body["top_k"] == 5
    assert "gradus" not in body


@pytest.mark.parametrize(
    ("gradus", "param", "says"),
    [
        ({"strategy": "beams"}, "gradus.strategy", "'best_of_n_weighted', 'beam', 'lookahead'"),
        ({"budget": 0}, "gradus.budget", "greater than or equal to 1"),
        ({"budget": 2000}, "gradus.budget", "less than or equal to 1024"),
        ({"budget": "8"}, "gradus.budget", "valid integer"),
        (
            {"strategy": "beam", "budget": 6},
            "gradus.budget",
            "budget (6) must be a multiple of beam_width (4)",
        ),
        ({"strategy": "beam", "beam_width": 3}, "gradus.beam_width", "multiple of beam_width (3)"),
        ({"beam_width": "wide"}, "gradus.beam_width", "or 'sqrt'"),
        ({"strategy": "revisions", "chain_length": 5}, "gradus.chain_length", "multiple of chain_length (5)"),
        ({"strategy": "direct", "budget": 4}, "gradus.budget", "'direct' is one answer"),
        ({"max_rounds": 201}, "gradus.max_rounds", "less than or equal to 200"),
        ({"max_drop": 1.5}, "gradus.max_drop", "less than or equal to 1"),
        ({"lookahead_steps": True}, "gradus.lookahead_steps", "valid integer"),
        ({"stopping": {"rule": "window"}}, "gradus.stopping", "a window where the rule is 'window'"),
        ({"stopping": {"rules": "none"}}, "gradus.stopping.rules", "not permitted"),
        ({"verifier": "prm"}, "gradus.verifier", "not permitted"),
        ({"task": "poem"}, "gradus.task.kind", "'math'"),
        ({"task": {"kind": "math", "tools": []}}, "gradus.task.tools", "not permitted"),
        ("beam", "gradus", "dictionary"),
    ],
)
def test_a_wrong_option_is_refused_by_its_name(gateway: str, gradus: object, param: str, says: str) -> None:
    for path in ("chat/completions", "gradus/explain"):
        answer = _post(gateway, gradus, path)
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["param"] == param
        assert says in answer.json()["error"]["message"]


def test_a_search_over_the_policy_s_cap_is_refused(gateway: str) -> None:
    answer = _post(gateway, {"strategy": "lookahead", "budget": 64}, model="gradus/capped")
    assert (answer.status_code, answer.json()["error"]["code"]) == (402, "cost_cap_exceeded")


def test_a_model_that_no_policy_searches_on_has_no_verifier_for_it(gateway: str) -> None:
    answer = _post(gateway, {"strategy": "beam"}, model="big")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")
    assert "No policy searches on 'big'" in answer.json()["error"]["message"]


def test_explain_prices_the_search_that_is_asked_for(gateway: str) -> None:
    plan = _post(gateway, {"strategy": "dvts", "budget": 16}, "gradus/explain").json()["plan"]
    (branch,) = plan["stages"][-1]["branches"]
    assert (branch["chosen"]["strategy"]["name"], branch["chosen"]["strategy"]["samples"]) == ("dvts", 16)
    assert float(plan["worst_case_cost_usd"]) > float(plan["expected_cost_usd"]) > 0


@pytest.mark.parametrize(
    ("model", "task", "param"),
    [
        ("gradus", {"tests": "assert f(1)"}, "gradus.task.tests"),
        ("gradus/keyed", {"tests": "assert f(1)"}, "gradus.task.tests"),
        ("gradus", {"key": "7"}, "gradus.task.key"),
        ("gradus", {"pattern": "[0-9]+"}, "gradus.task.pattern"),
        ("gradus", {"kind": "code", "entry_point": "f", "cases": [[1]]}, "gradus.task.cases"),
        ("small", {"tests": "assert f(1)"}, "gradus.task.tests"),
    ],
)
def test_a_request_alone_makes_nobody_run_or_check_anything(
    gateway: str, worker: ScriptedWorker, model: str, task: Mapping[str, Any], param: str
) -> None:
    answer = _post(gateway, {"task": task}, model=model)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert answer.json()["error"]["code"] == "unsupported_feature"
    assert not worker.jobs


def test_what_a_configured_check_needs_reaches_the_worker(gateway: str, worker: ScriptedWorker) -> None:
    task = {"tests": "assert f(1) == 2", "entry_point": "f", "cases": [[1], [2]]}
    assert _post(gateway, {"task": task}, model="gradus/tested").status_code == 200
    (job,) = worker.jobs
    assert job.query.task.kind == "code"
    assert (job.query.task.tests, job.query.task.entry_point) == ("assert f(1) == 2", "f")
    assert job.query.task.cases == ((1,), (2,))
