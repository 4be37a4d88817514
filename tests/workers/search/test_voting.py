"""Parallel searches that stop before their budget is used up."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import cos, radians, sin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.types import Stopping, StoppingRule, StrategyName, StrategySpec, Task
from tests.workers.jobs import MESSAGES
from tests.workers.search.players import ANSWERS, Judge, Player, candidate, problem
from workers.answers import Answers, answers_for
from workers.answers.grouping import GroupedAnswers
from workers.answers.short import extract_answer
from workers.protocols import Candidate, Completion, Problem, SearchResult
from workers.search import STRATEGIES
from workers.search.selection import select_best_of_n, select_best_of_n_weighted, select_majority

SELECT = {
    "majority": select_majority,
    "best_of_n": select_best_of_n,
    "best_of_n_weighted": select_best_of_n_weighted,
}


def run(
    spec: StrategySpec,
    answers: Sequence[str],
    scores: Sequence[float] = (1.0,),
    probes: Sequence[Candidate] = (),
    kind: Answers = ANSWERS,
) -> tuple[SearchResult, Player, Judge]:
    """Sample i has the i-th answer ("-": none) and the i-th score."""
    turns = [
        f"{at}: I do not know" if one == "-" else f"{at}: The answer is {one}."
        for at, one in enumerate(answers, start=len(probes))
    ]
    worth = {turn: scores[at % len(scores)] for at, turn in enumerate(turns)}
    player, judge = Player(turns), Judge(lambda text: worth[text])
    posed = problem(*probes, answers=kind)
    return STRATEGIES[spec.name](posed, spec, player.generate, judge.score), player, judge


def spec(
    name: StrategyName,
    samples: int,
    rule: StoppingRule = "leader",
    window: int | None = None,
    confidence: float = 0.95,
) -> StrategySpec:
    return StrategySpec(name, samples, stopping=Stopping(rule, confidence, window))


def test_a_vote_stops_when_the_leader_can_no_longer_lose() -> None:
    """Of 9: after 5 votes to 0 four are still to come, and 5 > 0 + 4."""
    result, player, judge = run(spec("majority", 9), "777778888")
    assert len(player.completions) == 5
    assert result.best.answer == "7"
    assert result.stopped == (
        "the leader can no longer lose: it has 5 votes, the runner-up 0, and 4 of 9 were still to come"
    )
    assert judge.seen == []


def test_a_vote_that_stays_open_uses_its_budget() -> None:
    result, player, _ = run(spec("majority", 6), "787878")
    assert len(player.completions) == 6
    assert result.stopped is None


def test_turns_without_an_answer_agree_with_nothing_but_use_the_budget() -> None:
    result, player, _ = run(spec("majority", 7), "---77--")
    assert len(player.completions) == 7
    assert result.best.answer == "7"


def test_agreement_is_by_class_of_answers_not_by_string() -> None:
    _, player, _ = run(spec("majority", 5), ["0.5", "1/2", "$0.50", "3", "3"])
    assert len(player.completions) == 3


def test_where_answers_support_each_other_in_part_all_the_rest_counts_against_the_leader() -> None:
    """Tool calls are voted on by argument. After 4 votes to 1 and 1 of 8, 4 > 1 + 2, but not > 1 + 1 + 2."""
    tools = answers_for(Task("tools", tools=({"function": {"name": "weather"}},)))
    cities = ["Rome", "Rome", "Oslo", "Bern", "Rome", "Rome", "Rome", "Rome"]
    calls = [json.dumps({"name": "weather", "arguments": {"city": city, "unit": "C"}}) for city in cities]
    player = Player(calls)
    result = STRATEGIES["majority"](
        Problem(MESSAGES, tools), spec("majority", 8), player.generate, Judge(lambda _: 0.0).score
    )
    assert len(player.completions) == 7
    assert result.best.text == calls[0]


def test_probes_may_decide_a_vote_before_anything_is_generated() -> None:
    probes = [candidate("7", 0.9)] * 4
    result, player, _ = run(spec("majority", 6), "8", probes=probes)
    assert player.asked == []
    assert result.candidates == tuple(probes)
    assert result.stopped is not None


def test_by_weight_samples_are_judged_only_when_their_scores_could_decide_it() -> None:
    """Of 6, after 4 that agree: 4 x 1 could beat 2 x 1, so they are judged: 4 x 0.6 = 2.4 > 0 + 2."""
    result, player, judge = run(spec("best_of_n_weighted", 6), "777788", [0.6])
    assert len(player.completions) == 4
    assert [len(batch) for batch in judge.texts] == [4]
    assert result.stopped == (
        "the leader can no longer lose: its scores sum to 2.40, the runner-up's to 0.00, and 2 of 6 were "
        "still to come"
    )


def test_by_weight_a_leader_that_is_little_believed_can_still_lose() -> None:
    """4 x 0.4 = 1.6 < 2: go on; after the fifth 2.0 > 1 + 0 holds."""
    result, player, judge = run(spec("best_of_n_weighted", 6), "777778", [0.4])
    assert len(player.completions) == 5
    assert [len(batch) for batch in judge.texts] == [4, 1]
    assert result.confidence == 1.0


def test_best_of_n_is_not_stopped_by_a_leader_for_later_votes_break_its_ties() -> None:
    """ "1" and "2" both score 1, and "2" twice."""
    for rule in ("none", "leader"):
        result, player, judge = run(spec("best_of_n", 4, rule, window=2), "1922", [1.0, 0.0, 1.0, 1.0])
        assert (result.best.answer, result.stopped, len(player.completions)) == ("2", None, 4)
        assert [len(batch) for batch in judge.texts] == [4]


def test_where_a_later_answer_may_regroup_the_others_no_leader_is_safe() -> None:
    result, player, _ = run(spec("majority", 5), "77777", kind=answers_for(Task("number")))
    assert (len(player.completions), result.stopped) == (5, None)


def test_answers_are_compared_again_only_when_another_comes() -> None:
    asked: list[tuple[str, ...]] = []

    def keys(answers: Sequence[str]) -> dict[str, str]:
        asked.append(tuple(answers))
        return {answer: answer for answer in answers}

    run(spec("majority", 64, "beta"), "12" * 32, kind=GroupedAnswers(extract_answer, keys))
    assert set(asked) <= {("1",), ("1", "2")}
    assert len(asked) <= 4


def test_the_beta_rule_stops_at_its_confidence() -> None:
    """4 votes to 0 stay ahead with 31/32; at 0.99 it takes 6 (127/128)."""
    result, player, _ = run(spec("majority", 40, "beta"), "7")
    assert len(player.completions) == 4
    assert result.stopped == (
        "the leader stays ahead with probability 0.969, by 4 votes to 0, and 36 of 40 were still to come"
    )
    assert len(run(spec("majority", 40, "beta", confidence=0.99), "7")[1].completions) == 6


def test_the_beta_rule_counts_votes_and_lets_weights_object() -> None:
    """ "7" has the votes, "8" the score: the weighted search goes on until "7" leads by weight, too."""
    _, player, judge = run(spec("best_of_n_weighted", 12, "beta"), "877777777777", [0.9] + [0.11] * 11)
    by_votes, by_weight = 7, 10  # 6 to 1 is 247/256; 9 x 0.11 = 0.99 > 0.9
    assert len(player.completions) == by_weight
    assert [len(batch) for batch in judge.texts] == [by_votes, 1, 1, 1]


def test_windows_are_launched_one_after_another_and_a_whole_one_that_agrees_ends_the_search() -> None:
    """ESC with w = 3: 7 7 8 disagrees, 7 7 7 agrees."""
    result, player, _ = run(spec("majority", 30, "window", window=3), "778777888")
    assert [len(batch) for batch in player.asked] == [3, 3]
    assert result.stopped == "all 3 samples of a window agree, and 24 of 30 were still to come"


def test_a_window_that_agrees_on_what_would_lose_ends_nothing() -> None:
    _, player, _ = run(
        spec("best_of_n_weighted", 6, "window", window=2), "787799", [1.0, 0.1, 1.0, 1.0, 0.1, 0.1]
    )
    assert [len(batch) for batch in player.asked] == [2, 2]
    _, player, _ = run(
        spec("best_of_n_weighted", 6, "window", window=2), "787899", [1.0, 0.1, 1.0, 0.1, 0.1, 0.1]
    )
    assert [len(batch) for batch in player.asked] == [2, 2, 2]


def test_the_first_window_is_what_the_probe_lacks_of_one() -> None:
    _, player, _ = run(spec("majority", 11, "window", window=4), "12345678", probes=[candidate("7", 0.9)] * 2)
    assert [len(batch) for batch in player.asked] == [2, 4, 3]


def test_without_a_rule_the_whole_budget_is_used() -> None:
    result, player, _ = run(spec("majority", 9, "none"), "7")
    assert (len(player.completions), result.stopped) == (9, None)


def test_what_ran_on_after_the_rule_held_is_a_candidate_if_it_came_to_its_end() -> None:
    """An engine may end several turns at once: nothing that was paid for is lost."""
    player = Player(["The answer is 7."])

    def generate(prompts, *, temperature=None, enough=None):  # type: ignore[no-untyped-def]
        done = [player.reply(prompt) for prompt in prompts]
        over = [enough(one) for one in done]
        return tuple(
            one if at <= over.index(True) + 1 else Completion("The", "cancelled", 1)
            for at, one in enumerate(done)
        )

    result = STRATEGIES["majority"](problem(), spec("majority", 9), generate, Judge(lambda _: 1.0).score)
    assert len(result.candidates) == 6


def _near(texts: Sequence[str]) -> list[list[float]]:
    """Neighbours are 25 degrees apart: they mean the same, and those after them do not."""
    angles = {"a": 0.0, "bb": 25.0, "ccc": 50.0, "-": 90.0}
    return [[cos(radians(angles[text])), sin(radians(angles[text]))] for text in texts]


KINDS = {
    "auto": (Task(), None, ["1", "2", "3", "-"]),
    "number": (Task("number"), None, ["1", "1.0000009", "1.0000018", "2", "-"]),
    "text": (Task("text"), _near, ["a", "bb", "ccc"]),
}


@given(data=st.data(), window=st.none() | st.integers(2, 5), probed=st.integers(0, 5))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", list(SELECT))
def test_stopping_by_the_leader_never_changes_the_answer(
    name: StrategyName, kind: str, data: st.DataObject, window: int | None, probed: int
) -> None:
    task, embed, choice = KINDS[kind]
    compared = answers_for(task, embed)
    score = st.sampled_from([0.0, 0.25, 0.5, 1.0])
    drawn = data.draw(st.lists(st.tuples(st.sampled_from(choice), score), min_size=1, max_size=14))
    answers, scores = zip(*drawn, strict=True)
    patient, _, _ = run(spec(name, len(drawn), "none"), answers, scores, kind=compared)
    probes = patient.candidates[:probed]
    hasty, player, judge = run(
        spec(name, len(drawn), window=window),
        answers[len(probes) :] or "-",
        scores[len(probes) :] or (0.0,),
        probes,
        compared,
    )
    assert len(player.completions) <= max(0, len(drawn) - len(probes))
    assert sum(map(len, judge.texts)) <= len(player.completions)
    if hasty.stopped is not None:
        assert hasty.best.answer == SELECT[name](patient.candidates, compared).best.answer
