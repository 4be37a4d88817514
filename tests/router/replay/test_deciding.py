"""What decides in replay is what decides online: the same way for the same query, row by row."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from router.errors import Refused
from router.guides import action_name
from router.market import Market
from router.outcome_table import OutcomeTable
from router.policy import plan
from router.replanning import replan
from router.replay.chunks import Chunk, query_of
from router.replay.contenders import Contender, open_contenders
from router.replay.deciding import REFUSED, UNKNOWN, Decided, Replayer
from router.types import Alternative
from tests.router.replay import traffic
from tests.router.tables import table

POLICIES = ["default", "thrifty", "sure", "probing", "early", "strange", "wary", "ruled"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("replay")
    traffic.tabled(folder)
    traffic.predicted(folder)
    return folder


@pytest.fixture(scope="module")
def outcomes() -> OutcomeTable:
    """Others than those fitted, with prompts of any length; a few are longer than the small model reads."""
    found = table(300, seed=7)
    tokens = np.random.default_rng(3).integers(5, 200, len(found)).astype(float)
    tokens[::50] = 600.0
    return replace(found, prompt_tokens=tokens)


def _contender(folder: Path, config: str, policy: str = "default") -> Contender:
    return open_contenders([f"{folder / config}:{policy}"], {})[0]


def _decide(contender: Contender, outcomes: OutcomeTable) -> Decided:
    return Replayer(contender).decide(Chunk(outcomes))


def _names(decided: Decided) -> list[str]:
    return [decided.names[way] for way in decided.way]


def _online(market: Market, policy: str, outcomes: OutcomeTable, row: int) -> tuple[str, int]:
    """The way that a gateway and its worker take, and how many samples were probed."""
    query, tokens = query_of(outcomes.prompts[row]), int(outcomes.prompt_tokens[row])
    evidence = outcomes.evidence[row]
    assert evidence is not None
    try:
        planned = plan(query, policy, market, prompt_tokens=tokens)
    except Refused:
        return REFUSED, 0
    if not planned.probe_samples:
        return _name(planned.branches[0].chosen), 0
    for stage, each in enumerate(planned.stages):
        decision = replan(planned, stage, evidence.first(each.samples))
        if decision is not None:
            return _name(decision.branch.chosen), each.samples
    raise AssertionError("the last stage covers everything")


def _name(chosen: Alternative) -> str:
    return chosen.model if chosen.route == "large" else action_name(chosen.strategy)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("config", ["predicted.yaml", "tabled.yaml"])
def test_every_row_goes_the_way_that_it_goes_online(
    folder: Path, outcomes: OutcomeTable, config: str, policy: str
) -> None:
    contender = _contender(folder, config, policy)
    decided = _decide(contender, outcomes)
    online = [_online(contender.market, policy, outcomes, row) for row in range(len(outcomes))]
    replayed = list(zip(_names(decided), decided.samples.tolist(), strict=True))
    # Replay interpolates expected costs: where two ways are worth the same to a hair, it may take the other.
    differing = [row for row, (one, other) in enumerate(zip(replayed, online, strict=True)) if one != other]
    assert len(differing) <= len(online) // 100


def test_where_the_first_large_model_reads_too_little_the_next_answers_as_it_does_online(
    folder: Path, outcomes: OutcomeTable
) -> None:
    contender = _contender(folder, "tabled.yaml", "several")
    names = _names(_decide(contender, outcomes))
    online = [_online(contender.market, "several", outcomes, row)[0] for row in range(len(outcomes))]
    large = [row for row, name in enumerate(online) if name in ("near", "grand")]
    assert [names[row] for row in large] == [online[row] for row in large]
    assert {online[row] for row in large} == {"near", "grand"}


def test_a_cap_allows_what_it_allows_a_prompt_up_to_a_tenth_longer(
    folder: Path, outcomes: OutcomeTable
) -> None:
    contender = _contender(folder, "predicted.yaml", "capped")
    names = _names(_decide(contender, outcomes))
    exactly, longer = (
        [_online(contender.market, "capped", each, row)[0] for row in range(len(outcomes))]
        for each in (outcomes, replace(outcomes, prompt_tokens=np.ceil(outcomes.prompt_tokens * 1.1)))
    )
    assert all(name in either for name, *either in zip(names, exactly, longer, strict=True))
    assert np.mean(np.array(names) == np.array(exactly)) > 0.9
    assert len(set(names)) > 2


def test_policies_differ_in_what_they_do(folder: Path, outcomes: OutcomeTable) -> None:
    """Or the test above would say little."""
    shares = [
        np.mean(np.array(_names(_decide(_contender(folder, "predicted.yaml", policy), outcomes))) == "grand")
        for policy in ("thrifty", "default", "sure")
    ]
    assert shares[0] < shares[1] < shares[2]
    assert 0 < _decide(_contender(folder, "predicted.yaml"), outcomes).samples.astype(bool).mean() < 1


def test_what_came_of_a_way_is_what_was_recorded_for_it(folder: Path, outcomes: OutcomeTable) -> None:
    decided = _decide(_contender(folder, "predicted.yaml"), outcomes)
    for row, name in enumerate(_names(decided)):
        column = outcomes.column(name)
        assert decided.right[row] == outcomes.right[row, column]
        probe_usd = outcomes.probe_usd[row] / 8 * decided.samples[row]
        alone = outcomes.cost_usd[row, column]
        paid = alone + probe_usd if name == "grand" else max(alone, probe_usd)
        if not decided.samples[row]:
            assert decided.cost_usd[row] == alone
        else:  # each stage reads the prompt again: it is short
            assert paid * 0.999 < decided.cost_usd[row] < paid * 1.05


def test_an_outcome_that_was_not_recorded_is_not_guessed(folder: Path, outcomes: OutcomeTable) -> None:
    right = outcomes.right.copy()
    right[:, outcomes.column("grand")] = np.nan
    decided = _decide(_contender(folder, "predicted.yaml"), replace(outcomes, right=right))
    large = np.array(_names(decided)) == "grand"
    assert 0 < large.sum() < len(large)
    np.testing.assert_array_equal(np.isnan(decided.right), large)
    assert np.isfinite(decided.expected_right).all()


def test_a_refusal_is_known_not_right_and_free(folder: Path, outcomes: OutcomeTable) -> None:
    for policy in ("ruled", "capped"):
        decided = _decide(_contender(folder, "predicted.yaml", policy), outcomes)
        refused = np.array(_names(decided)) == REFUSED
        np.testing.assert_array_equal(decided.refused, refused)
        assert refused.any() or policy == "capped"
        for came in (decided.right, decided.cost_usd, decided.expected_right, decided.expected_usd):
            assert (came[refused] == 0).all()


def test_where_no_probe_was_recorded_nobody_knows_what_it_would_have_led_to(
    folder: Path, outcomes: OutcomeTable
) -> None:
    contender = _contender(folder, "predicted.yaml")
    probed = _decide(contender, outcomes).samples > 0
    decided = _decide(contender, replace(outcomes, evidence=(None,) * len(outcomes)))
    assert probed.any()
    np.testing.assert_array_equal(np.array(_names(decided)) == UNKNOWN, probed)
    assert np.isnan(decided.right[probed]).all()
    assert np.isfinite(decided.right[~probed]).all()


def test_a_probe_that_ended_early_is_enough_where_the_policy_ends_there_too(
    folder: Path, outcomes: OutcomeTable
) -> None:
    contender = _contender(folder, "predicted.yaml", "sure")
    full = _decide(contender, outcomes)
    short = tuple(None if each is None else each.first(4) for each in outcomes.evidence)
    reads_usd = outcomes.prompt_tokens * 0.01e-6  # about what reading the prompt is taken to cost
    half_usd = (outcomes.probe_usd + reads_usd) / 2
    cut = _decide(contender, replace(outcomes, evidence=short, probe_usd=half_usd))
    ends_early = full.samples <= 4
    assert (full.samples == 4).any()
    np.testing.assert_array_equal(cut.way[ends_early], full.way[ends_early])
    np.testing.assert_allclose(cut.cost_usd[ends_early], full.cost_usd[ends_early], rtol=0.01)
    assert {cut.names[way] for way in cut.way[~ends_early]} <= {UNKNOWN}


def test_outcomes_of_another_small_model_are_not_those_of_the_policy(
    folder: Path, outcomes: OutcomeTable
) -> None:
    other = tuple(
        replace(action, model="another") if action.route == "small" else action for action in outcomes.actions
    )
    decided = _decide(_contender(folder, "predicted.yaml"), replace(outcomes, actions=other))
    small = np.array(_names(decided)) != "grand"
    assert small.any()
    assert np.isnan(decided.right[small]).all()
