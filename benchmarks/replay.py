"""How fast `gradus replay` is: generated traffic of any size, the real command, its time and its memory.

    python -m benchmarks.replay --outcomes outcomes/outcomes.jsonl --policy gradus.yaml --policy abacus:cheap
    python -m benchmarks.replay --outcomes outcomes/outcomes.jsonl --rows 1000000 --probes all
    python -m benchmarks.replay --outcomes outcomes/outcomes.jsonl --rows 20000 --stages

A row is a line of the file: a recorded question with the outcomes of all its actions (docs/outcomes.md). They
are the given ones again and again, each with other numbers in its prompt: no two prompts are the same, so
nothing is saved by remembering. ``--probes`` says what they have of the probe: nothing, its samples' answers,
scores and lengths, or all (the scores of their steps too). Seconds of the processors are counted besides
those of the clock, for machines that do something else too; ``--stages`` says what they are spent on.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from router.outcome_files import iter_outcomes
from router.outcomes import SMALL
from router.replay.chunks import Chunk
from router.replay.contenders import open_contenders
from router.replay.deciding import Replayer
from router.replay.run import CHUNK_QUESTIONS
from router.replay.tally import Tally

_CELL = (
    "model",
    "strategy",
    "samples",
    "right",
    "cost_usd",
    "after_probe_usd",
    "completion_tokens",
    "seconds",
)
_SAMPLE = {"scores": ("answer", "score", "completion_tokens", "finish_reason"), "none": ()}
_SAMPLE["all"] = (*_SAMPLE["scores"], "step_scores")
_NUMBER = re.compile(r"\d+")


def questions(outcomes: Path, probes: str) -> list[dict[str, Any]]:
    """Of rows a question and action, rows a question."""
    found: dict[str, dict[str, Any]] = {}
    with outcomes.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            question = found.setdefault(row["id"], {"question": row["question"], "actions": {}})
            question["actions"][row["action"]] = {name: row.get(name) for name in _CELL}
            if row["action"] == SMALL:
                question["prompt_tokens"] = row["prompt_tokens"]
            if row.get("probe") and _SAMPLE[probes]:
                samples = [
                    {name: each.get(name) for name in _SAMPLE[probes]} for each in row["probe"]["samples"]
                ]
                question["probe"] = {"samples": samples, "cost_usd": row["probe"]["cost_usd"]}
    return list(found.values())


def traffic(known: Sequence[dict[str, Any]], rows: int) -> Iterator[str]:
    """Lines; the same each time."""
    chance = random.Random(0)
    kept = [
        (each["question"], json.dumps({"segment": str(at % 10), **each})[1:]) for at, each in enumerate(known)
    ]
    for row in range(rows):
        question, rest = kept[row % len(kept)]
        other = _NUMBER.sub(lambda each: str(chance.randrange(1, 10 ** len(each[0]))), question)
        rest = rest.replace(
            f'"question": {json.dumps(question)}', f'"question": {json.dumps(f"{other} ({row})")}'
        )
        yield f'{{"id": "{row}", {rest}\n'


def stages(file: Path, policies: Sequence[str]) -> dict[str, float]:
    """Seconds of the processor a question, by what they are spent on."""
    contenders = open_contenders(policies, os.environ)
    guides = [each.market.guides.get(each.policy_name) for each in contenders]
    probes = {stage.model.samples for guide in guides if guide is not None for stage in guide.stages}
    replayers, tally = [Replayer(each) for each in contenders], Tally()
    spent = dict.fromkeys(("reading", "forecasts", "probes", "decisions", "sums"), 0.0)
    questions, began = 0, time.process_time()

    def spend(what: str) -> None:
        nonlocal began
        now = time.process_time()
        spent[what] += (now - began) * (questions > 0)  # the first chunk gets things ready
        began = now

    for table in iter_outcomes(file, CHUNK_QUESTIONS):
        spend("reading")
        chunk = Chunk(table)
        for each, guide in zip(contenders, guides, strict=True):
            if guide is not None:
                chunk.forecast(each.forecasts or "", guide.predictor)
        spend("forecasts")
        for samples in probes:
            chunk.features(samples)
        spend("probes")
        decided = [each.decide(chunk) for each in replayers]
        spend("decisions")
        tally.add(table, decided)
        spend("sums")
        questions += len(table)
    counted = max(1, questions - CHUNK_QUESTIONS)
    return {what: seconds / counted for what, seconds in spent.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--outcomes", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--probes", choices=tuple(_SAMPLE), default="scores")
    parser.add_argument("--policy", action="append", metavar="FILE[:POLICY]")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--stages", action="store_true")
    asked = parser.parse_args()
    policies = asked.policy or ["abacus"]
    with TemporaryDirectory() as folder:
        file = Path(folder) / "traffic.jsonl"
        with file.open("w", encoding="utf-8") as out:
            out.writelines(traffic(questions(asked.outcomes, asked.probes), asked.rows))
        size = file.stat().st_size
        print(
            f"{asked.rows:,} questions, {size / 1e6:,.0f} MB, {size / asked.rows:,.0f} bytes each", flush=True
        )
        if asked.stages:
            gc.disable()  # as `gradus replay` does in its processes
            found = stages(file, policies)
            print(", ".join(f"{what} {1e6 * seconds:.0f}" for what, seconds in found.items()), end="")
            print(f": {1e6 * sum(found.values()):.0f} us a question")
        else:
            replay(file, policies, asked.rows, asked.processes)


def replay(file: Path, policies: Sequence[str], rows: int, processes: int) -> None:
    """The command, as it is."""
    command = [sys.executable, "-m", "gateway", "replay", str(file), "--processes", str(processes)]
    named = [part for each in policies for part in ("--policy", each)]
    began = time.monotonic()
    subprocess.run([*command, *named], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    seconds = time.monotonic() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = used.ru_utime + used.ru_stime
    print(
        f"{seconds:.1f} s in all, start included: {rows / seconds:,.0f} questions a second; "
        f"{cpu_s:.1f} s of processors, {1e6 * cpu_s / rows:.0f} us a question; "
        f"at most {used.ru_maxrss / 1024:,.0f} MiB a process"
    )


if __name__ == "__main__":
    main()
