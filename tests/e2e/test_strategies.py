"""Every strategy by its name, from a request and from the command line, on the embedded models."""

from __future__ import annotations

import re
import subprocess
import sys
from decimal import Decimal
from typing import Any, get_args

import openai
import pytest

from router.types import StrategyName
from tests.e2e.asking import ask, assert_bill_adds_up, told, worst_case_usd
from tests.e2e.product import Product

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

QUESTION = "Calculate 3 + 4."
NOTHING_JUDGED = ("direct", "majority")


@pytest.mark.parametrize("name", get_args(StrategyName))
def test_a_request_gets_the_strategy_that_it_names_within_its_worst_case(product: Product, name: str) -> None:
    search = {"strategy": name} if name == "direct" else {"strategy": name, "budget": 4}

    answer = ask(product, QUESTION, **search)

    said = told(answer)
    assert answer.choices[0].message.content.strip()
    assert (said["strategy"], said["route"], said["bin"]) == (name, "small", None)
    assert said["samples"] >= 1
    assert bool(said["tokens"]["verifier"]) == (name not in NOTHING_JUDGED)
    assert_bill_adds_up(answer)
    assert Decimal(said["cost_usd"]) <= worst_case_usd(product, QUESTION, **search)


@pytest.mark.parametrize(
    "search",
    [
        {"strategy": "majority", "budget": 8, "stopping": {"rule": "window", "window": 2}, "task": "number"},
        {"strategy": "beam", "budget": 16, "beam_width": "sqrt"},
        {"strategy": "lookahead", "budget": 4, "beam_width": 2, "lookahead_steps": 2},
        {"strategy": "revisions", "budget": 6, "chain_length": 3},
        {"strategy": "backtrack", "budget": 4, "max_drop": 0.05},
    ],
    ids=lambda search: search["strategy"],
)
def test_what_a_request_says_of_its_search_is_done(product: Product, search: dict[str, Any]) -> None:
    answer = ask(product, QUESTION, **search)

    assert told(answer)["strategy"] == search["strategy"]
    assert_bill_adds_up(answer)
    assert Decimal(told(answer)["cost_usd"]) <= worst_case_usd(product, QUESTION, **search)


def test_an_unknown_strategy_is_refused_by_the_name_of_its_field(product: Product) -> None:
    with pytest.raises(openai.BadRequestError) as refusal:
        ask(product, QUESTION, strategy="nonsense")

    assert (refusal.value.param, refusal.value.code) == ("gradus.strategy", "invalid_value")
    assert "'best_of_n_weighted'" in refusal.value.message


def test_the_command_line_asks_for_a_strategy(product: Product) -> None:
    done = _gradus(product, "ask", "--strategy", "beam", "--budget", "4", QUESTION)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2] == "The answer is 7."
    assert re.fullmatch(r"small \(abacus-small\) · beam x.* tokens · .* s", done.stdout.splitlines()[-1])


def test_the_command_line_names_a_strategy_that_is_none_in_one_line(product: Product) -> None:
    done = _gradus(product, "ask", "--strategy", "nonsense", QUESTION)

    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert "gradus.strategy" in done.stderr


def _gradus(product: Product, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "gateway", *arguments, "--url", product.url],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
