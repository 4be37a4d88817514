"""What only the transformers engine does: batching that changes nothing, seeds, failures, memory."""

from __future__ import annotations

import gc
import itertools
import logging
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, MistralConfig, MistralForCausalLM

from tests.workers.engines import tiny
from workers.engines import batching, transformers
from workers.engines.batching import Limits
from workers.engines.transformers import TransformersEngine
from workers.errors import EngineFailed, InvalidMessages, ModelNotLoadable
from workers.protocols import Cancellation, Prompt, SamplingParams

GIBBERISH = [
    "",
    "x",
    "zz top of the world " * 3,
    "žž",
    "the answer is the answer",
    "tea",
    *(f"{n} + {n * 7}" for n in range(10)),
]


def ask(question: str, prefix: str = "") -> Prompt:
    return Prompt(({"role": "user", "content": question},), prefix)


def load(folder: Path, context_tokens: int = tiny.CONTEXT_TOKENS) -> TransformersEngine:
    return TransformersEngine(
        folder, model="tiny", context_tokens=context_tokens, device=tiny.DEVICE, dtype="float32", threads=1
    )


def reference(folder: Path, questions: Sequence[str], max_tokens: int) -> list[str]:
    """Greedy texts by `generate`, one question at a time."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = []
    for question in questions:
        tokens = tokenizer.apply_chat_template(
            [{"role": "user", "content": question}],
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=False,
        )
        made = model.generate(tokens, max_new_tokens=max_tokens, do_sample=False)[0, tokens.shape[1] :]
        texts.append(tokenizer.decode(made, skip_special_tokens=True).rstrip("\ufffd"))
    return texts


def answer_all(engine: TransformersEngine, questions: Sequence[str], max_tokens: int) -> list[str]:
    done = engine.generate([ask(question) for question in questions], SamplingParams(max_tokens, 0.0))
    return [one.text.rstrip("\ufffd") for one in done.completions]


def test_a_batch_says_what_each_prompt_alone_would(
    tiny_folder: Path, transformers_engine: TransformersEngine
) -> None:
    expected = reference(tiny_folder, GIBBERISH, 40)
    assert answer_all(transformers_engine, GIBBERISH, 40) == expected
    assert answer_all(transformers_engine, GIBBERISH, 40) == expected  # now from shared pages
    with ThreadPoolExecutor(8) as pool:
        made = pool.map(lambda question: answer_all(transformers_engine, [question] * 3, 40), GIBBERISH)
        assert list(made) == [[text] * 3 for text in expected]


@pytest.mark.parametrize(
    "limits",
    [
        Limits(sequences=8, step_tokens=16, cache_tokens=4096),
        Limits(sequences=64, step_tokens=64, cache_tokens=288),
    ],
    ids=["prompts read in parts", "cache too small for all"],
)
def test_scarce_room_changes_no_text(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, limits: Limits
) -> None:
    monkeypatch.setattr(transformers, "_limits", lambda *_: limits)
    engine = load(tiny_folder)
    questions = [question for question in GIBBERISH for _ in range(3)]
    expected = [text for text in reference(tiny_folder, GIBBERISH, 24) for _ in range(3)]
    assert answer_all(engine, questions, 24) == expected
    engine.close()


def test_a_batch_has_no_mask_over_all_its_sequences(transformers_engine: TransformersEngine) -> None:
    """Such a mask makes a step's cost grow with the square of the batch."""
    assert processor(transformers_engine).inputs_and_outputs.attention_mask is None


def processor(engine: TransformersEngine) -> Any:
    loop = engine._batcher._loop
    assert loop is not None
    return loop.manager.batch_processor


