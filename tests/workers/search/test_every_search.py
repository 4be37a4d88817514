"""What holds for every search, whatever the model says and the verifier thinks."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_model.estimate import Size, Tokens
from cost_model.searches import Search, workload
from router.strategy import BY_STEPS
from router.types import Stopping, StoppingRule, StrategyName, StrategySpec, Task
from tests.workers.jobs import MESSAGES
from tests.workers.search.players import Judge, Player, problem
from workers.engines.scripted import ScriptedEngine
from workers.errors import EngineFailed, JobCancelled, NoAnswer
from workers.meter import Meter
from workers.protocols import (
    Cancellation,
    Candidate,
    Completion,
    Enough,
    Prompt,
    SamplingParams,
    Scored,
    SearchResult,
)
from workers.search import STRATEGIES, UNJUDGED
from workers.steps import LINES, Steps, Thinking
from workers.verifiers.scripted import ScriptedVerifier

NAMES = list(STRATEGIES)
SAID = ["1 + 1 = 2", "so", "The answer is 1.", "The answer is 2."]


ONE_EACH = Size(prompt=1, prompt_at_most=1, completion=1, completion_at_most=1, context=1)
"""A price list by which a worst case counts prompts, not their tokens."""


def worst_case(spec: StrategySpec, p: int, *, thinks_first: bool, judged_together: bool) -> Tokens:
    """What the router prices as the worst case: how many prompts are read, how many turns are judged."""
    priced = Search(
        spec.samples,
        p,
        spec.beam_width,
        spec.max_rounds,
        spec.lookahead_steps,
        spec.chain_length,
        spec.stopping.window,
        thinks_first,
        judged_together,
    )
    worst = workload(spec.name, priced, ONE_EACH).worst
    assert worst is not None
    return worst


def most_batches(spec: StrategySpec, p: int, *, thinks_first: bool) -> int:
    """The last column of the table of :mod:`workers.search`."""
    m, r, fresh = spec.beam_width, spec.max_rounds, max(0, spec.samples - p)
    windows = 1 if spec.stopping.window is None else -(-fresh // spec.stopping.window) + 1
    if spec.name in BY_STEPS:
        own = {"lookahead": r * (spec.lookahead_steps + 1) + 1, "backtrack": m * r + 1}.get(spec.name, r + 1)
        return own + (0 if not thinks_first else m * r + 4 if spec.name == "backtrack" else 4)
    length = spec.chain_length
    return {"direct": 1, "revisions": length, "reflect": 2 * length}.get(spec.name, windows)


class Chance:
    """A model and a verifier that say anything: turns of up to 5 lines, some cut off, scores at random."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.batches: list[tuple[Prompt, ...]] = []
        self.judged: list[tuple[Prompt, ...]] = []

    def generate(
        self, prompts: Sequence[Prompt], *, temperature: float | None = None, enough: Enough | None = None
    ) -> tuple[Completion, ...]:
        self.batches.append(tuple(prompts))
        done: list[Completion] = []
        for prompt in prompts:
            if done and enough is not None and done[-1].ended != "cancelled" and enough(done[-1]):
                break
            done.append(self._completion(prompt))
        return (*done, *[Completion("", "cancelled", 0)] * (len(prompts) - len(done)))

    def _completion(self, prompt: Prompt) -> Completion:
        if not prompt.stop_after and prompt.prefix:  # the rest of a turn
            return Completion(self.random.choice(SAID), self.random.choice(["stop", "length"]), 3)
        if prompt.stop_after == ("</think>",):
            return Completion("so</think>", self.random.choice(["step", "step", "step", "length"]), 3)
        line = self.random.choice([*SAID, "", "<think>"] if prompt.stop_after else SAID)
        if prompt.stop_after and prompt.prefix.count("\n") < 4 and self.random.random() < 0.7:
            return Completion(line + "\n", "step", 3)
        return Completion(line, self.random.choice(["stop", "stop", "stop", "length"]), 3)

    def score(self, turns: Sequence[Prompt]) -> tuple[Scored, ...]:
        self.judged.append(tuple(turns))
        scores = [self.random.choice([0.0, 0.2, 0.5, 0.9, 1.0]) for _ in turns]
        return tuple(Scored((score,), score) for score in scores)


