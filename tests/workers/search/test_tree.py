"""Turns that grow step by step: where they stop, what is judged, what a model thinks first."""

from __future__ import annotations

from router.types import StrategySpec
from tests.workers.search.players import Judge, Player, probes, problem
from tests.workers.search.traces import trace
from workers.search.parallel import best_of_n
from workers.search.tree import ROOT, Path, Tree, best, shares
from workers.steps import Steps, Thinking

THOUGHT = "<think>\nHm.\nWell.\n</think>\n\n1 + 1 = 2\nThe answer is 2."
UNJUDGED_THINKING = Steps(thinking=Thinking())


def tree(player: Player, judge: Judge, steps: Steps) -> Tree:
    return Tree(problem(steps=steps), player.generate, judge.score)


def test_thinking_that_does_not_count_is_one_step_with_the_first_after_it() -> None:
    player = Player([THOUGHT])
    (path,) = tree(player, Judge(lambda _: 0.5), UNJUDGED_THINKING).extend([ROOT])
    assert path is not None
    assert path.text == "<think>\nHm.\nWell.\n</think>\n\n1 + 1 = 2\n"
    assert len(player.asked) == 5  # its mark, its end, two blank lines, the step


def test_a_thinking_model_that_does_not_think_is_asked_once_a_step() -> None:
    player = Player(["1 + 1 = 2\nThe answer is 2."])
    (path,) = tree(player, Judge(lambda _: 0.5), UNJUDGED_THINKING).extend([ROOT])
    assert path is not None
    assert path.text == "1 + 1 = 2\n"
    assert len(player.asked) == 1


def test_thinking_whose_steps_count_is_judged_step_by_step() -> None:
    steps = Steps(thinking=Thinking(steps="inside"))
    judge = Judge(lambda _: 0.5)
    tree(Player([THOUGHT]), judge, steps).grow([ROOT])
    assert judge.texts == [("<think>\n",)]


def test_a_search_of_a_thinking_model_judges_and_answers_without_the_thinking() -> None:
    def say(prompt: object, _index: int, _seed: int) -> str:
        return THOUGHT.removeprefix(getattr(prompt, "prefix", ""))

    spec = StrategySpec("beam", samples=2, beam_width=2)
    seen = trace(spec, say, lambda text: 0.5, steps=UNJUDGED_THINKING)
    assert seen.judged == [("1 + 1 = 2\n",), ("1 + 1 = 2\nThe answer is 2.",)]
    assert seen.answers == ["2", "2"]


def test_unfinished_thinking_never_wins() -> None:
    judge = Judge(lambda text: 0.9 if "think" in text else 0.1)
    player = Player(["<think>\nThe answer is 1.", "The answer is 2."])
    spec = StrategySpec("best_of_n", 2)
    result = best_of_n(problem(steps=UNJUDGED_THINKING), spec, player.generate, judge.score)
    assert result.best.answer == "2"
    assert [one.answer for one in result.candidates] == [None, "2"]


def test_turns_that_were_judged_before_are_not_judged_again() -> None:
    judge = Judge(lambda _: 0.5)
    (probe,) = probes(judge, "The answer is 1.")
    judge.seen.clear()
    grove = Tree(problem(probe), Player(["The answer is 1.", "a\n"]).generate, judge.score)
    grove.grow([ROOT, ROOT, ROOT])
    grove.grow([ROOT])
    assert judge.texts == [("a\n",)]


def test_the_best_are_those_that_differ() -> None:
    judge = Judge(float)
    paths = [Path(text, "step", judge.judgement(text)) for text in ("0.2", "0.9", "0.9")]
    assert [one.text for one in best(paths, 2)] == ["0.9", "0.2"]


def test_shares_add_up_and_differ_by_one_at_most() -> None:
    assert shares(7, 3) == [3, 2, 2]
    assert shares(2, 3) == [1, 1, 0]
