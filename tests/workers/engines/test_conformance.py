"""What every engine does: the shipped double, and a real model that knows `tiny.TURNS` by heart."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.workers.engines.tiny import CONTEXT_TOKENS, TURNS
from workers.errors import ContextOverflow
from workers.protocols import Cancellation, Completion, Engine, Prompt, SamplingParams


def ask(question: str, prefix: str = "", stop_after: Sequence[str] = ()) -> Prompt:
    return Prompt(({"role": "user", "content": question},), prefix, stop_after=tuple(stop_after))


def greedy(max_tokens: int = 100, stop: Sequence[str] = ()) -> SamplingParams:
    return SamplingParams(max_tokens, 0.0, stop=tuple(stop))


def test_a_batch_is_answered_in_order(engine: Engine) -> None:
    questions = ["tea", "count", "tea", "list", "count"]
    done = engine.generate([ask(question) for question in questions], greedy())
    assert [one.text for one in done.completions] == [TURNS[question] for question in questions]
    assert {one.ended for one in done.completions} == {"stop"}


def test_an_empty_batch_generates_nothing(engine: Engine) -> None:
    done = engine.generate([], greedy())
    assert (done.completions, done.prompt_tokens) == ((), 0)


def test_equal_prompts_are_counted_once(engine: Engine) -> None:
    done = engine.generate([ask("tea"), ask("count"), ask("tea")], greedy(4))
    assert done.prompt_tokens == engine.count_tokens(ask("tea")) + engine.count_tokens(ask("count"))
    assert done.completion_tokens == 12


def test_a_prefix_is_part_of_the_prompt(engine: Engine) -> None:
    assert engine.count_tokens(ask("count", "one\n")) > engine.count_tokens(ask("count"))


@pytest.mark.parametrize("question", TURNS)
def test_a_turn_goes_on_after_a_prefix_as_if_never_interrupted(engine: Engine, question: str) -> None:
    turn = TURNS[question]
    for cut in (1, 4, len(turn) // 2):
        done = engine.generate([ask(question, turn[:cut])], greedy())
        assert turn[:cut] + done.completions[0].text == turn


def test_max_tokens_ends_a_turn_for_its_length(engine: Engine) -> None:
    (one,) = engine.generate([ask("count")], greedy(3)).completions
    assert (one.ended, one.completion_tokens) == ("length", 3)
    assert TURNS["count"].startswith(one.text)


def test_a_prompt_may_have_a_limit_of_its_own(engine: Engine) -> None:
    prompts = [replace(ask("count"), max_tokens=2), ask("tea"), replace(ask("count"), max_tokens=9999)]
    done = engine.generate(prompts, greedy(3))
    assert [one.completion_tokens for one in done.completions] == [2, 3, 3]


def test_the_context_ends_a_turn_for_its_length(engine: Engine) -> None:
    filler = "ab " * (CONTEXT_TOKENS // 4)
    while engine.count_tokens(ask("long", filler)) < CONTEXT_TOKENS - 3:
        filler += "ab "
    prompt = ask("long", filler)
    (one,) = engine.generate([prompt], greedy()).completions
    assert 0 < one.completion_tokens <= CONTEXT_TOKENS - engine.count_tokens(prompt)


@pytest.mark.parametrize("stop", [";", "; d", "STOP", "e\nS", "e\nSTOPPED"])
def test_a_stop_text_ends_a_turn_and_is_not_returned(engine: Engine, stop: str) -> None:
    heard: list[str] = []
    (one,) = engine.generate(
        [ask("list")], greedy(stop=[stop]), on_text=lambda _, text: heard.append(text)
    ).completions
    assert one.text == TURNS["list"].split(stop)[0]
    assert one.ended == "stop"
    assert "".join(heard) == one.text


def test_the_first_of_several_stop_texts_counts(engine: Engine) -> None:
    (one,) = engine.generate([ask("list")], greedy(stop=["STOP", "d;", "\n", "zz"])).completions
    assert one.text == "a, b; c, "


def test_a_text_that_only_begins_like_a_stop_text_is_returned(engine: Engine) -> None:
    (one,) = engine.generate([ask("list")], greedy(stop=["STOPPED."])).completions
    assert one.text == TURNS["list"]


@pytest.mark.parametrize("separator", ["\n", "two\n"])
def test_a_step_end_ends_a_turn_and_is_kept(engine: Engine, separator: str) -> None:
    steps, prefix = [], ""
    for _ in range(8):
        (one,) = engine.generate([ask("count", prefix, [separator])], greedy()).completions
        prefix += one.text
        steps.append(one)
        if one.ended != "step":
            break
    assert prefix == TURNS["count"]
    assert [one.text for one in steps] == TURNS["count"].replace(separator, separator + "|").split("|")
    assert [one.ended for one in steps] == ["step"] * (len(steps) - 1) + ["stop"]


def test_each_prompt_of_a_batch_has_step_ends_of_its_own(engine: Engine) -> None:
    prompts = [ask("count", stop_after=["\n"]), ask("count"), ask("count", stop_after=["two\n"])]
    done = engine.generate(prompts, greedy())
    assert [one.text for one in done.completions] == ["one\n", TURNS["count"], "one\ntwo two\n"]
    assert [one.ended for one in done.completions] == ["step", "stop", "step"]


def test_tokens_of_all_steps_are_those_of_the_turn(engine: Engine) -> None:
    (whole,) = engine.generate([ask("count")], greedy()).completions
    first, second = (
        engine.generate([ask("count", prefix, ["two\n"])], greedy()).completions[0]
        for prefix in ("", "one\ntwo two\n")
    )
    assert first.completion_tokens + second.completion_tokens == whole.completion_tokens


@pytest.mark.parametrize("question", TURNS)
def test_streamed_texts_are_whole_characters_and_add_up(engine: Engine, question: str) -> None:
    heard: list[tuple[int, str]] = []
    prompts = [ask(question), ask("count"), ask(question)]
    done = engine.generate(prompts, greedy(), on_text=lambda index, text: heard.append((index, text)))
    for index, one in enumerate(done.completions):
        assert "".join(text for where, text in heard if where == index) == one.text
    assert not any("\ufffd" in text for _, text in heard)
    assert len(heard) > len(prompts)


def test_a_turn_cut_within_a_character_has_no_broken_one(engine: Engine) -> None:
    for max_tokens in range(1, 30):
        (one,) = engine.generate([ask("tea")], greedy(max_tokens)).completions
        assert TURNS["tea"].startswith(one.text)


def test_a_cancelled_batch_returns_what_there_is(engine: Engine) -> None:
    cancellation = Cancellation()
    heard: list[str] = []

    def listen(_index: int, text: str) -> None:
        heard.append(text)
        if len(heard) == 6:
            cancellation.cancel()

    prompts = [ask("long", TURNS["long"][:cut]) for cut in (0, 3)]
    done = engine.generate(prompts, greedy(), cancellation=cancellation, on_text=listen)
    assert [one.ended for one in done.completions] == ["cancelled"] * 2
    assert sum(len(one.text) for one in done.completions) == len("".join(heard))
    assert all(TURNS["long"].startswith(one.text) for one in done.completions)


def test_a_batch_past_its_deadline_returns_at_once_and_empty(engine: Engine) -> None:
    late = Cancellation(deadline_monotonic_s=time.monotonic() - 1)
    done = engine.generate([ask("long")] * 3, greedy(), cancellation=late)
    assert done.completions == (Completion("", "cancelled", 0),) * 3
    assert engine.generate([ask("count")], greedy()).completions[0].text == TURNS["count"]


def test_each_end_is_told_once_with_its_completion(engine: Engine) -> None:
    told: list[tuple[int, Completion]] = []
    prompts = [ask("long"), ask("count", stop_after=["\n"]), ask("list"), replace(ask("tea"), max_tokens=3)]
    done = engine.generate(prompts, greedy(stop=[";"]), on_end=lambda index, one: told.append((index, one)))
    assert sorted(told, key=lambda end: end[0]) == list(enumerate(done.completions))
    assert [one.ended for one in done.completions] == ["stop", "step", "stop", "length"]


def test_the_first_that_ends_may_cancel_the_others(engine: Engine) -> None:
    cancellation = Cancellation()
    told: list[int] = []

    def enough(index: int, _one: Completion) -> None:
        told.append(index)
        cancellation.cancel()

    prompts = [ask("long"), ask("long", "ab "), ask("count", stop_after=["\n"])]
    done = engine.generate(prompts, greedy(), cancellation=cancellation, on_end=enough)
    assert told == [2]
    assert [one.ended for one in done.completions] == ["cancelled", "cancelled", "step"]
    assert all("ab ".startswith(one.text[:3]) for one in done.completions[:2])


def test_what_was_cancelled_before_it_began_is_told_to_nobody(engine: Engine) -> None:
    cancellation = Cancellation()
    cancellation.cancel()
    told: list[int] = []
    engine.generate([ask("tea")], greedy(), cancellation=cancellation, on_end=lambda i, _: told.append(i))
    assert told == []


def test_threads_get_their_own_texts(engine: Engine) -> None:
    questions = list(TURNS) * 4

    def run(question: str) -> str:
        done = engine.generate([ask(question)] * 3, greedy())
        assert len({one.text for one in done.completions}) == 1
        return done.completions[0].text

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(run, questions)) == [TURNS[question] for question in questions]


def test_a_prompt_over_the_context_is_refused_with_both_numbers(engine: Engine) -> None:
    prompt = ask("word " * 200)
    with pytest.raises(ContextOverflow, match=rf"{engine.count_tokens(prompt)} tokens.*{CONTEXT_TOKENS}"):
        engine.generate([ask("tea"), prompt], greedy())


def test_the_engine_says_what_it_runs(engine: Engine) -> None:
    assert (engine.model, engine.context_tokens, engine.continues_turns) == ("tiny", CONTEXT_TOKENS, True)