@st.composite
def specs(draw: st.DrawFn, name: StrategyName) -> StrategySpec:
    rules: list[StoppingRule] = ["none", "leader", "beta", "window"]
    rule = draw(st.sampled_from(rules))
    window = draw(st.integers(2, 5) if rule == "window" else st.none() | st.integers(2, 5))
    return StrategySpec(
        name,
        samples=draw(st.integers(1, 12)),
        beam_width=draw(st.integers(1, 5)),
        max_rounds=draw(st.integers(1, 6)),
        lookahead_steps=draw(st.integers(1, 3)),
        chain_length=draw(st.integers(1, 12)),
        max_drop=0.1,
        stopping=Stopping(rule, draw(st.sampled_from([0.5, 0.9])), window),
    )


FALLS = [(0.4, 0.4), (0.9, 0.1), (0.1, 0.9), (0.5,)]
"""Scores of a probe's two steps; the last are of a verifier that sees other steps."""


def some_probes(count: int) -> tuple[Candidate, ...]:
    return tuple(
        Candidate(f"so {at}\nThe answer is {at % 3}.", "stop", str(at % 3), FALLS[at % 4], FALLS[at % 4][-1])
        for at in range(count)
    )


@pytest.mark.parametrize("steps", [LINES, Steps(thinking=Thinking())])
@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60)
@given(data=st.data(), seed=st.integers(0, 10**6), p=st.integers(0, 9), together=st.booleans())
def test_a_search_costs_no_more_than_its_line_of_the_table_says(
    name: StrategyName, steps: Steps, data: st.DataObject, seed: int, p: int, together: bool
) -> None:
    spec, chance = data.draw(specs(name)), Chance(seed)
    posed = problem(*some_probes(p), steps=steps, judged_together=together and name not in BY_STEPS)
    result = STRATEGIES[name](posed, spec, chance.generate, chance.score)
    thinks_first = steps is not LINES
    worst = worst_case(spec, p, thinks_first=thinks_first, judged_together=posed.judged_together)
    assert sum(len({repr(prompt) for prompt in batch}) for batch in chance.batches) <= worst.prompt
    assert sum(map(len, chance.judged)) <= worst.judged
    assert len(chance.batches) <= most_batches(spec, p, thinks_first=thinks_first)
    check(result, some_probes(p) if name != "direct" else ())


def check(result: SearchResult, initial: Sequence[Candidate]) -> None:
    """The winner is a candidate of the best kind there is; what was paid for is a candidate."""
    assert result.best in result.candidates
    assert {probe.text for probe in initial} <= {one.text for one in result.candidates}
    finished = [one for one in result.candidates if one.finish_reason == "stop"]
    assert result.best.finish_reason == "stop" or not finished
    assert result.best.answer is not None or not any(one.answer for one in finished)
    assert result.confidence is None or 0 <= result.confidence <= 1


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40)
@given(data=st.data(), seed=st.integers(0, 10**6), p=st.integers(0, 3), batches=st.integers(0, 5))
def test_out_of_time_a_search_ends_with_the_best_so_far_and_asks_no_more(
    name: StrategyName, data: st.DataObject, seed: int, p: int, batches: int
) -> None:
    spec, chance = data.draw(specs(name)), Chance(seed)
    refused = 0

    def generate(prompts, **how):  # type: ignore[no-untyped-def]
        nonlocal refused
        if len(chance.batches) < batches:
            return chance.generate(prompts, **how)
        refused += 1
        return (Completion("", "cancelled", 0),) * len(prompts)

    try:
        result = STRATEGIES[name](problem(*some_probes(p)), spec, generate, chance.score)
    except NoAnswer:
        assert not p
    else:
        check(result, some_probes(p) if name != "direct" else ())
    assert refused <= spec.lookahead_steps + 2


@pytest.mark.parametrize("name", sorted(BY_STEPS))
def test_a_turn_of_more_steps_than_rounds_is_brought_to_its_end(name: StrategyName) -> None:
    long = "".join(f"line {at}\n" for at in range(59)) + "The answer is 5."
    player, judge = Player([long]), Judge(lambda _: 0.5)
    spec = StrategySpec(name, 8, max_rounds=6)
    result = STRATEGIES[name](problem(), spec, player.generate, judge.score)
    assert result.best.text == long
    assert all(not prompt.stop_after for prompt in player.asked[-1])
    assert judge.texts[-1] == (long,)


