from __future__ import annotations

import time
from dataclasses import replace
from threading import Event

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_model.usage import Usage
from router.types import StrategyName, StrategySpec, Task
from tests.workers.jobs import MESSAGES, RIGHT, WRONG, judge
from workers.answers import answers_for
from workers.engines.scripted import ScriptedEngine
from workers.errors import JobCancelled, NoAnswer
from workers.meter import Meter
from workers.protocols import Cancellation, Completion, Problem, Prompt, SamplingParams, Scored
from workers.search import STRATEGIES
from workers.search.sampling import sample
from workers.verifiers.scripted import ScriptedVerifier

PARAMS = SamplingParams(max_tokens=64)


def meter(cancellation: Cancellation | None = None) -> Meter:
    return Meter(MESSAGES, cancellation or Cancellation())


def turns(*prefixes: str) -> list[Prompt]:
    return [Prompt(MESSAGES, prefix) for prefix in prefixes]


def steps(*prefixes: str) -> list[Prompt]:
    return [Prompt(MESSAGES, prefix, stop_after=("\n",)) for prefix in prefixes]


def ended(completions: tuple[Completion, ...]) -> list[str]:
    return [completion.ended for completion in completions]


class Witness(ScriptedEngine):
    """A scripted engine that counts for itself what it reads and says."""

    prompt_tokens = completion_tokens = sequences = 0

    def generate(self, prompts, params, **how):  # type: ignore[no-untyped-def]
        done = super().generate(prompts, params, **how)
        self.prompt_tokens += done.prompt_tokens
        self.completion_tokens += done.completion_tokens
        self.sequences += len(prompts)
        return done


def test_usage_is_a_line_a_purpose_and_model_and_a_shared_prompt_counts_once() -> None:
    engine, counts = ScriptedEngine([RIGHT], model="tiny"), meter()
    prompt = engine.count_tokens(Prompt(MESSAGES))
    generate = counts.generator(engine, "probe", PARAMS)
    generate(turns("", "", ""))
    generate(turns(""))
    counts.scorer(judge(), Task())(turns(RIGHT, WRONG))
    said = 4 * engine.generate([Prompt(MESSAGES)], PARAMS).completion_tokens
    probe, verifier = counts.usage
    assert (probe.purpose, probe.model, probe.calls) == ("probe", "tiny", 4)
    assert (probe.prompt_tokens, probe.completion_tokens) == (2 * prompt, said)
    read = len((RIGHT + " " + WRONG).split())
    assert verifier == Usage("verifier", "judge", 2, read, seconds=verifier.seconds)


def test_a_verifier_that_hangs_is_left_alone_at_the_deadline() -> None:
    over = Event()

    def hang(_text: str) -> list[float]:
        over.wait(30)
        return [1.0]

    counts = meter(Cancellation(time.monotonic() + 0.2))
    score = counts.scorer(ScriptedVerifier(hang, name="judge"), Task())
    try:
        assert score([Prompt(MESSAGES, RIGHT)]) == (Scored((), 0.0),)
    finally:
        over.set()
    assert "judge had not come to its end" in str(counts.failure)
    assert counts.usage == ()


def test_costs_stay_unknown_until_somebody_prices_them() -> None:
    counts = meter()
    counts.generator(ScriptedEngine([RIGHT]), "direct", PARAMS)(turns(""))
    assert [(line.cost_usd, line.flops) for line in counts.usage] == [(None, None)]


def test_a_step_ends_at_a_newline_and_a_turn_at_its_end() -> None:
    generate = meter().generator(ScriptedEngine([RIGHT]), "candidate", PARAMS)
    (step,) = generate(steps(""))
    (rest,) = generate(steps(step.text))
    assert (step.text, step.ended) == ("3 + 4 = 7\n", "step")
    assert (rest.text, rest.ended) == ("The answer is 7.", "stop")


def test_a_turn_never_becomes_longer_than_max_tokens_its_prefix_included() -> None:
    engine = ScriptedEngine(["a b c d\n e f g h\n i j"])
    generate = meter().generator(engine, "candidate", SamplingParams(max_tokens=7))
    (first,) = generate(steps(""))
    (second,) = generate(steps(first.text))
    assert (first.completion_tokens, second.completion_tokens, second.ended) == (5, 2, "length")
    assert generate(steps(first.text + second.text)) == (Completion("", "length", 0),)


def test_turns_without_room_keep_their_place_beside_those_that_grow() -> None:
    engine = ScriptedEngine(lambda prompt, _index, _seed: "x")
    generate = meter().generator(engine, "candidate", SamplingParams(max_tokens=4))
    assert [one.text for one in generate(turns("a b c d", "a", "a b c d"))] == ["", "x", ""]


def test_a_turn_that_is_almost_full_takes_no_room_from_the_others_of_its_batch() -> None:
    long, short = "a " * 37 + "a", "b " * 11 + "b"
    engine = ScriptedEngine(lambda prompt, _index, _seed: " x" * (5 if "b" in prompt.prefix else 50))
    counts = meter()
    generate = counts.generator(engine, "candidate", SamplingParams(max_tokens=40), token_cap=1000)
    full, *healthy = generate(turns(long, short, short))
    assert (full.completion_tokens, full.ended) == (2, "length")
    assert [(one.text, one.ended) for one in healthy] == [(" x" * 5, "stop")] * 2
    assert len(engine.calls) == 1
    assert counts.usage[0].prompt_tokens == sum(
        engine.count_tokens(Prompt(MESSAGES, prefix)) for prefix in (long, short)
    )
    assert not counts.token_cap_reached


