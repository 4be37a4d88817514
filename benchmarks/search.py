"""Beam search of ours against its_hub's: same model, same server, same stand-in reward, in one run.

    python3 -m venv its && its/bin/pip install its-hub aiohttp backoff certifi
    vllm serve FOLDER --served-model-name small --port 8801      (or any server that continues turns)
    python -m benchmarks.search --its-python its/bin/python --url http://127.0.0.1:8801/v1 --model small \
        --folder FOLDER

Every question is searched three times, one after another: by its_hub, by our beam search through the
OpenAI-compatible engine on the same server, and by it in process; every other question in reverse order. The
reward costs nothing and depends on the text alone: what is measured is how a search asks. its_hub sends one
request a path and level, and goes on after the model's end of text; ours asks once for equal prefixes and
lets finished paths be.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from router.config import OpenAIModel, TransformersModel
from router.types import StrategySpec, Task
from workers.answers import answers_for
from workers.engines import load_engine
from workers.errors import NoAnswer
from workers.meter import Meter
from workers.protocols import Cancellation, Engine, Problem, Prompt, SamplingParams, Scored
from workers.search import STRATEGIES


@dataclass(frozen=True)
class Row:
    """What one search of one question took. ``requests`` counts calls of an HTTP server, or batches."""

    seconds: float
    requests: int
    distinct_prompts: int
    prompt_tokens: int
    completion_tokens: int


class Witness:
    """An engine that counts the batches and the distinct prompts it was asked for."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.batches = 0
        self.prompts: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def generate(self, prompts: Sequence[Prompt], params: SamplingParams, **how: Any) -> Any:
        self.batches += 1
        self.prompts |= {prompt.prefix for prompt in prompts}
        return self._engine.generate(prompts, params, **how)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--its-python", required=True, help="Python of the environment with its-hub")
    parser.add_argument("--url", required=True, help="the server's API, like http://127.0.0.1:8801/v1")
    parser.add_argument("--model", required=True, help="its name of the model")
    parser.add_argument(
        "--folder", required=True, help="the model's Hugging Face folder, for the engine in process"
    )
    parser.add_argument("--samples", type=int, default=16, help="N (default 16)")
    parser.add_argument("--width", type=int, default=4, help="M (default 4)")
    parser.add_argument("--rounds", type=int, default=16, help="steps of a path at most (default 16)")
    parser.add_argument("--hint", default="", help="what to add to every question, to get steps a line")
    parser.add_argument(
        "--stop-token", default="", help="a text that tells its_hub that a path is finished; else none does"
    )
    parser.add_argument("--max-tokens", type=int, default=256, help="of a path; of a request of its_hub's")
    parser.add_argument("--questions", type=int, default=8, help="how many (default 8)")
    options = parser.parse_args()

    asked = [question(number) + options.hint for number in range(options.questions)]
    reads = json.loads((Path(options.folder) / "config.json").read_text())["max_position_embeddings"]
    sizes: dict[str, Any] = {
        "context_tokens": min(reads, 2048),
        "max_tokens": options.max_tokens,
        "temperature": 0.8,
    }
    server = OpenAIModel(
        engine="openai", base_url=options.url, upstream_model=options.model, tokenizer=options.folder, **sizes
    )
    in_process = TransformersModel(engine="transformers", path=options.folder, **sizes)
    engines = {"server": load_engine("server", server), "in process": load_engine("in process", in_process)}
    rows: dict[str, list[Row]] = {"its_hub": [], "ours, same server": [], "ours, in process": []}
    for at, text in enumerate(asked):
        runs: list[tuple[str, Callable[[], Row]]] = [
            ("its_hub", partial(_its_hub, text, options)),
            ("ours, same server", partial(_ours, engines["server"], text, options, at)),
            ("ours, in process", partial(_ours, engines["in process"], text, options, at)),
        ]
        for name, search in runs if at % 2 == 0 else reversed(runs):
            rows[name].append(search())
        print(f"question {at + 1} of {len(asked)}", file=sys.stderr, flush=True)
    for engine in engines.values():
        engine.close()
    _print(rows, options)


def question(number: int) -> str:
    left, right, factor = 11 + 7 * number % 83, 3 + 5 * number % 71, 2 + number % 8
    return f"Calculate ({left} + {right}) * {factor} - {number}."


def _its_hub(text: str, options: argparse.Namespace) -> Row:
    script = Path(__file__).parent / "peers" / "its_hub_beam.py"
    # its_hub lets a path have one step more than it is told.
    numbers = [options.samples, options.width, options.rounds - 1, options.max_tokens, 0.8]
    command = [
        options.its_python,
        "-W",
        "ignore",
        str(script),
        options.url,
        options.model,
        *map(str, numbers),
        options.stop_token,
    ]
    done = subprocess.run(
        command, input=json.dumps({"question": text}) + "\n", text=True, capture_output=True, check=False
    )
    if done.returncode:
        sys.exit(f"its_hub failed:\n{done.stderr[-2000:]}")
    return Row(**json.loads(done.stdout.splitlines()[-1]))


def _ours(engine: Engine, text: str, options: argparse.Namespace, seed: int) -> Row:
    meter = Meter(({"role": "user", "content": text},), Cancellation())
    witness = Witness(engine)
    params = SamplingParams(options.max_tokens, temperature=0.8, seed=seed)
    problem = Problem(meter.messages, answers_for(Task()))
    spec = StrategySpec("beam", options.samples, beam_width=options.width, max_rounds=options.rounds)
    began_s = time.perf_counter()
    with suppress(NoAnswer):  # no path came to its end within the rounds: its_hub's are not asked to either
        STRATEGIES["beam"](problem, spec, meter.generator(witness, "candidate", params), _reward)
    seconds = time.perf_counter() - began_s
    (line,) = meter.usage
    return Row(seconds, witness.batches, len(witness.prompts), line.prompt_tokens, line.completion_tokens)


def _reward(turns: Sequence[Prompt]) -> tuple[Scored, ...]:
    """As in benchmarks/peers/its_hub_beam.py."""
    digests = [hashlib.sha256(turn.prefix.encode()).digest() for turn in turns]
    scores = [int.from_bytes(digest[:4], "big") / 2**32 for digest in digests]
    return tuple(Scored((score,), score) for score in scores)


def _print(rows: dict[str, list[Row]], options: argparse.Namespace) -> None:
    print(f"{options.model}, N = {options.samples}, M = {options.width}, rounds: {options.rounds}; means")
    print(
        f"{'':<20}{'s':>8}{'requests':>10}{'prefixes':>10}{'read':>8}{'written':>9}{'read/written':>14}{'tokens/s':>10}"
    )
    for name, found in rows.items():
        mean = {
            field: statistics.fmean(getattr(row, field) for row in found) for field in Row.__annotations__
        }
        read, written = mean["prompt_tokens"], mean["completion_tokens"]
        print(
            f"{name:<20}{mean['seconds']:>8.2f}{mean['requests']:>10.1f}{mean['distinct_prompts']:>10.1f}"
            f"{read:>8.0f}{written:>9.0f}{read / written:>14.1f}{written / mean['seconds']:>10.1f}"
        )
    theirs = [row.seconds for row in rows["its_hub"]]
    for name in list(rows)[1:]:
        ratios = [one / row.seconds for one, row in zip(theirs, rows[name], strict=True)]
        print(
            f"{name}: {statistics.median(ratios):.1f} times as fast "
            f"(median; {min(ratios):.1f} to {max(ratios):.1f})"
        )


if __name__ == "__main__":
    main()