@pytest.mark.parametrize("name", ["beam", "lookahead", "dvts"])
@given(firsts=st.permutations(["a\n", "b\n", "c\n", "d\n"]))
def test_the_order_of_equal_steps_does_not_decide(name: StrategyName, firsts: list[str]) -> None:
    def generate(prompts: Sequence[Prompt], **_how: object) -> tuple[Completion, ...]:
        said = iter(firsts)
        return tuple(
            Completion(f"The answer is {ord(prompt.prefix[0])}.", "stop", 3)
            if prompt.prefix
            else Completion(next(said), "step", 2)
            for prompt in prompts
        )

    spec = StrategySpec(name, 4, beam_width=4)
    result = STRATEGIES[name](problem(), spec, generate, Judge(lambda _: 0.5).score)
    assert result.best.answer == str(ord("d"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("while_doing", ["generate", "score"])
@pytest.mark.parametrize("at_call", [1, 2, 3])
def test_a_client_that_leaves_stops_the_spending_at_once(
    name: StrategyName, while_doing: str, at_call: int
) -> None:
    cancellation = Cancellation()

    def leave(calls: int, doing: str) -> None:
        if doing == while_doing and calls == at_call:
            cancellation.cancel()

    def say(prompt: Prompt, index: int, _seed: int) -> str:
        leave(len(engine.calls), "generate")
        return f"so\nThe answer is {index}." if not prompt.prefix else f"The answer is {index}."

    def judge(text: str) -> list[float]:
        leave(len(verifier.calls), "score")
        return [0.5 for _ in text.splitlines()]

    engine, verifier = ScriptedEngine(say), ScriptedVerifier(judge)
    meter = Meter(MESSAGES, cancellation)
    generate = meter.generator(engine, "candidate", SamplingParams(64))
    score = meter.scorer(verifier, Task())
    spec = StrategySpec(name, 6, chain_length=3, stopping=Stopping("none", window=2))
    counts = []
    try:
        STRATEGIES[name](problem(), spec, generate, score)
    except JobCancelled:
        counts = [len(engine.calls), len(verifier.calls)]
    if cancellation.cancelled and counts:
        assert counts[0 if while_doing == "generate" else 1] == at_call
        assert engine.calls == engine.calls[: counts[0]]
    else:  # it had all it needed, or was not as far
        assert not cancellation.cancelled or while_doing == "score"


@pytest.mark.parametrize("name", NAMES)
def test_an_engine_that_fails_leaves_the_answer_to_what_is_complete(name: StrategyName) -> None:
    engine = ScriptedEngine(["so\nThe answer is 1."])
    engine.fail_with = "out of memory"
    meter = Meter(MESSAGES, Cancellation())
    generate = meter.generator(engine, "candidate", SamplingParams(64))
    score = meter.scorer(ScriptedVerifier(lambda text: [0.5]), Task())
    spec = StrategySpec(name, 6)
    initial = some_probes(2)
    assert STRATEGIES[name](problem(*initial), spec, generate, score).best in initial
    with pytest.raises(NoAnswer):
        STRATEGIES[name](problem(), spec, generate, score)
    assert isinstance(meter.failure, EngineFailed)
    assert len(engine.calls) <= 1
    assert meter.usage == ()


@pytest.mark.parametrize("name", sorted(UNJUDGED))
def test_some_searches_need_no_verifier(name: StrategyName) -> None:
    def score(_turns: Sequence[Prompt]) -> tuple[Scored, ...]:
        raise AssertionError("nobody is to be asked")

    player = Player(["The answer is 1."])
    assert STRATEGIES[name](problem(), StrategySpec(name, 3), player.generate, score).best.answer == "1"


def test_every_strategy_is_there() -> None:
    assert set(STRATEGIES) == set(StrategyName.__args__)  # type: ignore[attr-defined]
    assert set(STRATEGIES) > BY_STEPS
