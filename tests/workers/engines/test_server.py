"""What only an engine over a server does: it finds out what the server can, and names what it does wrong."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from router.config import OpenAIModel
from tests.workers.engines import tiny
from tests.workers.engines.openai_server import (
    BARE,
    LLAMA_CPP,
    LOGPROB,
    VLLM,
    Fault,
    OpenAIServer,
    Personality,
    serving,
    until,
)
from workers.engines.scripted import ScriptedEngine
from workers.engines.server.connecting import connect
from workers.engines.server.engine import ServerEngine
from workers.engines.server.reply import Reply
from workers.engines.server.wire import Patience
from workers.engines.turn import Turn
from workers.errors import ContextOverflow, EngineFailed, InvalidMessages, ModelNotLoadable
from workers.protocols import Cancellation, Completion, Prompt, SamplingParams

Serve = Callable[..., tuple[ServerEngine, OpenAIServer]]
SOON = Patience(small_answer_s=2.0, first_event_s=2.0, next_event_s=2.0, busy_s=0.1)


def ask(question: str, prefix: str = "", stop_after: tuple[str, ...] = ()) -> Prompt:
    return Prompt(({"role": "user", "content": question},), prefix, stop_after=stop_after)


def texts(engine: ServerEngine, prompts: list[Prompt], params: SamplingParams) -> list[str]:
    return [one.text for one in engine.generate(prompts, params).completions]


def test_a_server_is_known_by_what_it_does(serve: Serve, tiny_folder: Path) -> None:
    vllm = serve(VLLM)[0].capabilities
    assert (vllm.prompts, vllm.usage, vllm.context_tokens) == ("continued", "continuous", None)
    assert all(
        (vllm.samples, vllm.many, vllm.many_seeded, vllm.seed, vllm.stop, vllm.keeps_stop, vllm.counts)
    )
    assert vllm.lacking(has_tokenizer=False) == ()
    llama_cpp = serve(LLAMA_CPP)[0].capabilities
    assert (llama_cpp.prompts, llama_cpp.usage, llama_cpp.seed) == ("prefilled", "final", True)
    assert not any((llama_cpp.many, llama_cpp.keeps_stop, llama_cpp.counts))
    assert serve(VLLM, tokenizer=tiny_folder)[0].capabilities.prompts == "tokens"
    rendered = serve(LLAMA_CPP, tokenizer=tiny_folder)[0].capabilities
    assert (rendered.prompts, rendered.adds_bos) == ("text", True)


def test_what_a_server_lacks_is_said_once_with_what_follows(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        engine, _ = serve(BARE)
    (said,) = caplog.messages
    assert "searches by steps are refused" in said
    assert "a seed changes nothing" in said
    assert not engine.continues_turns
    with pytest.raises(EngineFailed, match=r"does not continue a turn.*tokenizer"):
        engine.generate([ask("count", "one\n")], SamplingParams(5))
    assert texts(engine, [ask("count")] * 2, SamplingParams(50, stop=("three",))) == ["one\ntwo two\n"] * 2


def test_a_server_that_never_samples_is_told_from_one_that_does(caplog: pytest.LogCaptureFixture) -> None:
    backend = ScriptedEngine(["one\ntwo\nthree four"], context_tokens=tiny.CONTEXT_TOKENS)
    with serving(OpenAIServer(backend, VLLM).app()) as url:
        connect("tiny", model_at(url)).close()
    assert "a search gains nothing" in caplog.text


def test_a_new_turn_that_goes_on_with_a_line_by_chance_continues_no_turn() -> None:
    def say(prompt: Prompt, _index: int, seed: int) -> str:
        begun = prompt.messages[-1]["content"]
        return f"two\nand more {seed}" if begun == "one\n" else "one\ntwo\nthree\nfour"

    backend = ScriptedEngine(say, context_tokens=tiny.CONTEXT_TOKENS)
    with serving(OpenAIServer(backend, Personality()).app()) as url:
        engine = connect("tiny", model_at(url))
        engine.close()
    assert not engine.continues_turns


def test_a_bare_server_ends_steps_too(serve: Serve) -> None:
    engine, server = serve(BARE, delay_s=0.01)
    done = engine.generate([ask("count", stop_after=("\n",)), ask("list")], SamplingParams(50))
    assert [one.text for one in done.completions] == ["one\n", tiny.TURNS["list"]]
    assert [one.ended for one in done.completions] == ["step", "stop"]
    assert done.completions[0].completion_tokens == 2
    until(lambda: server.given_up == 1)


def test_equal_prompts_are_one_request_where_the_server_can(serve: Serve) -> None:
    engine, server = serve(VLLM)
    prompts = [ask("tea"), ask("count", stop_after=("\n",)), ask("tea"), ask("count", stop_after=("\n",))]
    done = engine.generate(prompts, SamplingParams(50))
    assert sorted((body["messages"][-1]["content"], body["n"]) for body in server.asked) == [
        ("count", 2),
        ("tea", 2),
    ]
    assert [one.text for one in done.completions] == [tiny.TURNS["tea"], "one\n"] * 2


def test_what_a_server_held_from_before_is_told(serve: Serve) -> None:
    engine, _ = serve(VLLM)
    done = engine.generate([ask("tea")] * 2, SamplingParams(50))
    assert done.prompt_tokens == engine.count_tokens(ask("tea"))
    assert done.cached_prompt_tokens == done.prompt_tokens // 2


def test_greedy_samples_are_requests_of_their_own(serve: Serve) -> None:
    engine, server = serve(VLLM)
    engine.generate([ask("tea")] * 3, SamplingParams(5, temperature=0.0))
    assert len(server.asked) == 3


def test_every_sequence_of_a_seeded_batch_has_a_seed_of_its_own(serve: Serve) -> None:
    engine, server = serve(LLAMA_CPP)
    engine.generate([ask("tea"), ask("count"), ask("tea")], SamplingParams(5, seed=7))
    assert sorted(body["seed"] for body in server.asked) == [7, 8, 9]


def test_tokens_of_several_choices_add_up_to_what_the_server_says(serve: Serve) -> None:
    coarse = Personality(continues="flags", has_n=True, keeps_stop=True, thinks="let me see")
    engine, _ = serve(coarse)
    done = engine.generate([ask("tea")] * 3, SamplingParams(50))
    alone = engine.generate([ask("tea")], SamplingParams(50, 0.0)).completions[0]
    assert done.completion_tokens == 3 * (alone.completion_tokens - 3) + 3


def test_thinking_that_a_server_keeps_apart_is_counted_and_not_in_the_text(serve: Serve) -> None:
    engine, _ = serve(Personality(thinks="let me see"))
    (one,) = engine.generate([ask("tea")], SamplingParams(50)).completions
    assert one.text == tiny.TURNS["tea"]
    assert one.reasoning_tokens == 3
    assert one.completion_tokens > 3


def test_thoughts_that_a_server_counts_only_in_its_total_are_counted() -> None:
    turn = Turn(0, ask("tea"), ())
    reply = Reply([turn], says_usage=True, count_text=None)
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 40}
    for chunk in ({"choices": [{"delta": {"content": "4"}, "finish_reason": "stop"}]}, {"usage": usage}):
        list(reply.take(chunk))
    list(reply.end())
    assert (reply.prompt_tokens, turn.completion_tokens) == (9, 31)


@pytest.mark.parametrize("has_tokenizer", [False, True])
def test_how_likely_an_answer_is_comes_where_it_is_asked_for(
    serve: Serve, tiny_folder: Path, has_tokenizer: bool
) -> None:
    engine, _ = serve(VLLM, tokenizer=tiny_folder if has_tokenizer else None)
    assert engine.capabilities.logprobs
    for asked, found in ((True, LOGPROB), (False, None)):
        params = SamplingParams(20, 0.0, logprobs=asked)
        assert engine.generate([ask("count")], params).completions[0].mean_logprob == found
    engine, _ = serve(LLAMA_CPP)
    assert not engine.capabilities.logprobs
    assert engine.generate([ask("count")], params).completions[0].mean_logprob is None


def test_a_cancelled_job_stops_its_server(serve: Serve) -> None:
    engine, server = serve(VLLM, delay_s=0.01)
    cancellation = Cancellation()
    done = engine.generate(
        [ask("long")] * 4,
        SamplingParams(100),
        cancellation=cancellation,
        on_text=lambda *_: cancellation.cancel(),
    )
    assert {one.ended for one in done.completions} == {"cancelled"}
    until(lambda: (server.running, server.given_up) == (0, 1))


@pytest.mark.parametrize("fault", ["silent", "silent midway"])
def test_a_deadline_ends_what_hangs_with_what_there_is(serve: Serve, fault: Fault) -> None:
    engine, server = serve(VLLM)
    server.fault = fault
    done = engine.generate(
        [ask("count")], SamplingParams(50), cancellation=Cancellation(time.monotonic() + 0.2)
    )
    (one,) = done.completions
    assert one.ended == "cancelled"
    assert tiny.TURNS["count"].startswith(one.text)
    assert bool(one.text) == (fault == "silent midway")


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("500", "answered 500: the device fell off"),
        ("always busy", "answered 429: too many"),
        ("silent", r"said nothing for 2 s"),
        ("silent midway", r"said nothing for 2 s"),
        ("cut", "broke off, without a finish_reason"),
        ("cut connection", "failed"),
        ("garbage", "not JSON"),
        ("no usage", "without the usage"),
        ("error", "broke off its answer: out of memory"),
    ],
)
def test_what_a_server_does_wrong_is_named_and_the_next_call_works(
    serve: Serve, fault: Fault, says: str
) -> None:
    engine, server = serve(LLAMA_CPP, patience=SOON)
    server.fault = fault
    with pytest.raises(EngineFailed, match=rf"model tiny.*{says}"):
        engine.generate([ask("count")] * 2, SamplingParams(50))
    server.fault = None
    assert texts(engine, [ask("count")], SamplingParams(50)) == [tiny.TURNS["count"]]


def test_a_busy_server_is_asked_again_when_it_says(serve: Serve) -> None:
    engine, server = serve(VLLM)
    server.fault = "busy"
    assert texts(engine, [ask("count")], SamplingParams(50)) == [tiny.TURNS["count"]]
    assert len(server.asked) == 2


def test_messages_that_a_server_refuses_fail_by_name(serve: Serve) -> None:
    engine, _ = serve(VLLM)
    with pytest.raises(InvalidMessages, match="roles must alternate"):
        engine.generate([ask("no template")], SamplingParams(5))


def test_a_server_that_alone_can_count_says_what_is_too_long(serve: Serve) -> None:
    engine, _ = serve(LLAMA_CPP)
    with pytest.raises(ContextOverflow, match=rf"too long.*{tiny.CONTEXT_TOKENS}"):
        engine.generate([ask("word " * 200)], SamplingParams(5))


def test_a_closed_engine_says_so(serve: Serve) -> None:
    engine, _ = serve(BARE)
    engine.close()
    with pytest.raises(EngineFailed, match="closed"):
        engine.generate([ask("tea")], SamplingParams(5))


def model_at(url: str, **more: object) -> OpenAIModel:
    return OpenAIModel.model_validate(
        {"engine": "openai", "base_url": url, "upstream_model": "tiny", "context_tokens": 64, **more}
    )


def test_a_server_that_is_not_there_is_waited_for_and_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
    with pytest.raises(ModelNotLoadable, match=rf"model far: no server answered at {url}.*start it"):
        connect("far", model_at(url), wait_s=0.1)


def test_a_key_that_is_missing_is_asked_for_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TINY_KEY", raising=False)
    with pytest.raises(ModelNotLoadable, match="set TINY_KEY"):
        connect("far", model_at("http://127.0.0.1:1/v1", api_key_env="TINY_KEY"))


def test_a_context_beyond_the_servers_is_refused(serve: Serve) -> None:
    _, server = serve(VLLM)
    with serving(server.app()) as url, pytest.raises(ModelNotLoadable, match=r"9999.*128"):
        connect("tiny", model_at(url, context_tokens=9999))


def test_a_tokenizer_of_another_model_is_refused(tiny_folder: Path) -> None:
    def parse(_rendered: object) -> tuple[Prompt, int]:
        return ask("tea"), 99

    backend = ScriptedEngine(["one\ntwo"], context_tokens=tiny.CONTEXT_TOKENS)
    refused = pytest.raises(ModelNotLoadable, match=r"tokenizer is not that of tiny.*99 tokens")
    with serving(OpenAIServer(backend, VLLM, parse).app()) as url, refused:
        connect("tiny", model_at(url, tokenizer=str(tiny_folder)))


def test_an_end_is_told_before_the_others_are_done(serve: Serve) -> None:
    engine, _ = serve(VLLM, delay_s=0.005)
    cancellation = Cancellation()

    def enough(_index: int, _one: Completion) -> None:
        cancellation.cancel()

    prompts = [ask("long"), ask("count", stop_after=("\n",)), ask("long")]
    done = engine.generate(prompts, SamplingParams(100), cancellation=cancellation, on_end=enough)
    assert [one.ended for one in done.completions] == ["cancelled", "step", "cancelled"]
