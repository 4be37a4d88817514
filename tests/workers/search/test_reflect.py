from __future__ import annotations

import pytest

from router.types import StrategySpec
from tests.workers.jobs import MESSAGES
from tests.workers.search.players import Judge, Player, probes, problem
from tests.workers.search.traces import trace
from workers.errors import NoAnswer
from workers.protocols import Prompt
from workers.search.reflect import reflect
from workers.search.wording import CRITIQUE, REWRITE


def conversation(prompt: Prompt) -> list[str]:
    return [str(message["content"]) for message in prompt.messages[len(MESSAGES) :]]


def play(prompt: Prompt, _index: int, _seed: int) -> str:
    """A draft says how many drafts came before it; a critique says so of its draft."""
    said = conversation(prompt)
    if not said:
        return "0"
    if said[-1] == CRITIQUE:
        return f"wrong {said[0]}"
    return str(int(said[0]) + 1)


def test_each_draft_is_criticised_and_written_again_in_two_generations() -> None:
    spec = StrategySpec("reflect", samples=3, chain_length=3)
    seen = trace(spec, play, lambda text: int(text) / 10)
    assert [[conversation(prompt) for prompt in batch] for batch in seen.prompts] == [
        [[]],
        [["0", CRITIQUE]],
        [["0", CRITIQUE, "wrong 0", REWRITE]],
        [["1", CRITIQUE]],
        [["1", CRITIQUE, "wrong 1", REWRITE]],
    ]
    assert [one.text for one in seen.result.candidates] == ["0", "1", "2"]
    assert seen.result.best.text == "2"
    assert seen.judged == [("0",), ("1",), ("2",)]  # a critique is not judged
    critique, rewrite = len(CRITIQUE.split()) + 1, len(REWRITE.split()) + 1
    review = 6 + 2 + critique
    prompts = 6 + 2 * review + 2 * (review + 3 + rewrite)
    assert seen.bill["candidate"] == (5, prompts, 2 + 2 * (3 + 2))


def test_chains_stand_side_by_side() -> None:
    seen = trace(StrategySpec("reflect", samples=8, chain_length=2), play, lambda _: 0.5)
    assert [len(batch) for batch in seen.batches] == [4, 4, 4]
    assert len(seen.result.candidates) == 8


def test_probes_are_the_first_drafts() -> None:
    judge = Judge(lambda _: 0.5)
    initial = probes(judge, "4")
    seen = trace(StrategySpec("reflect", samples=4, chain_length=2), play, lambda _: 0.5, probes=initial)
    assert [[conversation(prompt) for prompt in batch] for batch in seen.prompts][:2] == [
        [["4", CRITIQUE]],
        [["4", CRITIQUE, "wrong 4", REWRITE], []],
    ]
    assert sorted(one.text for one in seen.result.candidates) == ["0", "1", "4", "5"]
    assert seen.bill["candidate"][0] == (4 - 1) + 2  # three drafts, two critiques


def test_a_critique_that_time_broke_off_ends_its_chain() -> None:
    spec = StrategySpec("reflect", samples=4, chain_length=4)
    player = Player(["0"], batches=1)
    result = reflect(problem(), spec, player.generate, Judge(lambda _: 0.5).score)
    assert [one.text for one in result.candidates] == ["0"]
    assert len(player.asked) == 2
    with pytest.raises(NoAnswer):
        reflect(problem(), spec, Player(["0"], batches=0).generate, Judge(lambda _: 0.5).score)
