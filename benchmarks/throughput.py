"""Tokens a second of the models and verifiers of a configuration, when busy: what `price` wants.

    python -m benchmarks.throughput                 # the embedded models
    python -m benchmarks.throughput my.yaml

Reading is measured with long prompts that are all different and answers of one token, writing with many short
prompts answered at once. One model at a time, after a warm-up; the median of three rounds. Where a price
names the USD an hour of the machine, the last column is the USD of a million tokens read, written.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from router.config import Config, TransformersModel, load_config
from router.types import Task
from workers.engines import load_engine
from workers.protocols import Engine, Prompt, SamplingParams, Verifier
from workers.verifiers import load_verifier

SEQUENCES = 64
ROUNDS = 3


def prompt(number: int, terms: int) -> Prompt:
    question = "Calculate " + " + ".join(str(number + term) for term in range(terms)) + "."
    return Prompt(({"role": "user", "content": question},))


def reading(engine: Engine) -> Callable[[int], int]:
    """A round that reads different long prompts; returns their tokens."""

    def run(round_number: int) -> int:
        prompts = [prompt(1000 * round_number + 10 * one, terms=40) for one in range(SEQUENCES)]
        return engine.generate(prompts, SamplingParams(max_tokens=1)).prompt_tokens

    return run


def writing(engine: Engine, temperature: float) -> Callable[[int], int]:
    """A round that answers many prompts at once; returns the tokens written."""

    def run(round_number: int) -> int:
        prompts = [prompt(100 * round_number + one, terms=4) for one in range(SEQUENCES)]
        return engine.generate(prompts, SamplingParams(96, temperature)).completion_tokens

    return run


def judging(verifier: Verifier) -> Callable[[int], int]:
    """A round that judges different solutions of one problem; returns the tokens read."""

    def run(round_number: int) -> int:
        number = round_number * 10
        texts = [
            f"{one} + {number} = {one + number}\nThe answer is {one + number}." for one in range(SEQUENCES)
        ]
        asked = prompt(number, terms=4)
        return verifier.score([replace(asked, prefix=text) for text in texts], Task()).tokens

    return run


def tokens_per_second(run: Callable[[int], int]) -> float:
    run(0)
    rates = []
    for round_number in range(1, ROUNDS + 1):
        begin_s = time.perf_counter()
        tokens = run(round_number)
        rates.append(tokens / (time.perf_counter() - begin_s))
    return statistics.median(rates)


def usd_a_million(settings: Any, *tokens_per_second: float) -> str:
    """What a million tokens cost at these speeds, if an hour of the machine has a price."""
    usd_per_hour = getattr(getattr(settings, "price", None), "usd_per_hour", None)
    if usd_per_hour is None:
        return ""
    return ", ".join(f"{float(usd_per_hour) / 3600 / rate * 1e6:.4f}" for rate in tokens_per_second)


def measure(config: Config) -> None:
    print(f"{'':<24} {'reads tokens/s':>15} {'writes tokens/s':>16} {'USD a million':>20}")
    for name, model in config.models.items():
        if isinstance(model, TransformersModel):
            engine = load_engine(name, model)
            reads = tokens_per_second(reading(engine))
            writes = tokens_per_second(writing(engine, model.temperature))
            costs = usd_a_million(model, reads, writes)
            print(f"{name:<24} {reads:>15,.0f} {writes:>16,.0f} {costs:>20}")
            engine.close()
    for name, settings in config.verifiers.items():
        verifier = load_verifier(name, settings)
        reads = tokens_per_second(judging(verifier))
        print(f"{name:<24} {reads:>15,.0f} {usd_a_million(settings, reads):>37}")
        verifier.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", nargs="?", default="abacus", help="a file, or a preset (default: abacus)")
    measure(load_config(parser.parse_args().config, os.environ))


if __name__ == "__main__":
    main()
