"""The main job, with real processes and real models: easy questions are searched, hard ones escalate."""

from __future__ import annotations

import os
import signal
import threading
from decimal import Decimal
from itertools import pairwise
from typing import Any

import httpx
import openai
import pytest

from tests.e2e.product import Product

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

PROBED = "gradus/accurate"
EASY = "Calculate 3 + 4."
MIDDLING = "Calculate 47 * 8 - 96 + 35."
HARD = "Calculate ( 874 * 693 - 58 * 977 ) * 86 + 45 * 9876 - 77 * 391."


@pytest.fixture
def client(product: Product) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{product.url}/v1", api_key="any", max_retries=0)


def ask(client: openai.OpenAI, question: str, **options: Any) -> Any:
    return client.chat.completions.create(
        model=options.pop("model", "gradus"), messages=[{"role": "user", "content": question}], **options
    )


def gradus(answer: Any) -> dict[str, Any]:
    """The ``gradus`` object that comes with an answer."""
    extra: dict[str, Any] = answer.model_extra["gradus"]
    return extra


def is_probe(line: str) -> bool:
    """Whether a line of a stream says that a worker has probed."""
    return line.startswith(": gradus probe")


def test_an_easy_problem_is_answered_by_the_small_model_and_search(client: openai.OpenAI) -> None:
    answer = ask(client, EASY, model=PROBED)

    said = gradus(answer)
    assert answer.choices[0].message.content.splitlines()[-1] == "The answer is 7."
    assert answer.choices[0].finish_reason == "stop"
    assert (said["route"], said["model"], said["bin"]) == ("small", "abacus-small", "easy")
    assert said["samples"] in (4, 8, 16)  # as soon as nothing is left to decide
    assert said["tokens"]["probe"] > 0
    assert said["tokens"]["verifier"] > 0
    assert said["tokens"]["escalation"] == 0
    assert Decimal(said["cost_usd"]) > 0
    assert said["flops"] > 0


def test_a_hard_problem_escalates_to_the_large_model(client: openai.OpenAI) -> None:
    said = gradus(ask(client, HARD, model=PROBED))

    assert said["bin"] in ("hard", "very_hard")
    assert said["tokens"]["probe"] > 0
    assert said["tokens"]["escalation"] > 0


def test_what_looks_hard_goes_to_the_large_model_unprobed(client: openai.OpenAI) -> None:
    said = gradus(ask(client, HARD))

    assert (said["route"], said["model"]) == ("large", "abacus-large")
    assert said["bin"] in ("hard", "very_hard")
    assert said["tokens"]["probe"] == 0


@pytest.mark.parametrize("question", [EASY, HARD])
def test_usage_is_the_sum_over_every_purpose(client: openai.OpenAI, question: str) -> None:
    answer = ask(client, question)

    assert answer.usage.total_tokens == sum(gradus(answer)["tokens"].values())
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


@pytest.mark.parametrize("question", [EASY, HARD])
def test_a_stream_ends_with_the_usage_and_the_decision(client: openai.OpenAI, question: str) -> None:
    chunks = list(ask(client, question, stream=True, stream_options={"include_usage": True}))

    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text.strip()
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].usage.total_tokens == sum(gradus(chunks[-1])["tokens"].values())


def test_a_model_asked_for_by_name_answers_without_routing(client: openai.OpenAI) -> None:
    said = gradus(ask(client, EASY, model="abacus-large"))

    assert (said["model"], said["strategy"], said["tokens"]["probe"]) == ("abacus-large", "direct", 0)


def test_the_decision_is_in_the_headers(product: Product) -> None:
    body = {"model": "gradus", "messages": [{"role": "user", "content": EASY}]}

    answer = httpx.post(f"{product.url}/v1/chat/completions", json=body, timeout=60)

    assert answer.headers["x-gradus-route"] == "small"
    assert answer.headers["x-gradus-bin"] == "easy"
    assert answer.headers["x-gradus-cost-usd"] == answer.json()["gradus"]["cost_usd"]


def test_models_lists_policies_and_models(client: openai.OpenAI) -> None:
    names = {model.id for model in client.models.list()}

    assert {"gradus", "gradus/cheap", "gradus/accurate", "abacus-small", "abacus-large"} <= names


def test_explain_shows_a_priced_plan_for_all_that_a_probe_may_see(product: Product) -> None:
    body = {"model": PROBED, "messages": [{"role": "user", "content": HARD}]}

    plan = httpx.post(f"{product.url}/v1/gradus/explain", json=body, timeout=60).json()["plan"]

    branches = plan["stages"][-1]["branches"]
    assert (branches[0]["up_to"], branches[-1]["above"]) == (1, 0)
    assert all(one["above"] == other["up_to"] for one, other in pairwise(branches))
    assert Decimal(plan["worst_case_cost_usd"]) >= Decimal(plan["expected_cost_usd"]) > 0


def test_a_worker_killed_in_mid_search_leaves_an_answer_or_a_clear_error(
    product: Product, client: openai.OpenAI
) -> None:
    in_search = threading.Barrier(5)
    results: list[str] = []

    def request() -> None:
        messages = [{"role": "user", "content": MIDDLING}]
        body = {"model": PROBED, "messages": messages, "stream": True}
        lines: list[str] = []
        with httpx.stream("POST", f"{product.url}/v1/chat/completions", json=body, timeout=150) as answer:
            for line in answer.iter_lines():
                if is_probe(line) and not any(map(is_probe, lines)):  # a job sent again probes again
                    in_search.wait(60)
                lines.append(line)
        results.append("\n".join(lines))

    threads = [threading.Thread(target=request) for _ in range(4)]
    for thread in threads:
        thread.start()
    in_search.wait(60)
    os.kill(product.child_pid("workers"), signal.SIGKILL)
    for thread in threads:
        thread.join()

    assert len(results) == len(threads)
    for result in results:
        assert "worker_lost" in result or "deadline_exceeded" in result or "data: [DONE]" in result
    # The worker was started again, and takes new work.
    assert gradus(ask(client, EASY))["route"] == "small"
