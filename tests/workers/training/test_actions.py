"""Every way to answer a question, on the shipped doubles: what is drawn, who is right, what it costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.config import Config
from router.market import open_market
from router.types import StrategyName, StrategySpec, Task
from workers.engines.scripted import ScriptedEngine
from workers.errors import EngineFailed
from workers.executor import Model
from workers.protocols import Prompt, SamplingParams, Verifier
from workers.steps import LINES
from workers.training.actions import Action, Large, Team, outcomes_of
from workers.training.drawing import Draw
from workers.training.questions import Question
from workers.training.samples import Sampling
from workers.verifiers.majority import MajorityVerifier
from workers.verifiers.scripted import ScriptedVerifier

QUESTION = Question("q", "Calculate 3 + 4.", "7")
RIGHT, WRONG = "3 + 4 = 7\nThe answer is 7.", "3 + 4 = 8\nThe answer is 8."
PRICES = {
    "small": {"usd_per_million_prompt_tokens": 1, "usd_per_million_completion_tokens": 3},
    "large": {"usd_per_million_prompt_tokens": 100, "usd_per_million_completion_tokens": 700},
    "judge": {"usd_per_million_tokens": 5},
}
PARAMS = SamplingParams(100, 0.8)


def config(**prices: Any) -> Config:
    priced = {**PRICES, **prices}
    local = {"path": "x", "context_tokens": 4096, "parameters": 1000}
    model = {"engine": "transformers", "max_tokens": 100, **local}
    return Config.model_validate(
        {
            "models": {name: {**model, "price": priced[name]} for name in ("small", "large")},
            "verifiers": {"judge": {"kind": "prm", **local, "price": priced["judge"]}},
            "policies": {"default": {"small": "small", "verifier": "judge", "usd_per_right_answer": 1}},
        }
    )


def judge(**more: Any) -> ScriptedVerifier:
    def steps(text: str) -> Sequence[float]:
        return [0.9 if "7" in line else 0.2 for line in text.splitlines()]

    return ScriptedVerifier(steps, name="judge", **more)


def search(name: StrategyName, samples: int, **more: Any) -> Action:
    return Action(f"{name}@{samples}", StrategySpec(name, samples, **more))


def team(
    engine: ScriptedEngine,
    *searches: Action,
    samples: int = 4,
    probes: int = 4,
    verifier: Verifier | None = None,
    large: str | None = None,
    **prices: Any,
) -> Team:
    configured = config(**prices)
    small = configured.models["small"]
    sampling = Sampling(Model(engine, small), verifier or judge(), Task(), None, samples, probes)  # type: ignore[arg-type]
    answering = ScriptedEngine([large or ""], model="large")
    asked = Large("large", LINES, lambda prompt: answering.generate([prompt], PARAMS))
    return Team(open_market(configured), sampling, searches, asked if large else None)


def scripted(script: Callable[[Prompt, int, int], str] | Sequence[str] = (WRONG, RIGHT)) -> ScriptedEngine:
    return ScriptedEngine(script, model="small")


def play(of: Team, seed: str = "1:0") -> dict[str, dict[str, Any]]:
    """The rows by action."""
    draw = Draw(of.sampling.small.engine, PARAMS, seed)
    return {row["action"]: row for row in outcomes_of(of, QUESTION, draw)["actions"]}


def test_small_is_right_as_often_as_its_samples_are() -> None:
    row = play(team(scripted([RIGHT, WRONG, WRONG]), samples=6, probes=3))["small"]
    assert (row["right"], row["runs"], row["samples"], row["strategy"]) == (1 / 3, 6, 1, "direct")
    assert row["score"] == pytest.approx((0.9 + 0.2 + 0.2) / 3)
    assert row["agreement"] == pytest.approx(2 / 3)
    assert [one["right"] for one in row["probe"]["samples"]] == [True, False, False]
    assert row["probe"]["samples"][0]["step_scores"] == [0.9, 0.9]
    assert [one["answer"] for one in row["probe"]["samples"]] == ["7", "8", "8"]


def test_one_answer_of_the_small_model_reads_its_prompt_and_is_not_judged() -> None:
    engine = scripted([RIGHT])
    row = play(team(engine))["small"]
    asked = engine.count_tokens(Prompt(({"role": "user", "content": QUESTION.question},)))
    assert (row["prompt_tokens"], row["verifier_tokens"]) == (asked, 0)
    written = row["completion_tokens"]
    assert Decimal(row["cost_usd"]) == (asked + 3 * Decimal(written)) / 1_000_000


@pytest.mark.parametrize("name", ["majority", "best_of_n", "best_of_n_weighted", "revisions"])
def test_a_budget_within_the_probe_draws_nothing_more(name: StrategyName) -> None:
    engine = scripted()
    row = play(team(engine, search(name, 2, chain_length=1), samples=6))[f"{name}@2"]
    assert len(engine.calls) == 1
    assert (row["candidates"], row["usage"][0]["purpose"], row["usage"][0]["calls"]) == (2, "probe", 2)
    assert Decimal(row["after_probe_usd"]) == 0
    assert row["right"] == (1.0 if name != "majority" else row["right"])


def test_a_larger_budget_begins_with_the_probe_and_pays_for_the_rest() -> None:
    engine = scripted(lambda _prompt, index, seed: f"{index} of {seed}\nThe answer is {6 + index}.")
    rows = play(team(engine, search("best_of_n_weighted", 6), samples=5))
    assert [len(prompts) for prompts, _ in engine.calls] == [5, 2]
    row = rows["best_of_n_weighted@6"]
    lines = {line["purpose"]: line for line in row["usage"]}
    assert (lines["probe"]["calls"], lines["candidate"]["calls"], lines["verifier"]["calls"]) == (4, 2, 4 + 2)
    probe = rows["small"]["probe"]
    assert Decimal(row["cost_usd"]) == Decimal(probe["cost_usd"]) + Decimal(row["after_probe_usd"])
    assert row["seconds"] > probe["seconds"]


def test_what_a_search_draws_is_not_what_was_drawn_before() -> None:
    engine = scripted()
    play(team(engine, search("majority", 6), search("best_of_n", 6), samples=5))
    assert len({params.seed for _, params in engine.calls}) == 3
    again = scripted()
    play(team(again, search("best_of_n", 6), samples=5))
    assert again.calls[1] == engine.calls[2]


def test_a_vote_pays_no_verifier() -> None:
    row = play(team(scripted(), search("majority", 4)))["majority@4"]
    assert (row["verifier_tokens"], row["score"]) == (0, None)
    assert row["agreement"] == row["confidence"] == 0.5


def test_a_policy_that_does_not_probe_starts_every_search_anew() -> None:
    engine = scripted()
    rows = play(team(engine, search("best_of_n", 3), samples=2, probes=0))
    assert [len(prompts) for prompts, _ in engine.calls] == [2, 3]
    assert rows["small"]["probe"] is None
    assert rows["small"]["after_probe_usd"] == rows["small"]["cost_usd"]
    assert rows["best_of_n@3"]["after_probe_usd"] == rows["best_of_n@3"]["cost_usd"]


def test_the_large_model_is_asked_once_and_not_judged() -> None:
    row = play(team(scripted(), large=RIGHT))["large"]
    assert (row["model"], row["right"], row["runs"]) == ("large", 1.0, 1)
    assert (row["text"], row["score"], row["verifier_tokens"]) == (RIGHT, None, 0)
    usd = (100 * row["prompt_tokens"] + 700 * row["completion_tokens"]) / Decimal(1_000_000)
    assert Decimal(row["cost_usd"]) == Decimal(row["after_probe_usd"]) == usd


def test_scores_that_compare_are_those_of_each_search() -> None:
    verifier = MajorityVerifier("judge")
    rows = play(
        team(
            scripted([RIGHT, RIGHT, WRONG, WRONG, WRONG]),
            search("best_of_n", 2),
            search("best_of_n", 5),
            samples=5,
            probes=4,
            verifier=verifier,
        )
    )
    assert (rows["best_of_n@2"]["score"], rows["best_of_n@2"]["right"]) == (1.0, 1.0)
    assert rows["best_of_n@5"]["candidates"] == 5


def test_an_unknown_price_leaves_the_cost_unknown() -> None:
    rows = play(team(scripted(), search("majority", 4), search("best_of_n", 4), judge=None))
    assert rows["best_of_n@4"]["cost_usd"] is None
    assert rows["small"]["probe"]["cost_usd"] is None
    assert rows["majority@4"]["cost_usd"] is not None
    assert rows["best_of_n@4"]["verifier_tokens"] > 0


def test_turns_without_an_answer_are_wrong_and_agree_with_nothing() -> None:
    row = play(team(scripted([""]), search("majority", 4)))["majority@4"]
    assert (row["right"], row["agreement"], row["candidates"]) == (0.0, 0.0, 4)


def test_a_failing_engine_ends_the_question() -> None:
    engine = scripted()
    engine.fail_with = "out of memory"
    with pytest.raises(EngineFailed):
        play(team(engine))


NAMES: list[StrategyName] = ["majority", "best_of_n", "best_of_n_weighted", "beam", "revisions", "reflect"]


@settings(max_examples=40)
@given(
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True),
    st.sampled_from([2, 4, 8]),
    st.integers(0, 6),
    st.randoms(use_true_random=False),
    st.decimals(0, 10, places=3),
)
def test_a_cost_is_the_sum_of_its_lines_and_the_lines_are_all_that_was_drawn(
    names: list[StrategyName], budget: int, probes: int, rng: Any, usd: Decimal
) -> None:
    def talk(prompt: Prompt, _index: int, _seed: int) -> str:
        lines = [" ".join(["so"] * rng.randint(1, 9)) for _ in range(rng.randint(0, 4))]
        return "\n".join([*lines, f"The answer is {rng.randint(6, 8)}."])

    engine = _Counting(talk)
    searches = [search(name, budget, beam_width=2, chain_length=2) for name in names]
    small = {"usd_per_million_prompt_tokens": usd, "usd_per_million_completion_tokens": 3}
    playing = team(engine, *searches, samples=6, probes=probes, large=RIGHT, small=small)
    draw = Draw(engine, PARAMS, "1:0")
    rows = outcomes_of(playing, QUESTION, draw)["actions"]
    for row in rows:
        usage = row["usage"]
        assert Decimal(row["cost_usd"]) * row["runs"] == pytest.approx(
            sum(Decimal(line["cost_usd"]) for line in usage), rel=Decimal("1e-20")
        )
        if row["runs"] == 1:
            assert Decimal(row["cost_usd"]) == sum(Decimal(line["cost_usd"]) for line in usage)
            assert 0 <= Decimal(row["after_probe_usd"]) <= Decimal(row["cost_usd"])
        judging = [line for line in usage if line["purpose"] == "verifier"]
        assert row["verifier_tokens"] == sum(
            line["prompt_tokens"] + line["completion_tokens"] for line in judging
        )
        written = sum(line["completion_tokens"] for line in usage) - sum(
            line["completion_tokens"] for line in judging
        )
        assert row["completion_tokens"] * row["runs"] == pytest.approx(written)
    drawn = [line for row in rows[:-1] for line in row["usage"] if line["purpose"] in ("direct", "candidate")]
    assert sum(line["completion_tokens"] for line in drawn) == engine.completion_tokens
    assert draw.completion_tokens == engine.completion_tokens


class _Counting(ScriptedEngine):
    def __init__(self, script: Callable[[Prompt, int, int], str]) -> None:
        super().__init__(script, model="small")
        self.completion_tokens = 0

    def generate(self, *args: Any, **how: Any) -> Any:
        done = super().generate(*args, **how)
        self.completion_tokens += done.completion_tokens
        return done
