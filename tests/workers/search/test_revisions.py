from __future__ import annotations

from dataclasses import replace

import pytest

from router.config import REVISE
from router.types import StrategySpec
from tests.workers.jobs import MESSAGES
from tests.workers.search.players import Judge, Player, candidate, probes, problem
from tests.workers.search.traces import trace
from workers.errors import NoAnswer
from workers.protocols import Completion, Prompt
from workers.search.revisions import revision_conversation, revisions
from workers.steps import Steps, Thinking


def attempts_shown(prompt: Prompt) -> list[str]:
    """What the assistant said before, each followed by the request to correct it."""
    earlier = prompt.messages[len(MESSAGES) :]
    assert [message["role"] for message in earlier] == ["assistant", "user"] * (len(earlier) // 2)
    assert all(message["content"] == REVISE for message in earlier[1::2])
    return [str(message["content"]) for message in earlier[::2]]


def counting(prompt: Prompt, index: int, _seed: int) -> str:
    """Says how many attempts it was shown, and in which place of its batch it is."""
    return f"{len(attempts_shown(prompt))}{index}"


def test_chains_run_side_by_side_and_each_attempt_is_shown_those_before_it() -> None:
    spec = StrategySpec("revisions", samples=6, chain_length=3)
    seen = trace(spec, counting, lambda text: 0.5)
    assert [[attempts_shown(prompt) for prompt in batch] for batch in seen.prompts] == [
        [[], []],
        [["00"], ["01"]],
        [["00", "10"], ["01", "11"]],
    ]
    assert [one.text for one in seen.result.candidates] == ["00", "10", "20", "01", "11", "21"]
    # An attempt in the conversation is 1 + 1 tokens, a request so many; an attempt generated is 2.
    request = len(REVISE.split()) + 1
    prompts = 6 + 2 * (6 + 2 + request) + 2 * (6 + 2 * (2 + request))
    assert seen.bill["candidate"] == (6, prompts, 12)
    assert seen.bill["verifier"] == (6, 6, 0)


@pytest.mark.parametrize(
    ("samples", "length", "rounds"),
    [(4, 1, [4]), (4, 4, [1, 1, 1, 1]), (4, 8, [1, 1, 1, 1]), (7, 3, [3, 3, 1]), (16, 4, [4, 4, 4, 4])],
)
def test_every_ratio_of_sequential_to_parallel_makes_n_attempts(
    samples: int, length: int, rounds: list[int]
) -> None:
    seen = trace(StrategySpec("revisions", samples=samples, chain_length=length), counting, lambda _: 0.5)
    assert [len(batch) for batch in seen.batches] == rounds


def test_only_the_last_four_attempts_stay_in_the_conversation_of_a_long_chain() -> None:
    """Snell et al. 2024, Algorithm 5: trained on at most 4, a chain goes on for 64."""
    said = iter(range(64))
    seen = trace(
        StrategySpec("revisions", samples=64, chain_length=64), lambda *_: str(next(said)), lambda _: 0.5
    )
    assert len(seen.batches) == 64
    assert attempts_shown(seen.prompts[-1][0]) == ["59", "60", "61", "62"]


def test_probes_are_the_first_attempts_of_the_chains() -> None:
    judge = Judge(lambda text: 0.5)
    initial = probes(judge, "1", "2", "3")
    spec = StrategySpec("revisions", samples=8, chain_length=4)
    seen = trace(spec, counting, lambda _: 0.5, probes=initial)
    assert [[attempts_shown(prompt) for prompt in batch] for batch in seen.prompts][:2] == [
        [["1", "3"], ["2"]],
        [["1", "3", "20"], ["2", "11"]],
    ]
    assert len(seen.result.candidates) == 8
    assert set(initial) <= set(seen.result.candidates)
    assert seen.bill["candidate"][0] == 8 - 3


def test_n_probes_are_the_whole_search() -> None:
    judge = Judge(lambda text: int(text) / 10)
    player = Player([])
    result = revisions(
        problem(*probes(judge, "1", "9", "1")),
        StrategySpec("revisions", 3, chain_length=3),
        player.generate,
        judge.score,
    )
    assert player.asked == []
    assert result.best.text == "9"


def test_each_attempt_is_judged_after_the_attempts_before() -> None:
    judge = Judge(lambda text: 0.5)
    player = Player(["1"])
    revisions(problem(), StrategySpec("revisions", 2, chain_length=2), player.generate, judge.score)
    assert [attempts_shown(turn) for batch in judge.seen for turn in batch] == [[], ["1"]]


def test_the_winner_is_chosen_within_each_chain_then_across_them() -> None:
    """Two chains: "1" wins the first by 0.4 + 0.4, "2" the second by 0.9; then 0.9 beats 0.4."""
    worth = {"1": 0.4, "5": 0.5, "2": 0.9, "3": 0.2}
    said = iter(["1", "2", "5", "3", "1", "3"])
    seen = trace(
        StrategySpec("revisions", samples=6, chain_length=3), lambda *_: next(said), lambda text: worth[text]
    )
    assert [one.text for one in seen.result.candidates] == ["1", "5", "1", "2", "3", "3"]
    assert seen.result.best.answer == "2"


def test_an_attempt_that_was_cut_off_is_not_shown_and_shortens_the_conversation() -> None:
    asked: list[list[str]] = []
    said = iter(
        [
            Completion(text, ended, 1)
            for text, ended in [("1", "stop"), ("2", "stop"), ("", "length"), ("3", "stop")]
        ]
    )

    def generate(prompts, **_how):  # type: ignore[no-untyped-def]
        asked.extend(attempts_shown(prompt) for prompt in prompts)
        return tuple(next(said) for _ in prompts)

    earlier = [candidate(str(number), 0.5) for number in range(4)]
    result = revisions(
        problem(*earlier), StrategySpec("revisions", 8, chain_length=8), generate, Judge(lambda _: 0.5).score
    )
    assert [len(shown) for shown in asked] == [4, 4, 4, 3]
    assert asked[-1] == ["The answer is 3.", "1", "2"]
    assert [one.text for one in result.candidates][4:] == ["1", "2", "3"]


def test_thinking_is_left_out_of_the_conversation() -> None:
    steps = Steps(thinking=Thinking())
    seen = trace(
        StrategySpec("revisions", samples=2, chain_length=2),
        lambda *_: "<think>hm</think>\nThe answer is 1.",
        lambda _: 0.5,
        steps=steps,
    )
    assert attempts_shown(seen.prompts[1][0]) == ["The answer is 1."]
    assert seen.answers == ["1", "1"]


def test_a_chain_that_time_broke_off_keeps_its_attempts() -> None:
    player = Player(["1"], batches=2)
    spec = StrategySpec("revisions", samples=8, chain_length=4)
    result = revisions(problem(), spec, player.generate, Judge(lambda _: 0.5).score)
    assert len(result.candidates) == 4
    assert len(player.asked) == 3
    with pytest.raises(NoAnswer):
        revisions(problem(), spec, Player(["1"], batches=0).generate, Judge(lambda _: 0.5).score)


def test_a_model_that_was_trained_with_other_words_is_asked_with_them() -> None:
    player = Player(["1"])
    asked = replace(problem(), revise="Again.")
    revisions(
        asked, StrategySpec("revisions", 2, chain_length=2), player.generate, Judge(lambda _: 0.5).score
    )
    assert player.asked[1][0].messages == revision_conversation(MESSAGES, ["1"], "Again.")
    assert player.asked[1][0].messages[-1] == {"role": "user", "content": "Again."}


def test_training_builds_the_conversation_of_serving_from_texts() -> None:
    shown = revision_conversation(MESSAGES, [str(number) for number in range(6)], REVISE)
    assert attempts_shown(Prompt(shown)) == ["2", "3", "4", "5"]
    assert revision_conversation(MESSAGES, [], REVISE) is MESSAGES
