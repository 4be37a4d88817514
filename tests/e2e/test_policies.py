"""Searches that a configuration file asks for, by its policies."""

from __future__ import annotations

import openai
import pytest

from tests.e2e.asking import ask, assert_bill_adds_up, told
from tests.e2e.served import Served

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

QUESTION = "Calculate 3 + 4."


@pytest.mark.parametrize(
    ("policy", "strategy", "judges"),
    [
        ("dvts", "dvts", {"prm"}),
        ("sqrt", "beam", {"prm"}),
        ("ensemble", "beam", {"prm", "strict"}),
        ("doubted", "majority", set()),
    ],
)
def test_a_policy_searches_in_its_way(served: Served, policy: str, strategy: str, judges: set[str]) -> None:
    answer = ask(served.product, QUESTION, model=f"gradus/{policy}")

    said = told(answer)
    assert answer.choices[0].message.content.endswith("The answer is 7.")
    assert (said["policy"], said["strategy"], said["model"]) == (policy, strategy, "small")
    assert {line["model"] for line in said["lines"] if line["purpose"] == "verifier"} == judges
    assert_bill_adds_up(answer)


def test_a_window_that_agrees_ends_a_vote_early(served: Served) -> None:
    said = told(ask(served.product, QUESTION, model="gradus/window"))

    assert (said["strategy"], said["samples"]) == ("majority", 4)
    assert "stopped early" in said["notice"]


def test_a_verifier_below_its_quality_is_not_trusted_and_the_reply_says_so(served: Served) -> None:
    said = told(ask(served.product, QUESTION, model="gradus/doubted"))

    assert "doubted reaches AUC 0.55, below 0.90" in said["notice"]
    assert "chosen by majority" in said["notice"]


@pytest.mark.parametrize("strategy", ["majority", "best_of_n"])
def test_whole_answers_of_another_gateways_model_are_searched(served: Served, strategy: str) -> None:
    answer = ask(served.product, QUESTION, model="gradus/remote", strategy=strategy)

    said = told(answer)
    assert answer.choices[0].message.content.endswith("The answer is 7.")
    assert (said["model"], said["strategy"]) == ("remote", strategy)
    (candidates,) = (line for line in said["lines"] if line["purpose"] == "candidate")
    assert candidates["completion_tokens"] > 0
    assert_bill_adds_up(answer)


def test_steps_of_another_gateways_model_are_not_because_it_continues_no_turn(served: Served) -> None:
    with pytest.raises(openai.BadRequestError) as refusal:
        ask(served.product, QUESTION, model="gradus/remote", strategy="beam")

    assert (refusal.value.code, refusal.value.param) == ("unsupported_strategy", "gradus.strategy")
    assert "beam needs an engine that continues turns" in refusal.value.message
