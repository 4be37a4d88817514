"""What an OpenAI client gets: answers of searches, of large models, and of models asked for by name."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx
import openai
import pytest

from tests.gateway.doubles import ScriptedWorker, easy, hard
from tests.gateway.upstream import UpstreamDouble

MESSAGES: list[Any] = [{"role": "user", "content": "Calculate 3 + 4."}]


def ask(client: openai.OpenAI, model: str = "gradus", **options: Any) -> Any:
    return client.chat.completions.create(model=model, messages=MESSAGES, **options)


def gradus(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = answer.model_extra["gradus"]
    return found


def test_an_easy_query_is_answered_by_the_worker(client: openai.OpenAI, worker: ScriptedWorker) -> None:
    answer = ask(client)

    said = gradus(answer)
    assert answer.object == "chat.completion"
    assert answer.model == "gradus"
    assert answer.choices[0].message.content == "3 + 4 = 7\nThe answer is 7."
    assert answer.choices[0].finish_reason == "stop"
    assert (said["route"], said["model"], said["policy"]) == ("small", "small", "default")
    assert (said["bin"], said["difficulty"], said["samples"], said["confidence"]) == ("easy", 0.9, 8, 0.75)
    assert said["tokens"] == {"probe": 220, "candidates": 200, "verifier": 300, "direct": 0, "escalation": 0}
    assert set(said["latency_s"]) == {"queue", "probe", "search", "total"}


def test_usage_sums_every_line_and_the_cost_is_their_exact_price(
    client: openai.OpenAI, worker: ScriptedWorker
) -> None:
    answer = ask(client)

    usage, said = answer.usage, gradus(answer)
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (340, 380, 720)
    # 40 prompt and 380 completion tokens of the small model, 300 tokens of the verifier, by million
    assert said["cost_usd"] == "0.00089"
    assert Decimal(said["cost_usd"]) == sum(Decimal(line["cost_usd"]) for line in said["lines"])
    assert said["flops"] == 2 * 1000 * 420 + 2 * 500 * 300


def test_a_hard_query_goes_to_the_large_model_in_a_second_job(
    client: openai.OpenAI, worker: ScriptedWorker
) -> None:
    worker.script = hard

    answer = ask(client)

    first, second = worker.jobs
    assert (first.escalated, second.escalated) == (False, True)
    assert second.plan.probe_samples == 0
    assert [branch.chosen.model for branch in second.plan.branches] == ["big"]
    said = gradus(answer)
    assert (said["route"], said["model"], said["bin"], said["samples"]) == ("large", "big", "very_hard", 1)
    assert said["tokens"] == {"probe": 220, "candidates": 0, "verifier": 300, "direct": 0, "escalation": 40}
    assert answer.usage.total_tokens == 560
    assert [line["purpose"] for line in said["lines"]] == ["probe", "verifier", "escalation"]


def test_a_hard_query_goes_to_the_large_model_of_a_server(
    client: openai.OpenAI, worker: ScriptedWorker, upstream: UpstreamDouble
) -> None:
    worker.script = hard

    answer = ask(client, "gradus/remote", extra_body={"top_k": 5})

    assert len(worker.jobs) == 1
    assert answer.choices[0].message.content == "The answer is 7."
    assert upstream.bodies == [
        {"model": "double", "messages": MESSAGES, "top_k": 5, "max_tokens": 100}  # its configured limit
    ]
    assert upstream.keys == ["Bearer key-1"]
    said = gradus(answer)
    assert (said["model"], said["policy"], said["tokens"]["escalation"]) == ("remote", "remote", 18)
    assert answer.usage.total_tokens == 220 + 300 + 18
    assert set(said["latency_s"]) == {"queue", "probe", "search", "escalation", "total"}


def test_a_model_of_a_server_asked_by_name_needs_no_worker(
    client: openai.OpenAI, upstream: UpstreamDouble
) -> None:
    tools: Any = [{"type": "function", "function": {"name": "f", "parameters": {}}}]

    answer = ask(client, "remote", tools=tools, n=2, extra_body={"some_new_field": {"a": 1}})

    assert upstream.bodies[0]["tools"] == tools
    assert upstream.bodies[0]["some_new_field"] == {"a": 1}
    assert answer.model == "remote"
    said = gradus(answer)
    assert (said["policy"], said["strategy"], said["bin"]) == (None, "direct", None)
    assert said["tokens"]["direct"] == 18
    assert answer.usage.completion_tokens_details.reasoning_tokens == 3
    assert said["cost_usd"] == "0.00025"


def test_a_model_of_a_worker_asked_by_name_is_not_routed(
    client: openai.OpenAI, worker: ScriptedWorker
) -> None:
    said = gradus(ask(client, "big", max_tokens=9, temperature=0.1, top_p=0.5, stop=["\n"], seed=3))

    (job,) = worker.jobs
    assert job.plan.probe_samples == 0
    assert not job.escalated
    sampling = job.query.sampling
    assert (sampling.max_tokens, sampling.temperature, sampling.top_p) == (9, 0.1, 0.5)
    assert (sampling.stop, sampling.seed) == (("\n",), 3)
    assert (said["model"], said["tokens"]["direct"], said["tokens"]["probe"]) == ("big", 40, 0)
    assert set(said["latency_s"]) == {"queue", "direct", "total"}


def test_max_completion_tokens_is_the_new_name_of_max_tokens(
    client: openai.OpenAI, worker: ScriptedWorker
) -> None:
    ask(client, max_completion_tokens=17)

    assert worker.jobs[0].query.sampling.max_tokens == 17


def test_tools_go_straight_to_the_large_model(
    client: openai.OpenAI, worker: ScriptedWorker, upstream: UpstreamDouble
) -> None:
    tools: Any = [{"type": "function", "function": {"name": "f", "parameters": {}}}]

    said = gradus(ask(client, "gradus/remote", tools=tools))

    assert worker.jobs == []
    assert (said["route"], said["model"], said["tokens"]["direct"]) == ("large", "remote", 18)


def test_much_thinking_is_for_a_model_behind_a_server_or_refused_by_name(
    client: openai.OpenAI, worker: ScriptedWorker, upstream: UpstreamDouble
) -> None:
    said = gradus(ask(client, "gradus/remote", reasoning_effort="high"))
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, "gradus", reasoning_effort="high")

    assert (said["route"], upstream.bodies[0]["reasoning_effort"]) == ("large", "high")
    assert (refused.value.code, refused.value.param) == ("unsupported_feature", "reasoning_effort")
    assert worker.jobs == []
    assert "reasoning_effort" in gradus(ask(client, reasoning_effort="low"))["notice"]


def test_fields_that_no_worker_honours_are_named_in_a_notice(
    client: openai.OpenAI, worker: ScriptedWorker
) -> None:
    said = gradus(ask(client, user="me", extra_body={"top_k": 5}))

    assert "top_k" in said["notice"]
    assert "user" not in said["notice"]
    assert worker.jobs[0].query.extra == {"user": "me", "top_k": 5}


def test_text_parts_reach_the_worker_as_text(client: openai.OpenAI, worker: ScriptedWorker) -> None:
    parts: Any = [{"type": "text", "text": "Calculate "}, {"type": "text", "text": "3 + 4."}]

    client.chat.completions.create(model="gradus", messages=[{"role": "user", "content": parts}])

    assert worker.jobs[0].query.messages == ({"role": "user", "content": "Calculate 3 + 4."},)


def test_a_server_that_does_not_count_gets_its_usage_estimated_and_marked(
    client: openai.OpenAI, upstream: UpstreamDouble
) -> None:
    del upstream.answer["usage"]

    answer = ask(client, "remote")

    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (7, 6)  # as o200k_base counts
    assert "estimated" in gradus(answer)["notice"]


def test_an_estimate_counts_tools_and_the_calls_of_them(
    client: openai.OpenAI, upstream: UpstreamDouble
) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "calc", "arguments": '{"sum": "3 + 4 + 5"}'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    upstream.answer["choices"][0]["message"] = message
    del upstream.answer["usage"]
    tools: Any = [{"type": "function", "function": {"name": "calc", "description": "Adds. " * 100}}]
    messages: Any = [*MESSAGES, message, {"role": "tool", "tool_call_id": "1", "content": "12"}]

    plain = client.chat.completions.create(model="remote", messages=MESSAGES).usage
    with_tools = client.chat.completions.create(model="remote", messages=MESSAGES, tools=tools).usage
    with_calls = client.chat.completions.create(model="remote", messages=messages).usage

    assert plain is not None
    assert with_tools is not None
    assert with_calls is not None
    assert with_tools.prompt_tokens > plain.prompt_tokens + 100
    assert with_calls.prompt_tokens > plain.prompt_tokens + 20
    assert plain.completion_tokens == 13  # name and arguments


def test_litellm_models_are_asked_with_their_own_key(client: openai.OpenAI, upstream: UpstreamDouble) -> None:
    answer = ask(client, "lite", temperature=0.5, extra_body={"top_k": 5, "api_base": "http://evil.example"})

    assert answer.choices[0].message.content == "The answer is 7."
    assert upstream.keys == ["Bearer key-2"]
    assert upstream.bodies[0]["temperature"] == 0.5
    assert upstream.bodies[0]["top_k"] == 5
    said = gradus(answer)
    assert said["tokens"]["direct"] == 18
    assert said["cost_usd"] is None  # nobody knows its price, which is not 0


def test_headers_say_the_decision_in_short(url: str, worker: ScriptedWorker) -> None:
    answer = httpx.post(f"{url}/v1/chat/completions", json={"model": "gradus", "messages": MESSAGES})

    headers, said = answer.headers, answer.json()["gradus"]
    assert headers["x-gradus-route"] == "small"
    assert headers["x-gradus-model"] == "small"
    assert headers["x-gradus-policy"] == "default"
    assert headers["x-gradus-strategy"] == said["strategy"]
    assert headers["x-gradus-bin"] == "easy"
    assert headers["x-gradus-samples"] == "8"
    assert headers["x-gradus-cost-usd"] == said["cost_usd"]
    assert headers["x-request-id"] == answer.json()["id"]


def test_jobs_expire_with_the_deadline_and_carry_a_task_name(
    client: openai.OpenAI, worker: ScriptedWorker
) -> None:
    ask(client)

    (headers,) = worker.headers
    assert headers["task"] == "gradus.run_job"
    assert headers["id"] == worker.jobs[0].id
    assert headers["expires"] is not None


def test_many_requests_share_one_event_reader(client: openai.OpenAI, worker: ScriptedWorker) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def script(delivery: Any) -> None:
        (easy if "3 + 4" in str(delivery.job.query.messages) else hard)(delivery)

    worker.script = script
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(client), range(24)))

    assert {gradus(answer)["model"] for answer in answers} == {"small"}
    assert len({answer.id for answer in answers}) == 24
    assert len({job.reply_to for job in worker.jobs}) == 1
