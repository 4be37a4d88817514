from __future__ import annotations

import time

import pytest

from router.types import Bin, Sampling, Stopping, StrategyName, StrategySpec
from router.wire import Event
from tests.workers.jobs import (
    MESSAGES,
    RIGHT,
    WRONG,
    alternative,
    direct_plan,
    job,
    judge,
    model,
    plan_of,
    play,
    probing_plan,
    purposes,
)
from workers.engines.scripted import ScriptedEngine
from workers.executor import run
from workers.protocols import Cancellation, Prompt
from workers.search import STRATEGIES

WEIGHTED = StrategySpec("best_of_n_weighted", samples=4)


def test_a_probe_that_is_large_enough_is_the_whole_search() -> None:
    engine = ScriptedEngine([RIGHT, WRONG, RIGHT, WRONG], model="tiny")
    outcome, events = play(job(probing_plan(alternative(WEIGHTED))), engine)
    assert (outcome.status, outcome.text, outcome.finish_reason, outcome.samples) == (
        "answered",
        RIGHT,
        "stop",
        4,
    )
    assert outcome.confidence == pytest.approx(1.8 / 2.2)
    assert outcome.decision is not None
    assert outcome.decision.difficulty is not None
    assert outcome.decision.difficulty.bin is Bin.MEDIUM
    assert outcome.decision.difficulty.p_right == pytest.approx(0.55)
    assert len(engine.calls) == 1
    assert purposes(outcome) == ["probe", "verifier"]
    assert set(outcome.stages_s) == {"probe", "search"}
    assert events == [Event("progress", "job-1", {"stage": "probe", "done": 4, "total": 4})]
    assert outcome.notice is None


def test_a_search_beyond_the_probe_is_counted_as_candidates() -> None:
    engine = ScriptedEngine([RIGHT, WRONG], model="tiny")
    plan = probing_plan(alternative(StrategySpec("best_of_n_weighted", samples=7, stopping=Stopping("none"))))
    outcome, events = play(job(plan), engine)
    assert outcome.samples == 7
    assert [len(prompts) for prompts, _ in engine.calls] == [4, 3]
    assert {line.purpose: line.calls for line in outcome.usage} == {"probe": 4, "verifier": 2, "candidate": 3}
    assert [event.data for event in events] == [
        {"stage": "probe", "done": 4, "total": 4},
        {"stage": "search", "done": 3, "total": 7},
    ]


def test_the_bin_of_the_probe_decides_which_branch_is_followed() -> None:
    by_bin = {each: alternative(StrategySpec("majority", samples=4)) for each in Bin}
    by_bin[Bin.VERY_HARD] = alternative(StrategySpec("direct"), route="large", model="huge")
    easy, _ = play(job(probing_plan(by_bin)), ScriptedEngine([RIGHT]))
    hard, _ = play(job(probing_plan(by_bin)), ScriptedEngine([WRONG]), judge(lambda _: 0.1))
    assert easy.status == "answered"
    assert (hard.status, hard.text, hard.samples, purposes(hard)) == (
        "escalate",
        "",
        4,
        ["probe", "verifier"],
    )
    assert hard.decision is not None
    assert hard.decision.branch.chosen.model == "huge"


def test_a_plan_by_name_answers_directly_without_a_verifier() -> None:
    outcome, events = play(job(direct_plan()), ScriptedEngine([RIGHT]))
    assert (outcome.status, outcome.text, outcome.samples, outcome.confidence) == ("answered", RIGHT, 1, None)
    assert purposes(outcome) == ["direct"]
    assert outcome.decision is not None
    assert outcome.decision.difficulty is None
    assert events == []


def test_tokens_of_an_escalated_job_count_as_escalation() -> None:
    outcome, _ = play(job(direct_plan(), escalated=True), ScriptedEngine([RIGHT]))
    assert purposes(outcome) == ["escalation"]


def test_a_direct_answer_streams_exactly_its_text() -> None:
    outcome, events = play(job(direct_plan(), stream=True), ScriptedEngine([RIGHT]))
    assert len(events) > 1
    assert "".join(event.data["text"] for event in events) == outcome.text


def test_settings_of_the_request_reach_the_engine() -> None:
    engine = ScriptedEngine([RIGHT])
    sampling = Sampling(max_tokens=9, temperature=0.3, top_p=0.5, stop=("X",), seed=3)
    play(job(direct_plan(), sampling=sampling), engine)
    ((prompts, params),) = engine.calls
    assert prompts == (Prompt(MESSAGES),)
    assert (params.max_tokens, params.temperature, params.top_p, params.stop, params.seed) == (
        9,
        0.3,
        0.5,
        ("X",),
        3,
    )


