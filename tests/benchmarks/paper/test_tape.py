"""What a run on tape sees, and what it is told that this cost."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.paper.deck import Deck
from benchmarks.paper.tape import TapeEngine
from cost_model.usage import Usage
from router.types import StrategySpec, Task
from tests.workers.engines import test_conformance as conformance
from tests.workers.engines.tiny import CONTEXT_TOKENS, TURNS
from workers.answers import answers_for
from workers.engines.scripted import ScriptedEngine
from workers.meter import Meter
from workers.protocols import Cancellation, Engine, Problem, Prompt, SamplingParams
from workers.search import STRATEGIES
from workers.verifiers.scripted import ScriptedVerifier

QUESTION = ({"role": "user", "content": "How much?"},)
STEPS = ("one\n", "two\n", "three\n")


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """For the conformance suite."""
    real = ScriptedEngine(
        lambda prompt, _index, _seed: TURNS.get(prompt.messages[-1]["content"], "").removeprefix(
            prompt.prefix
        ),
        model="tiny",
        context_tokens=CONTEXT_TOKENS,
    )
    return TapeEngine(real, Deck(tmp_path / "tape.jsonl", seed=1))


test_order = conformance.test_a_batch_is_answered_in_order
test_empty = conformance.test_an_empty_batch_generates_nothing
test_once = conformance.test_equal_prompts_are_counted_once
test_prefix = conformance.test_a_prefix_is_part_of_the_prompt
test_goes_on = conformance.test_a_turn_goes_on_after_a_prefix_as_if_never_interrupted
test_length = conformance.test_max_tokens_ends_a_turn_for_its_length
test_own_limit = conformance.test_a_prompt_may_have_a_limit_of_its_own
test_context = conformance.test_the_context_ends_a_turn_for_its_length
test_deadline = conformance.test_a_batch_past_its_deadline_returns_at_once_and_empty
test_cancelled = conformance.test_what_was_cancelled_before_it_began_is_told_to_nobody
test_threads = conformance.test_threads_get_their_own_texts
test_overflow = conformance.test_a_prompt_over_the_context_is_refused_with_both_numbers
test_says = conformance.test_the_engine_says_what_it_runs


def wander(prompt: Prompt, index: int, seed: int) -> str:
    """A rest of a turn that differs with all that an engine may look at: up to three steps, an answer."""
    dice = random.Random(f"{prompt.prefix} {index} {seed}")
    steps = [dice.choice(STEPS) for _ in range(dice.randint(0, 3))]
    return "".join(steps) + f"The answer is {dice.randint(1, 3)}."


@pytest.fixture
def real() -> ScriptedEngine:
    return ScriptedEngine(wander)


def whole(count: int) -> list[Prompt]:
    return [Prompt(QUESTION)] * count


def say(engine: Engine, prompts: list[Prompt], temperature: float = 1.0) -> list[str]:
    return [one.text for one in engine.generate(prompts, SamplingParams(50, temperature)).completions]


def test_a_new_run_is_dealt_what_the_last_one_was_and_asks_for_nothing(
    real: ScriptedEngine, tmp_path: Path
) -> None:
    deck = Deck(tmp_path / "tape.jsonl", seed=1)
    first = TapeEngine(real, deck)
    said = [say(first, whole(8)), say(first, whole(4))]
    asked = len(real.calls)
    second = TapeEngine(real, deck)
    assert [say(second, whole(3)), say(second, whole(9))] == [said[0][:3], said[0][3:] + said[1]]
    assert len(real.calls) == asked


def test_within_a_run_no_draw_comes_twice(real: ScriptedEngine, tmp_path: Path) -> None:
    deck = Deck(tmp_path / "tape.jsonl", seed=1)
    run = TapeEngine(real, deck)
    heard = Counter(say(run, whole(20)) + say(run, whole(20)))
    real.calls.clear()
    assert Counter(say(TapeEngine(real, deck), whole(40))) == heard
    assert not real.calls
    assert len(heard) > 8


def test_steps_and_whole_turns_take_the_same_cards(real: ScriptedEngine, tmp_path: Path) -> None:
    deck = Deck(tmp_path / "tape.jsonl", seed=1)
    turns = say(TapeEngine(real, deck), whole(6))
    real.calls.clear()
    run = TapeEngine(real, deck)
    firsts = run.generate([Prompt(QUESTION, stop_after=("\n",))] * 6, SamplingParams(50)).completions
    assert [one.text for one in firsts] == [turn.partition("\n")[0] + "\n" * ("\n" in turn) for turn in turns]
    assert not real.calls


def test_a_greedy_step_is_drawn_once_for_everybody(real: ScriptedEngine, tmp_path: Path) -> None:
    deck = Deck(tmp_path / "tape.jsonl", seed=1)
    run = TapeEngine(real, deck)
    assert len(set(say(run, whole(3), 0.0) + say(TapeEngine(real, deck), whole(2), 0.0))) == 1
    assert sum(len(prompts) for prompts, _ in real.calls) == 1


def test_another_temperature_or_limit_is_another_stack(real: ScriptedEngine, tmp_path: Path) -> None:
    run = TapeEngine(real, Deck(tmp_path / "tape.jsonl", seed=1))
    for params in (SamplingParams(50, 1.0), SamplingParams(50, 0.5), SamplingParams(40, 1.0)):
        run.generate(whole(1), params)
        assert real.calls[-1][1].temperature == params.temperature
    assert len(real.calls) == 3


def test_a_deck_is_read_back_as_it_was_even_when_its_last_line_was_cut_off(
    real: ScriptedEngine, tmp_path: Path
) -> None:
    file = tmp_path / "tape.jsonl"
    said = say(TapeEngine(real, Deck(file, seed=1)), whole(12))
    with file.open("a") as out:
        out.write('[0,"stop","never fin')
    real.calls.clear()
    assert say(TapeEngine(real, Deck(file, seed=1)), whole(12)) == said
    assert not real.calls


def test_what_is_drawn_later_is_drawn_anew(tmp_path: Path) -> None:
    """The seed of a batch is not that of the one before, nor is it after the deck was read again."""
    seeds = []

    def note(_prompt: Prompt, _index: int, seed: int) -> str:
        seeds.append(seed)
        return "The answer is 1."

    real = ScriptedEngine(note)
    run = TapeEngine(real, Deck(tmp_path / "tape.jsonl", seed=7))
    for _ in range(2):
        say(run, whole(1))
    again = TapeEngine(real, Deck(tmp_path / "tape.jsonl", seed=7))
    say(again, whole(3))
    assert seeds == [7, 8, 9]


SPECS = [
    StrategySpec("majority", 8),
    StrategySpec("best_of_n", 8),
    StrategySpec("best_of_n_weighted", 8),
    StrategySpec("beam", 8, beam_width=4),
    StrategySpec("lookahead", 8, beam_width=2, lookahead_steps=2),
    StrategySpec("dvts", 8, beam_width=4),
]


def bill(engine: Engine, spec: StrategySpec) -> list[Usage]:
    meter = Meter(QUESTION, Cancellation())
    verifier = ScriptedVerifier(lambda text: [len(line) % 7 / 7 for line in text.splitlines()])
    generate = meter.generator(engine, "candidate", SamplingParams(50, seed=0))
    problem = Problem(meter.messages, answers_for(Task("number")))
    STRATEGIES[spec.name](problem, spec, generate, meter.scorer(verifier, Task("number")))
    return [
        Usage(line.purpose, line.model, line.calls, line.prompt_tokens, line.completion_tokens)
        for line in meter.usage
    ]


def same_for_all(choose: Callable[[Prompt], str]) -> ScriptedEngine:
    return ScriptedEngine(lambda prompt, _index, _seed: choose(prompt))


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_a_search_is_billed_as_without_the_tape(spec: StrategySpec, tmp_path: Path) -> None:
    """By a model that says one thing at each place, so that both hear the same."""
    real = same_for_all(lambda prompt: wander(prompt, 0, 0))
    deck = Deck(tmp_path / "tape.jsonl", seed=1)
    plain = bill(real, spec)
    assert bill(TapeEngine(real, deck), spec) == plain
    calls = len(real.calls)
    assert bill(TapeEngine(real, deck), spec) == plain
    assert len(real.calls) == calls


def test_what_a_tape_cannot_play_is_refused(engine: Engine) -> None:
    with pytest.raises(ValueError, match="separator"):
        engine.generate(whole(1), SamplingParams(5, stop=("x",)))
    with pytest.raises(ValueError, match="separator"):
        engine.generate([Prompt(QUESTION, stop_after=("; ",))], SamplingParams(5))
