"""A batch through the meter: what ends it early, what fails, what is shown to whom."""

from __future__ import annotations

import pytest

from router.types import Task
from tests.workers.jobs import MESSAGES, RIGHT, WRONG, judge
from workers.engines.estimate import estimated_tokens
from workers.engines.scripted import ScriptedEngine
from workers.errors import EngineFailed
from workers.meter import Meter
from workers.protocols import Cancellation, Completion, Prompt, SamplingParams, Scored
from workers.steps import Steps, Thinking
from workers.verifiers.scripted import ScriptedVerifier

PARAMS = SamplingParams(max_tokens=64)


def meter() -> Meter:
    return Meter(MESSAGES, Cancellation())


def turns(*prefixes: str) -> list[Prompt]:
    return [Prompt(MESSAGES, prefix) for prefix in prefixes]


def ended(completions: tuple[Completion, ...]) -> list[str]:
    return [completion.ended for completion in completions]


def test_a_longer_conversation_is_given_what_room_its_context_leaves_or_none() -> None:
    """The attempts of a revision chain: 20 tokens of context, 6 of them the question."""
    engine = ScriptedEngine(lambda *_: " x" * 50, context_tokens=20)
    generate = meter().generator(engine, "candidate", SamplingParams(max_tokens=12))

    def after(attempt: str) -> Prompt:
        return Prompt((*MESSAGES, {"role": "assistant", "content": attempt}))

    done = generate([after("a b"), after("a b c d e f g h i j k l m n"), Prompt(MESSAGES)])
    assert [one.completion_tokens for one in done] == [11, 0, 12]
    assert ended(done) == ["length"] * 3
    assert len(engine.calls[0][0]) == 2


def test_what_is_enough_cancels_the_rest_and_the_bill_says_what_was_said() -> None:
    engine = ScriptedEngine(lambda _prompt, index, _seed: "x " * (5 * index + 1))
    counts = meter()
    heard: list[str] = []

    def enough(completion: Completion) -> bool:
        heard.append(completion.text)
        return len(heard) == 2

    generate = counts.generator(engine, "candidate", PARAMS)
    done = generate(turns("", "", "", ""), enough=enough)
    assert ended(done) == ["stop", "stop", "cancelled", "cancelled"]
    assert len(heard) == 2
    assert counts.usage[0].completion_tokens == sum(one.completion_tokens for one in done)
    assert counts.usage[0].completion_tokens == 3 + 8 + 7 + 7
    assert ended(generate(turns(""))) == ["stop"]


def test_what_only_the_cap_cut_off_is_not_taken_for_complete() -> None:
    seen: list[str] = []

    def enough(completion: Completion) -> bool:
        seen.append(completion.ended)
        return False

    generate = meter().generator(ScriptedEngine(["a b c d"]), "candidate", PARAMS, token_cap=3)
    generate(turns(""), enough=enough)
    assert seen == ["cancelled"]


def test_an_error_of_who_is_told_of_each_end_is_raised_when_the_batch_is_on_the_bill() -> None:
    def enough(_completion: Completion) -> bool:
        raise LookupError("a bug")

    counts = meter()
    with pytest.raises(LookupError):
        counts.generator(ScriptedEngine([RIGHT]), "candidate", PARAMS)(turns("", ""), enough=enough)
    assert counts.usage[0].calls == 2


def test_a_batch_may_have_a_temperature_of_its_own() -> None:
    engine = ScriptedEngine([RIGHT])
    generate = meter().generator(engine, "candidate", SamplingParams(64, temperature=0.7))
    generate(turns(""), temperature=0.0)
    generate(turns(""))
    assert [params.temperature for _, params in engine.calls] == [0.0, 0.7]


class Fragile(ScriptedEngine):
    """Fails when its second sequence has ended."""

    def generate(self, prompts, params, **how):  # type: ignore[no-untyped-def]
        on_end = how.pop("on_end")

        def fail_later(index: int, completion: Completion) -> None:
            on_end(index, completion)
            if index == 1:
                raise EngineFailed("model scripted: out of memory")

        return super().generate(prompts, params, on_end=fail_later, **how)


def test_turns_that_ended_before_their_engine_failed_are_kept_and_billed() -> None:
    counts = meter()
    engine = Fragile(lambda _prompt, index, _seed: " x" * (index + 1))
    generate = counts.generator(engine, "candidate", PARAMS)
    assert ended(generate(turns("", "", ""))) == ["stop", "stop", "cancelled"]
    assert ended(generate(turns(""))) == ["cancelled"]
    (line,) = counts.usage
    assert (line.calls, line.completion_tokens) == (2, 2 + 3)
    assert line.prompt_tokens == estimated_tokens(Prompt(MESSAGES))  # nobody asks a failed engine to count
    assert isinstance(counts.failure, EngineFailed)


def test_a_verifier_that_fails_ends_the_search_with_nothing_judged() -> None:
    class Broken(ScriptedVerifier):
        def score(self, turns, task):  # type: ignore[no-untyped-def]
            raise EngineFailed("verifier broken: out of memory")

    counts = meter()
    score = counts.scorer(Broken(lambda _: [1.0]), Task())
    assert score(turns(RIGHT, WRONG)) == (Scored((), 0.0),) * 2
    assert ended(counts.generator(ScriptedEngine([RIGHT]), "candidate", PARAMS)(turns(""))) == ["cancelled"]


@pytest.mark.parametrize(("compares_turns", "read"), [(False, [RIGHT, WRONG]), (True, [RIGHT, WRONG, RIGHT])])
def test_equal_turns_are_read_once_but_by_verifiers_that_compare_them(
    compares_turns: bool, read: list[str]
) -> None:
    counts, verifier = meter(), judge(compares_turns=compares_turns)
    first, second, third = counts.scorer(verifier, Task())(turns(RIGHT, WRONG, RIGHT))
    assert [turn.prefix for turn in verifier.calls[0]] == read
    assert (first.score, second.score, third.score) == (0.9, 0.2, 0.9)
    assert counts.usage[0].calls == len(read)


def test_a_verifier_sees_earlier_attempts_only_if_it_was_made_for_them() -> None:
    earlier = (*MESSAGES, {"role": "assistant", "content": "8"}, {"role": "user", "content": "Again."})
    for reads_history, expected in ((True, earlier), (False, MESSAGES)):
        verifier = ScriptedVerifier(lambda _: [0.5], reads_history=reads_history)
        meter().scorer(verifier, Task())([Prompt(earlier, "7")])
        assert verifier.calls == [(Prompt(expected, "7"),)]


def test_thinking_is_counted_as_reasoning_and_not_shown_to_the_verifier() -> None:
    thinks = Steps(thinking=Thinking())
    engine, counts = ScriptedEngine(["<think>\nso it is\n</think>\n7"]), meter()
    (turn,) = counts.generator(engine, "candidate", PARAMS, steps=thinks)(turns(""))
    # Mark, newline, three words, newline and mark; then a newline, the answer, and the end of the turn.
    assert (counts.usage[0].completion_tokens, counts.usage[0].reasoning_tokens) == (10, 7)
    verifier = judge()
    score = counts.scorer(verifier, Task(), thinks)
    _, still_thinking = score(turns(turn.text, "<think>\nso"))
    assert still_thinking == Scored((), 0.0)
    assert verifier.calls == [(Prompt(MESSAGES, "7"),)]