def test_settings_that_the_request_leaves_open_are_the_models() -> None:
    engine = ScriptedEngine([RIGHT])
    play(job(direct_plan()), engine, temperature=0.7)
    assert (engine.calls[0][1].max_tokens, engine.calls[0][1].temperature) == (64, 0.7)


@pytest.mark.parametrize(
    ("plan", "expected", "notice"),
    [
        (direct_plan(), 0.0, None),
        (
            probing_plan(alternative(WEIGHTED)),
            0.8,
            "temperature 0 holds for direct answers only; the search sampled at 0.8",
        ),
    ],
)
def test_temperature_0_is_greedy_directly_but_leaves_a_search_its_variety_and_says_so(
    plan: object, expected: float, notice: str | None
) -> None:
    engine = ScriptedEngine([RIGHT])
    outcome, _ = play(job(plan, sampling=Sampling(temperature=0.0)), engine)  # type: ignore[arg-type]
    assert engine.calls[0][1].temperature == expected
    assert outcome.notice == notice


def test_an_answer_that_max_tokens_cut_off_says_so() -> None:
    outcome, _ = play(job(direct_plan(), sampling=Sampling(max_tokens=3)), ScriptedEngine([RIGHT]))
    assert (outcome.text, outcome.finish_reason) == ("3 + 4", "length")


def test_the_token_cap_ends_a_search_and_the_answer_says_so() -> None:
    plan = probing_plan(alternative(StrategySpec("majority", samples=8), token_cap=6))
    outcome, _ = play(job(plan), ScriptedEngine([RIGHT]))
    candidates = [line for line in outcome.usage if line.purpose == "candidate"]
    assert (outcome.status, outcome.samples) == ("answered", 4)
    assert sum(line.completion_tokens for line in candidates) <= 6
    assert outcome.notice is not None
    assert "token cap" in outcome.notice


def test_the_deadline_before_the_search_answers_with_the_best_of_the_probe() -> None:
    deadline = Cancellation(time.monotonic() + 60)

    def slow(_text: str) -> float:
        deadline.deadline_monotonic_s = time.monotonic()
        return 0.5

    engine = ScriptedEngine([RIGHT])
    plan = probing_plan(alternative(StrategySpec("majority", samples=8)))
    outcome, _ = play(job(plan), engine, judge(slow), cancellation=deadline)
    assert (outcome.status, outcome.text, outcome.samples) == ("answered", RIGHT, 4)
    assert outcome.notice == "the deadline ended the search: the answer is the best of 4 by then"


@pytest.mark.parametrize("name", list(STRATEGIES))
def test_every_search_answers_from_a_plan(name: StrategyName) -> None:
    """The right turn comes second, so that the search has to choose it; a direct answer is the first."""
    engine = ScriptedEngine([WRONG, RIGHT])
    spec = StrategySpec(name, samples=8, chain_length=2)
    outcome, _ = play(job(probing_plan(alternative(spec))), engine)
    assert (outcome.status, outcome.text) == ("answered", WRONG if name == "direct" else RIGHT)
    assert outcome.samples >= (1 if name == "direct" else 4)


def test_a_search_that_stopped_on_a_guess_says_so() -> None:
    spec = StrategySpec("majority", 12, stopping=Stopping("window", window=4))
    outcome, _ = play(job(probing_plan(alternative(spec))), ScriptedEngine([RIGHT]))
    assert outcome.notice == (
        "the search stopped early: all 4 samples of a window agree, and 8 of 12 were still to come"
    )


def test_one_that_stopped_because_nothing_could_change_has_nothing_to_say() -> None:
    outcome, _ = play(job(probing_plan(alternative(StrategySpec("majority", 6)))), ScriptedEngine([RIGHT]))
    assert (outcome.samples, outcome.notice) == (4, None)


def test_a_vote_needs_no_verifier() -> None:
    only = alternative(StrategySpec("majority", 3))
    outcome, _ = play(job(plan_of(only)), ScriptedEngine([RIGHT]))
    assert (outcome.status, outcome.text, purposes(outcome)) == ("answered", RIGHT, ["candidate"])


def test_revisions_are_asked_for_in_the_words_of_the_model_s_configuration() -> None:
    engine = ScriptedEngine([WRONG, RIGHT])
    only = alternative(StrategySpec("revisions", 2, chain_length=2))
    plan = plan_of(only, verifier="judge")
    asked = model(engine, revise_prompt="Correct it.")
    run(job(plan), {"tiny": asked}, {"judge": judge()}, lambda _: None, Cancellation())
    assert [prompt.messages[-1]["content"] for prompts, _ in engine.calls for prompt in prompts] == [
        MESSAGES[-1]["content"],
        "Correct it.",
    ]
