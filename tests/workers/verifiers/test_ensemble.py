"""An ensemble: the weighted mean, and who consumed what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.config import Config, load_config
from tests.workers.verifiers.conftest import QUESTION, TEXTS, judge
from workers.bootstrap import load_verifiers
from workers.verifiers.ensemble import EnsembleVerifier
from workers.verifiers.majority import MajorityVerifier
from workers.verifiers.scripted import ScriptedVerifier


def scripted(name: str, says: Callable[[str], Sequence[float]], *, steps: bool = True) -> ScriptedVerifier:
    return ScriptedVerifier(says, name=name, scores_steps=steps, reads_history=True)


def constant(score: float) -> ScriptedVerifier:
    return scripted("constant", lambda text: [score])


def test_scores_and_steps_are_weighted_means() -> None:
    first = scripted("first", lambda text: [0.2, 0.6])
    second = scripted("second", lambda text: [0.6, 1.0])
    ensemble = EnsembleVerifier("both", [(first, 3.0), (second, 1.0)])
    scores = judge(ensemble, QUESTION, ["a b c"])
    (one,) = scores.scored
    assert one.step_scores == pytest.approx((0.3, 0.7))
    assert one.score == pytest.approx(0.7)
    assert ensemble.scores_steps
    assert ensemble.reads_history


def test_the_members_say_what_each_consumed() -> None:
    first, second = scripted("first", lambda text: [0.2]), scripted("second", lambda text: [0.6])
    scores = judge(EnsembleVerifier("both", [(first, 1.0), (second, 1.0)]), QUESTION, TEXTS)
    alone = judge(first, QUESTION, TEXTS)
    assert dict(scores.members)["first"] == alone
    assert scores.tokens == 2 * alone.tokens
    assert [name for name, _ in scores.members] == ["first", "second"]


def test_steps_are_left_out_where_members_split_otherwise() -> None:
    first = scripted("first", lambda text: [0.2, 0.4])
    second = scripted("second", lambda text: [0.6])
    (one,) = judge(EnsembleVerifier("both", [(first, 1.0), (second, 1.0)]), QUESTION, ["a"]).scored
    assert one.step_scores == ()
    assert one.score == pytest.approx(0.5)


def test_one_member_that_scores_turns_only_makes_it_so_for_all() -> None:
    first = scripted("first", lambda text: [0.2, 0.4])
    ensemble = EnsembleVerifier("both", [(first, 1.0), (MajorityVerifier("votes"), 1.0)])
    assert not ensemble.scores_steps
    assert not ensemble.reads_history
    (one,) = judge(ensemble, QUESTION, ["The answer is 3."]).scored
    assert one.step_scores == ()
    assert one.score == pytest.approx(0.7)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.001, 1000)), min_size=1, max_size=5))
def test_a_score_stays_between_those_of_its_members(said: list[tuple[float, float]]) -> None:
    members = [(constant(score), weight) for score, weight in said]
    (one,) = judge(EnsembleVerifier("all", members), QUESTION, ["a"]).scored
    scores = [score for score, _ in said]
    assert min(scores) - 1e-9 <= one.score <= min(1.0, max(scores) + 1e-9)


def test_a_configured_ensemble_is_loaded_after_its_members() -> None:
    abacus = load_config("abacus", {})
    ensemble = {"kind": "ensemble", "weights": {"votes": Decimal(1), "abacus-prm": Decimal(3)}}
    values = abacus.model_dump(by_alias=True)
    config = Config.model_validate(
        values | {"verifiers": {"both": ensemble, "votes": {"kind": "majority"}} | values["verifiers"]}
    )
    with ExitStack() as resources:
        loaded = load_verifiers(config, resources)
        texts = ["1 + 2 = 3\nThe answer is 3."]
        prm, votes, both = (judge(loaded[name], QUESTION, texts) for name in ("abacus-prm", "votes", "both"))
        assert both.scored[0].score == pytest.approx(
            0.75 * prm.scored[0].score + 0.25 * votes.scored[0].score
        )
        assert both.tokens == prm.tokens
