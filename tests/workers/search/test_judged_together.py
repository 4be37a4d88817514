"""Verifiers that compare the turns of a batch: what one is chosen from is scored in one batch, at the end."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from router.types import Stopping, StoppingRule, StrategyName, StrategySpec, Task
from tests.workers.jobs import RIGHT, WRONG, alternative, job, play, probing_plan
from tests.workers.search.players import Player, problem
from workers.engines.scripted import ScriptedEngine
from workers.protocols import Candidate, Prompt, Scored, SearchResult
from workers.search import STRATEGIES
from workers.verifiers.ensemble import EnsembleVerifier
from workers.verifiers.majority import MajorityVerifier
from workers.verifiers.scripted import ScriptedVerifier

TURNS = ["1: The answer is 5.", "2: The answer is 5.", "3: The answer is 5.", "4: The answer is 6."]
ODD = "z: The answer is 99."


def play_turns(
    spec: StrategySpec, turns: Sequence[str], probes: Sequence[Candidate] = ()
) -> tuple[SearchResult, list[int]]:
    """The result, and how many turns each batch of the verifier had."""
    batches: list[int] = []
    verifier = MajorityVerifier("votes")

    def score(judged: Sequence[Prompt]) -> tuple[Scored, ...]:
        batches.append(len(judged))
        return verifier.score(judged, Task()).scored

    posed = problem(*probes, judged_together=True)
    return STRATEGIES[spec.name](posed, spec, Player(turns).generate, score), batches


@pytest.mark.parametrize("window", [None, 2, 4])
@pytest.mark.parametrize("rule", ["none", "leader", "beta"])
@pytest.mark.parametrize("name", ["best_of_n", "best_of_n_weighted"])
def test_a_lonely_answer_does_not_win_for_it_was_alone_in_its_batch(
    name: StrategyName, rule: StoppingRule, window: int | None
) -> None:
    result, batches = play_turns(StrategySpec(name, 5, stopping=Stopping(rule, window=window)), [*TURNS, ODD])
    assert (result.best.answer, batches) == ("5", [5])
    assert [one.score for one in result.candidates] == pytest.approx([0.6, 0.6, 0.6, 0.2, 0.2])


@pytest.mark.parametrize("name", ["best_of_n", "best_of_n_weighted", "revisions", "reflect"])
def test_the_turns_of_the_probe_are_judged_again_with_the_others(name: StrategyName) -> None:
    probes = [Candidate(text, "stop", text[-2], (), 0.75) for text in TURNS]
    result, batches = play_turns(StrategySpec(name, 5, chain_length=1), [ODD], probes)
    assert (result.best.answer, batches) == ("5", [5])
    assert sorted(one.score for one in result.candidates) == pytest.approx([0.2, 0.2, 0.6, 0.6, 0.6])


@pytest.mark.parametrize("name", ["best_of_n", "best_of_n_weighted", "revisions", "reflect"])
def test_what_was_judged_together_and_has_no_company_stays_as_it_is(name: StrategyName) -> None:
    probes = [Candidate(text, "stop", text[-2], (), 0.75) for text in TURNS]
    result, batches = play_turns(StrategySpec(name, 4), [ODD], probes)
    assert batches == []
    assert {one.score for one in result.candidates} == {0.75}


def test_attempts_of_a_chain_are_compared_when_all_are_there() -> None:
    result, batches = play_turns(StrategySpec("revisions", 4, chain_length=2), TURNS)
    assert batches == [4]
    assert sorted(one.score for one in result.candidates) == [0.25, 0.75, 0.75, 0.75]


def test_a_job_has_its_probe_judged_again_by_a_verifier_that_compares() -> None:
    verifier = ScriptedVerifier(lambda _: [0.5], name="judge", scores_steps=False, compares_turns=True)
    plan = probing_plan(alternative(StrategySpec("best_of_n", 6)), probe_samples=4)
    outcome, _ = play(job(plan), ScriptedEngine([RIGHT, WRONG]), verifier)
    assert outcome.status == "answered"
    assert [len(batch) for batch in verifier.calls] == [4, 6]


def test_an_ensemble_compares_where_a_member_does() -> None:
    alone, comparing = ScriptedVerifier(lambda _: [0.5]), MajorityVerifier("votes")
    assert not EnsembleVerifier("both", [(alone, 1.0), (alone, 1.0)]).compares_turns
    assert EnsembleVerifier("both", [(alone, 1.0), (comparing, 1.0)]).compares_turns