def test_what_is_cancelled_is_no_longer_decoded(transformers_engine: TransformersEngine) -> None:
    cancellation = Cancellation()
    transformers_engine.generate(
        [ask("long")] * 3,
        SamplingParams(100, 0.0),
        cancellation=cancellation,
        on_text=lambda *_: cancellation.cancel(),
    )
    while processor(transformers_engine).scheduler.active_requests:  # the test's time limit ends this
        time.sleep(0.01)
    assert transformers_engine._batcher._loop is not None
    assert transformers_engine._batcher._loop.router.mailboxes == {}
    assert transformers_engine._batcher._loop.sampler.draws == {}


def test_a_prompt_that_is_cached_but_for_one_token_is_read(transformers_engine: TransformersEngine) -> None:
    filler = "x"
    while transformers_engine.count_tokens(ask(filler)) % batching.PAGE_TOKENS != 1:
        filler += "x"
    first, second = (answer_all(transformers_engine, [filler] * 4, 8) for _ in range(2))
    assert first == second
    assert len(set(first)) == 1


def test_a_model_with_a_sliding_window_says_what_it_would_alone(tmp_path: Path) -> None:
    torch.manual_seed(0)
    tokenizer = tiny.make_tokenizer()
    shape = tiny.make_config(tokenizer).to_dict()
    names = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    config = MistralConfig(
        **{name: shape[name] for name in names},
        num_key_value_heads=2,
        sliding_window=8,
        initializer_range=0.2,
        eos_token_id=tokenizer.eos_token_id,
    )
    MistralForCausalLM(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    engine = load(tmp_path)
    assert answer_all(engine, GIBBERISH[:4], 12) == reference(tmp_path, GIBBERISH[:4], 12)
    engine.close()


def sample(engine: TransformersEngine, seed: int | None, **settings: Any) -> list[str]:
    params = SamplingParams(12, settings.pop("temperature", 3.0), seed=seed, **settings)
    return [one.text for one in engine.generate([ask("tea")] * 6, params).completions]


def test_a_seed_repeats_a_batch_whatever_else_runs(transformers_engine: TransformersEngine) -> None:
    alone = sample(transformers_engine, 7)
    with ThreadPoolExecutor(4) as pool:
        others = [pool.submit(sample, transformers_engine, None) for _ in range(6)]
        assert sample(transformers_engine, 7) == alone
        assert sample(transformers_engine, 8) != alone
        assert len({tuple(other.result()) for other in others}) == 6
    assert len(set(alone)) > 1


def test_a_tiny_nucleus_is_greedy_at_any_temperature(transformers_engine: TransformersEngine) -> None:
    assert set(sample(transformers_engine, None, top_p=1e-6)) == set(
        answer_all(transformers_engine, ["tea"], 12)
    )


@pytest.mark.parametrize("error", [RuntimeError, torch.OutOfMemoryError, MemoryError])
def test_a_crash_fails_the_waiting_and_the_next_call_works(
    tiny_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: type[Exception],
) -> None:
    engine = load(tiny_folder)
    together = threading.Barrier(4)

    def crash(*_args: object, **_more: object) -> None:
        raise error("the device fell off")

    def run(_: int) -> str:
        together.wait()
        with pytest.raises(EngineFailed, match="tiny") as failure:
            engine.generate([ask("count")] * 2, SamplingParams(50, 0.0))
        return str(failure.value)

    cache = weakref.ref(processor(engine).cache)
    # pytest keeps the records of a log, and a traceback in one the cache.
    monkeypatch.setattr(logging.getLogger("ContinuousBatchingLogger"), "disabled", True)
    with monkeypatch.context() as broken, ThreadPoolExecutor(4) as pool:
        broken.setattr(engine._batcher._model, "forward", crash)
        assert any("the device fell off" in message for message in pool.map(run, range(4)))
    assert answer_all(engine, ["count"], 50) == [tiny.TURNS["count"]]
    gc.collect()
    assert cache() is None
    engine.close()


def test_a_crash_tells_what_every_sequence_had_by_then(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = load(tiny_folder)
    forward, passes = engine._batcher._model.forward, itertools.count()

    def crash_later(*args: Any, **more: Any) -> Any:
        if next(passes) == 4:
            raise torch.OutOfMemoryError("out of memory")
        return forward(*args, **more)

    monkeypatch.setattr(logging.getLogger("ContinuousBatchingLogger"), "disabled", True)
    monkeypatch.setattr(engine._batcher._model, "forward", crash_later)
    with pytest.raises(EngineFailed, match="out of memory") as failure:
        engine.generate([ask("long")] * 2, SamplingParams(50, 0.0))
    by_then = failure.value.generated
    assert by_then is not None
    assert [one.ended for one in by_then.completions] == ["cancelled"] * 2
    assert all(one.completion_tokens >= 3 for one in by_then.completions)
    assert by_then.prompt_tokens == engine.count_tokens(ask("long"))
    engine.close()


def test_a_closed_engine_says_so(tiny_folder: Path) -> None:
    engine = load(tiny_folder)
    engine.close()
    with pytest.raises(EngineFailed, match="closed"):
        engine.generate([ask("tea")], SamplingParams(5))


def test_closing_fails_what_is_running(tiny_folder: Path) -> None:
    engine = load(tiny_folder)
    heard: list[str] = []

    def close_soon(_index: int, text: str) -> None:
        heard.append(text)
        if len(heard) == 3:
            threading.Thread(target=engine.close).start()

    def talk_on() -> None:
        for _ in range(50):
            engine.generate([ask("long")], SamplingParams(100, 0.0), on_text=close_soon)

    with pytest.raises(EngineFailed):
        talk_on()


def test_a_context_beyond_the_models_is_refused(tiny_folder: Path) -> None:
    with pytest.raises(ModelNotLoadable, match=r"9999.*256"):
        load(tiny_folder, context_tokens=9999)


def edit_template(change: Callable[[Any], None], folder: Path, target: Path) -> Path:
    AutoModelForCausalLM.from_pretrained(folder).save_pretrained(target)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    change(tokenizer)
    tokenizer.save_pretrained(target)
    return target


def test_messages_that_the_template_refuses_fail_by_name(tiny_folder: Path, tmp_path: Path) -> None:
    def refuse(tokenizer: Any) -> None:
        tokenizer.chat_template = "{{ raise_exception('no system role') }}"

    engine = load(edit_template(refuse, tiny_folder, tmp_path))
    with pytest.raises(InvalidMessages, match="no system role"):
        engine.generate([ask("tea")], SamplingParams(5))
    engine.close()


def test_a_chat_template_that_is_none_is_not_the_clients_fault(tiny_folder: Path, tmp_path: Path) -> None:
    def spoil(tokenizer: Any) -> None:
        tokenizer.chat_template = "{% for"

    engine = load(edit_template(spoil, tiny_folder, tmp_path))
    with pytest.raises(EngineFailed, match="broken"):
        engine.generate([ask("tea")], SamplingParams(5))
    engine.close()


def test_a_model_without_a_chat_template_reads_plain_roles(tiny_folder: Path, tmp_path: Path) -> None:
    def drop(tokenizer: Any) -> None:
        tokenizer.chat_template = None

    engine = load(edit_template(drop, tiny_folder, tmp_path))
    done = engine.generate([ask("tea")], SamplingParams(5))
    assert done.prompt_tokens > len("tea")
    engine.close()


def test_content_in_parts_reads_as_its_text(transformers_engine: TransformersEngine) -> None:
    parts = [{"type": "text", "text": "te"}, {"type": "image_url"}, {"type": "text", "text": "a"}]
    prompt = Prompt(({"role": "user", "content": parts},))
    done = transformers_engine.generate([prompt, ask("tea")], SamplingParams(100, 0.0))
    assert [one.text for one in done.completions] == [tiny.TURNS["tea"]] * 2
    assert done.prompt_tokens == transformers_engine.count_tokens(ask("tea"))
