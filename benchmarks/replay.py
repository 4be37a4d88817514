"""How fast `gradus replay` is: generated traffic of any size, the real command, rows a second and memory.

    python -m benchmarks.replay --outcomes outcomes/outcomes.jsonl --policy gradus.yaml --policy abacus:cheap
    python -m benchmarks.replay --outcomes outcomes/outcomes.jsonl --rows 1000000 --probes all

The rows are the given outcomes (docs/outcomes.md) again and again, one a question, each with other numbers in
its prompt: no two prompts are the same, so nothing is saved by remembering. ``--probes`` says what they have
of the probe: nothing, its samples' answers, scores and lengths, or all (the scores of their steps too).
Seconds of the processor are counted besides those of the clock, for machines that do something else too.
"""

from __future__ import annotations

import argparse
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

from router.outcomes import SMALL

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--outcomes", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--probes", choices=tuple(_SAMPLE), default="scores")
    parser.add_argument("--policy", action="append", metavar="FILE[:POLICY]")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    asked = parser.parse_args()
    policies = [part for each in asked.policy or ["abacus"] for part in ("--policy", each)]
    with TemporaryDirectory() as folder:
        file = Path(folder) / "traffic.jsonl"
        with file.open("w", encoding="utf-8") as out:
            out.writelines(traffic(questions(asked.outcomes, asked.probes), asked.rows))
        size = file.stat().st_size
        print(
            f"{asked.rows:,} questions, {size / 1e6:,.0f} MB, {size / asked.rows:,.0f} bytes each", flush=True
        )
        command = [sys.executable, "-m", "gateway", "replay", str(file), "--processes", str(asked.processes)]
        began = time.monotonic()
        subprocess.run([*command, *policies], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        seconds = time.monotonic() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = used.ru_utime + used.ru_stime
    print(
        f"{seconds:.1f} s in all, start included: {asked.rows / seconds:,.0f} questions a second; "
        f"{cpu_s:.1f} s of processors, {1e6 * cpu_s / asked.rows:.0f} us a question; "
        f"at most {used.ru_maxrss / 1024:,.0f} MiB a process"
    )


if __name__ == "__main__":
    main()