def test_the_cap_breaks_off_a_turn_only_before_its_own_end() -> None:
    engine = ScriptedEngine(lambda *_: " x" * 50)
    generate = meter().generator(engine, "candidate", SamplingParams(max_tokens=8), token_cap=6)
    assert ended(generate(turns("a a a a a a a", "b"))) == ["length", "cancelled"]


def test_text_beyond_the_cap_is_broken_off_and_never_generated() -> None:
    engine, counts = Witness(["a b c d e f"]), meter()
    generate = counts.generator(engine, "candidate", PARAMS, token_cap=10)
    assert ended(generate(turns("", ""))) == ["cancelled", "cancelled"]
    assert engine.completion_tokens == 10
    assert generate(turns("", "")) == (Completion("", "cancelled", 0),) * 2
    assert engine.completion_tokens == 10
    assert counts.token_cap_reached


def test_a_seed_gives_every_batch_other_samples() -> None:
    engine = ScriptedEngine(lambda _prompt, index, seed: f"The answer is {seed + index}.")
    generate = meter().generator(engine, "probe", SamplingParams(max_tokens=64, seed=5))
    texts = [one.text for batch in (2, 3) for one in generate(turns("") * batch)]
    assert len(set(texts)) == 5


def test_after_the_deadline_nothing_is_generated() -> None:
    engine = Witness([RIGHT])
    generate = meter(Cancellation(time.monotonic() - 1)).generator(engine, "probe", PARAMS)
    assert ended(generate(turns("", ""))) == ["cancelled", "cancelled"]
    assert engine.sequences == 0


def test_a_cancelled_job_stops_and_keeps_the_usage_so_far() -> None:
    cancellation = Cancellation()
    counts = meter(cancellation)
    engine = ScriptedEngine(lambda *_: cancellation.cancel() or RIGHT)  # type: ignore[func-returns-value]
    generate = counts.generator(engine, "probe", PARAMS)
    with pytest.raises(JobCancelled):
        generate(turns(""))
    assert counts.usage[0].calls == 1
    with pytest.raises(JobCancelled):
        counts.scorer(judge(), Task())(turns(RIGHT))
    with pytest.raises(JobCancelled):
        generate(turns(""))
    assert counts.usage[0].calls == 1


def test_completed_turns_are_reported_after_each_batch() -> None:
    seen: list[int] = []
    generate = meter().generator(ScriptedEngine([RIGHT]), "candidate", PARAMS, on_complete=seen.append)
    generate(turns("", ""))
    generate(steps(""))
    generate(turns(""))
    assert seen == [2, 2, 3]


words = st.sampled_from(["3 + 4 = 7", "so", "well", "The answer is 7.", "The answer is 8."])
scripts = st.lists(st.lists(words, min_size=1, max_size=4).map("\n".join), min_size=1, max_size=5)


@pytest.mark.parametrize("name", list(STRATEGIES))
@settings(max_examples=60)
@given(
    script=scripts,
    samples=st.integers(1, 9),
    width=st.integers(1, 4),
    probe_samples=st.integers(0, 6),
    max_tokens=st.integers(1, 20),
    token_cap=st.none() | st.integers(0, 80),
)
def test_usage_is_what_the_models_saw_and_no_search_exceeds_its_cap(
    name: StrategyName,
    script: list[str],
    samples: int,
    width: int,
    probe_samples: int,
    max_tokens: int,
    token_cap: int | None,
) -> None:
    engine, verifier, counts = Witness(_mixed(script), model="tiny"), judge(), meter()
    params = SamplingParams(max_tokens=max_tokens, seed=1)
    score = counts.scorer(verifier, Task())
    problem = Problem(counts.messages, answers_for(Task()))
    probes = sample(problem, probe_samples, counts.generator(engine, "probe", params), score)
    probed_tokens = engine.completion_tokens
    generate = counts.generator(engine, "candidate", params, token_cap=token_cap)
    try:
        STRATEGIES[name](replace(problem, probes=probes), StrategySpec(name, samples, width), generate, score)
    except NoAnswer:
        assert not probes
    generated = [line for line in counts.usage if line.purpose != "verifier"]
    judged = [line for line in counts.usage if line.purpose == "verifier"]
    assert sum(line.calls for line in generated) == engine.sequences
    assert sum(line.prompt_tokens for line in generated) == engine.prompt_tokens
    assert sum(line.completion_tokens for line in generated) == engine.completion_tokens
    assert sum(line.calls for line in judged) == sum(map(len, verifier.calls))
    assert sum(line.prompt_tokens for line in judged) == sum(
        len(turn.prefix.split()) for batch in verifier.calls for turn in batch
    )
    if token_cap is not None:
        assert engine.completion_tokens - probed_tokens <= token_cap


def _mixed(script: list[str]):  # type: ignore[no-untyped-def]
    """Turns by seed and place; a prefix continues with lines that need not fit it."""

    def reply(prompt: Prompt, index: int, seed: int) -> str:
        turn = script[(seed + index) % len(script)]
        return turn.removeprefix(prompt.prefix)

    return reply
