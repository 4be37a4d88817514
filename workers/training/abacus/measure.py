"""Many samples of held-out problems, and what they say: pass@k, majority, verifier-weighted best-of-N,
difficulty.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from workers.training import files
from workers.training.abacus.sampling import SamplingSettings, sample
from workers.training.abacus.steps import parse_answer
from workers.training.abacus.tasks import Problem
from workers.training.abacus.tokenizer import prompt_ids
from workers.training.errors import TrainingError

CHUNK_QUESTIONS = 64


def pass_at_k(samples: int, right: int, k: int) -> float:
    """The unbiased estimator 1 - C(n - c, k) / C(n, k) (Chen et al. 2021; quoted in Brown et al. 2024)."""
    return 1.0 - comb(samples - right, k) / comb(samples, k)


def majority_answer(answers: Sequence[str | None]) -> str | None:
    """The most frequent answer; a tie goes to the one that came first."""
    return weighted_answer(answers, [1.0] * len(answers))


def weighted_answer(answers: Sequence[str | None], scores: Sequence[float]) -> str | None:
    """Best-of-N weighted (Snell et al., Algorithm 2): the answer whose samples have the largest sum of
    scores.
    """
    totals: defaultdict[str, float] = defaultdict(float)
    for answer, score in zip(answers, scores, strict=True):
        if answer is not None:
            totals[answer] += score
    return max(totals, key=totals.__getitem__) if totals else None


def quintile_of(pass_rates: Sequence[float]) -> np.ndarray:
    """0 for the easiest fifth of the questions to 4 for the hardest, by pass@1 (Snell et al., 3.2)."""
    order = np.argsort(-np.asarray(pass_rates), kind="stable")
    quintiles = np.empty(len(order), np.int64)
    for rank, part in enumerate(np.array_split(order, 5)):
        quintiles[part] = rank
    return quintiles


def draw_samples(
    model: Any,
    tokenizer: Any,
    problems: Sequence[Problem],
    path: Path,
    *,
    samples: int,
    settings: SamplingSettings,
    seed: int,
    label: str,
) -> list[dict[str, Any]]:
    """`samples` solutions of every problem, as rows of a JSON-lines file; rows already there are kept.

    A row is {"question", "answer", "texts", "tokens"}: a text without its end token was cut off at the limit.
    """
    # Like lengths side by side: a batch decodes until its longest row is done.
    order = np.argsort([len(p.question) for p in problems], kind="stable").tolist()
    chunks = [order[begin : begin + CHUNK_QUESTIONS] for begin in range(0, len(order), CHUNK_QUESTIONS)]
    rows = {int(row["index"]): row for row in files.read_json_lines(path)} if path.exists() else {}
    if any(
        len(row["texts"]) != samples or row["question"] != problems[i].question for i, row in rows.items()
    ):
        raise TrainingError(f"{path} holds samples of something else; move it away")
    # A chunk that a kill cut short is drawn again as a whole, so its seed gives the same samples.
    whole = [chunk for chunk in chunks if all(index in rows for index in chunk)]
    rows = {index: rows[index] for chunk in whole for index in chunk}
    files.write_json_lines(path, list(rows.values()))
    progress = tqdm(total=len(problems), initial=len(rows), unit="question", desc=label)
    for number, chunk in enumerate(chunks):
        if chunk[0] in rows:
            continue
        prompts = [prompt_ids(tokenizer, problems[i].question) for i in chunk]
        eos = tokenizer.eos_token_id
        drawn = sample(model, prompts, settings, copies=samples, eos=eos, seed=seed * 1_000_003 + number)
        for index, written in zip(chunk, drawn, strict=True):
            rows[index] = {
                "index": index,
                "question": problems[index].question,
                "answer": problems[index].answer,
                "texts": tokenizer.batch_decode(written, skip_special_tokens=True),
                "tokens": [len(ids) for ids in written],
            }
            files.append_json_line(path, rows[index])
        progress.update(len(chunk))
    progress.close()
    return [rows[index] for index in range(len(problems))]


def right_counts(rows: Sequence[dict[str, Any]]) -> np.ndarray:
    """How many samples of each question end in the right answer."""
    return np.array([sum(parse_answer(text) == row["answer"] for text in row["texts"]) for row in rows])
