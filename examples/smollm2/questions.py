"""Write questions that a chat model of 135M parameters can answer at times, for `gradus train` and bench.

python examples/smollm2/questions.py sums --count 32 --output train.jsonl
python examples/smollm2/questions.py sums --skip 32 --count 20 --output test.jsonl
python examples/smollm2/questions.py gsm8k --file gsm8k/test.jsonl --count 50 --output gsm8k.jsonl

The problems are reasoning-gym's, or those of a file of GSM8K. Each comes after examples of how it is to be
solved, a step a line: so small a model copies a form, but follows no instruction to keep one.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

SHOWN = {
    "sums": (
        ("What is 4 + 9?", "4 + 9 = 13\nThe answer is 13."),
        ("What is 7 - 5?", "7 - 5 = 2\nThe answer is 2."),
        ("What is 2 + 6?", "2 + 6 = 8\nThe answer is 8."),
    ),
    "gsm8k": (
        (
            "Tom has 3 boxes of 4 pens and loses 2 pens. How many pens are left?",
            "3 * 4 = 12\n12 - 2 = 10\nThe answer is 10.",
        ),
        (
            "Ann has 6 coins. Ben has twice as many. How many do they have together?",
            "2 * 6 = 12\n6 + 12 = 18\nThe answer is 18.",
        ),
    ),
}


def sums(seed: int) -> Iterator[tuple[str, str]]:
    """Sums and differences of two numbers of one digit, with their answers."""
    import reasoning_gym

    shown = {question for question, _ in SHOWN["sums"]}
    for row in reasoning_gym.create_dataset("chain_sum", seed=seed, size=10_000, max_terms=2, max_digits=1):
        question = f"What is {row['question'].split(': ')[-1].removesuffix(' =')}?"
        if question not in shown:
            yield question, row["answer"]


def gsm8k(file: Path) -> Iterator[tuple[str, str]]:
    """The rows of {"question", "answer"} of a file as it is published: the answer stands after "####"."""
    for line in file.read_text("utf-8").splitlines():
        row = json.loads(line)
        yield row["question"], row["answer"].split("####")[-1].strip()


def unlike(problems: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Each problem once."""
    seen = set()
    for problem in problems:
        if problem not in seen:
            seen.add(problem)
            yield problem


def main() -> None:
    """Write ``--count`` questions, none twice, after the first ``--skip``: so two files share none."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("task", choices=SHOWN)
    parser.add_argument("--count", type=int, default=32)
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--file", type=Path, help="of gsm8k")
    parser.add_argument("--output", type=Path, required=True)
    chosen = parser.parse_args()
    if chosen.task == "gsm8k" and chosen.file is None:
        parser.error("gsm8k needs --file")
    problems = gsm8k(chosen.file) if chosen.task == "gsm8k" else sums(chosen.seed)
    shown = "".join(f"Q: {question}\nA: {solution}\n\n" for question, solution in SHOWN[chosen.task])
    with chosen.output.open("w", encoding="utf-8") as out:
        for problem, answer in islice(unlike(problems), chosen.skip, chosen.skip + chosen.count):
            out.write(json.dumps({"question": f"{shown}Q: {problem}\nA:", "answer": answer}) + "\n")


if __name__ == "__main__":
    main()
