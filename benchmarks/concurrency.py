"""How much longer 16 requests at once take than one, in one engine: 16 samples each, decoded together.

    python -m benchmarks.concurrency
    python -m benchmarks.concurrency --path embedded:abacus-large --samples 4

Each question is asked alone once, and all at once as often; the rows alternate and are compared by their
medians: absolute times say more about the machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

from router.config import TransformersModel
from workers.engines import load_engine
from workers.protocols import Engine, Prompt, SamplingParams


def question(number: int) -> Prompt:
    left, right, factor = 11 + 7 * number % 83, 3 + 5 * number % 71, 2 + number % 8
    return Prompt(({"role": "user", "content": f"Calculate ({left} + {right}) * {factor} - {number}."},))


def measure(engine: Engine, numbers: range, samples: int, params: SamplingParams) -> tuple[float, int]:
    """Seconds until these questions, asked at once, are answered, and the tokens of their answers."""

    def answer(number: int) -> int:
        return engine.generate([question(number)] * samples, params).completion_tokens

    with ThreadPoolExecutor(len(numbers)) as pool:
        begin_s = time.perf_counter()
        done = list(pool.map(answer, numbers))
        return time.perf_counter() - begin_s, sum(done)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--path", default="embedded:abacus-small", help="as in the configuration")
    parser.add_argument("--requests", type=int, default=16, help="requests at once (default 16)")
    parser.add_argument("--samples", type=int, default=16, help="sequences a request (default 16)")
    parser.add_argument("--max-tokens", type=int, default=160, help="of a sequence (default 160)")
    options = parser.parse_args()

    model = TransformersModel(
        engine="transformers", path=options.path, context_tokens=512, max_tokens=options.max_tokens
    )
    engine = load_engine("measured", model)
    params = SamplingParams(options.max_tokens, temperature=0.8)
    everyone = range(options.requests)
    measure(engine, everyone, options.samples, params)  # warm
    one, many = [], []
    for number in everyone:
        one.append(measure(engine, range(number, number + 1), options.samples, params))
        many.append(measure(engine, everyone, options.samples, params))
    engine.close()

    print(f"{options.path}, {options.samples} samples a request, {os.cpu_count()} CPUs")
    print(f"{'requests at once':>18} {'median s':>10} {'min s':>8} {'max s':>8} {'tokens/s':>10}")
    medians = []
    for requests, row in ((1, one), (options.requests, many)):
        times = [seconds for seconds, _ in row]
        rate = sum(tokens for _, tokens in row) / sum(times)
        medians.append(statistics.median(times))
        print(f"{requests:>18} {medians[-1]:>10.3f} {min(times):>8.3f} {max(times):>8.3f} {rate:>10.0f}")
    print(f"ratio of medians: {medians[1] / medians[0]:.2f} (wanted: below 6)")


if __name__ == "__main__":
    main()
