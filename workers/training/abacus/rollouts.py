"""`gradus train rollouts`: soft step labels by Monte Carlo rollouts (Snell et al. 2024, Algorithm 1)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from workers.training import files
from workers.training.abacus.sampling import SamplingSettings, sample
from workers.training.abacus.steps import STEP_SEPARATOR, parse_answer
from workers.training.abacus.tasks import Problem
from workers.training.abacus.tokenizer import prompt_ids

CHUNK_QUESTIONS = 16

Continue = Callable[[list[tuple[str, str]], int], list[list[str]]]
"""Given (question, partial solution) pairs and a number of copies: the texts that were added, for each pair.
"""


@dataclass(frozen=True)
class RolloutSettings:
    """Sizes of Algorithm 1."""

    seed: int = 1
    questions: int = 656
    samples: int = 16
    rollouts: int = 16


def step_prefixes(text: str) -> list[str]:
    """The solution up to the end of each step but the last, which is the answer and needs no rollout."""
    lines = text.split(STEP_SEPARATOR)
    return ["".join(line + STEP_SEPARATOR for line in lines[:count]) for count in range(1, len(lines))]


def soft_labels(text: str, answer: str, share_right: dict[str, float]) -> list[float]:
    """One label a step: the share of rollouts from its end that were right; for the last, right or wrong."""
    return [*(share_right[prefix] for prefix in step_prefixes(text)), float(parse_answer(text) == answer)]


def label_questions(
    problems: Sequence[Problem], samples: int, rollouts: int, go_on: Continue
) -> list[list[dict[str, Any]]]:
    """For each question its distinct samples as {"text", "count", "labels"}.

    Samples without an answer are dropped. A prefix that several samples share is rolled out once.
    """
    drawn = go_on([(problem.question, "") for problem in problems], samples)
    kept = [Counter(text for text in texts if parse_answer(text) is not None) for texts in drawn]
    prefixes = [sorted({prefix for text in texts for prefix in step_prefixes(text)}) for texts in kept]
    pairs = [(p.question, prefix) for p, own in zip(problems, prefixes, strict=True) for prefix in own]
    added = iter(go_on(pairs, rollouts))
    labelled = []
    for problem, texts, own in zip(problems, kept, prefixes, strict=True):
        share_right = {
            prefix: sum(parse_answer(prefix + end) == problem.answer for end in ends) / rollouts
            for prefix, ends in ((prefix, next(added)) for prefix in own)
        }
        labelled.append(
            [
                {"text": text, "count": count, "labels": soft_labels(text, problem.answer, share_right)}
                for text, count in texts.items()
            ]
        )
    return labelled


def model_continue(model: Any, tokenizer: Any, settings: SamplingSettings, seed: int) -> Continue:
    """Continuations by a language model; every call of the returned function draws anew."""
    calls = 0

    def go_on(pairs: list[tuple[str, str]], copies: int) -> list[list[str]]:
        nonlocal calls
        calls += 1
        prompts = [prompt_ids(tokenizer, question, partial) for question, partial in pairs]
        drawn = sample(
            model, prompts, settings, copies=copies, eos=tokenizer.eos_token_id, seed=seed * 1_000_003 + calls
        )
        return [tokenizer.batch_decode(written, skip_special_tokens=True) for written in drawn]

    return go_on


def run(
    model: Any,
    tokenizer: Any,
    problems: Sequence[Problem],
    path: Path,
    settings: RolloutSettings,
    sampling: SamplingSettings,
) -> list[dict[str, Any]]:
    """Label all problems into a JSON-lines file, a row a question; rows that are there are kept."""
    done = list(files.read_json_lines(path)) if path.exists() else []
    # A chunk is appended in one write, but a kill may cut it: whole chunks only.
    done = done[: len(done) - len(done) % CHUNK_QUESTIONS] if len(done) < len(problems) else done
    files.write_json_lines(path, done)
    progress = tqdm(total=len(problems), initial=len(done), unit="question", desc="rollouts")
    for begin in range(len(done), len(problems), CHUNK_QUESTIONS):
        chunk = problems[begin : begin + CHUNK_QUESTIONS]
        go_on = model_continue(model, tokenizer, sampling, settings.seed * 10_007 + begin)
        labelled = label_questions(chunk, settings.samples, settings.rollouts, go_on)
        rows = [
            {
                "question": problem.question,
                "answer": problem.answer,
                "family": problem.family,
                "samples": samples,
            }
            for problem, samples in zip(chunk, labelled, strict=True)
        ]
        with path.open("a") as file:
            file.write("".join(json.dumps(row) + "\n" for row in rows))
        done += rows
        progress.update(len(chunk))
    progress.close()
    return done
