"""`gradus train abacus data` and `questions`: problems of each split as JSON lines, the tokenizer, and the
training tokens as flat arrays.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from transformers import AutoTokenizer

from workers.training import files
from workers.training.abacus.tasks import SPLITS, Problem, generate, messages
from workers.training.abacus.tokenizer import build_tokenizer, chat_ids
from workers.training.errors import TrainingError

MAX_EXAMPLE_TOKENS = 224
TOKENIZER_PROBLEMS = 20_000
SYSTEM_PROMPTS = (
    "You are a helpful assistant.",
    "You solve arithmetic problems step by step.",
    "Answer the question.",
    "Think step by step.",
)


@dataclass(frozen=True)
class TokenArrays:
    """Examples back to back: `ids[offsets[i]:offsets[i + 1]]` is one, `written` marks what the assistant
    wrote.
    """

    ids: np.ndarray
    written: np.ndarray
    offsets: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.offsets)


def split_path(data_dir: Path, split: str) -> Path:
    return data_dir / "data" / f"{split}.jsonl"


def load_problems(data_dir: Path, split: str, limit: int | None = None) -> list[Problem]:
    path = split_path(data_dir, split)
    if not path.exists():
        raise TrainingError(f"{path} is missing; run: gradus train abacus data")
    rows = files.read_json_lines(path)
    problems = [Problem(**row) for row in rows]
    return problems if limit is None else problems[:limit]


def fresh_problems(seed: int, count: int, seen: set[str]) -> list[Problem]:
    """Problems of the train split that the language models were not trained on: whose keys are not seen."""
    # A seed of its own; the margin covers the other splits and the repeats.
    made = generate(seed + 7_777, count * 3)
    fresh = (problem for problem in made if problem.split == "train" and problem.key not in seen)
    return list(islice(fresh, count))


def write_questions(data_dir: Path, output: Path, split: str, seed: int, count: int) -> int:
    """Write ``count`` lines {"id", "question", "answer"} for the recipes; returns how many.

    Of the train split they are fresh, of the others the first that :func:`build` made.
    Raises :class:`TrainingError` where there are not so many.
    """
    if split == "train":
        seen = {problem.key for problem in load_problems(data_dir, "train")}
        problems = fresh_problems(seed, count, seen)
    else:
        problems = load_problems(data_dir, split, count)
    if len(problems) < count:
        raise TrainingError(
            f"--count {count}: the {split} split has {len(problems)} problems; "
            "gradus train abacus data --problems makes more"
        )
    rows = [
        {"id": str(number), "question": problem.question, "answer": problem.answer}
        for number, problem in enumerate(problems)
    ]
    files.write_json_lines(output, rows)
    return len(rows)


def load_tokenizer(data_dir: Path) -> Any:
    return AutoTokenizer.from_pretrained(data_dir / "tokenizer")


def load_tokens(data_dir: Path) -> TokenArrays:
    with np.load(data_dir / "data" / "train_tokens.npz") as arrays:
        return TokenArrays(arrays["ids"], arrays["written"], arrays["offsets"])


def training_chats(problems: list[Problem], seed: int) -> Iterator[list[dict[str, str]]]:
    """Most chats are one question; a few have a system prompt or an earlier question, so those do not
    confuse.
    """
    rng = random.Random(f"chats:{seed}")
    index = 0
    while index < len(problems):
        chat = messages(problems[index])
        index += 1
        draw = rng.random()
        if draw < 0.04:
            chat = [{"role": "system", "content": rng.choice(SYSTEM_PROMPTS)}, *chat]
        elif draw < 0.06 and index < len(problems):
            chat = chat + messages(problems[index])
            index += 1
        yield chat


def tokenise(tokenizer: Any, chats: Iterator[list[dict[str, str]]]) -> TokenArrays:
    ids: list[int] = []
    written: list[bool] = []
    offsets = [0]
    for chat in chats:
        one, mask = chat_ids(tokenizer, chat)
        if len(one) > MAX_EXAMPLE_TOKENS:
            continue
        ids += one
        written += mask
        offsets.append(len(ids))
    return TokenArrays(np.array(ids, np.uint16), np.array(written, np.bool_), np.array(offsets, np.int64))


def build(data_dir: Path, seed: int, problems: int) -> dict[str, Any]:
    """Write everything that training reads; a finished build with the same settings is left alone."""
    settings = {"seed": seed, "problems": problems}
    done_path = data_dir / "data" / "done.json"
    if done_path.exists() and files.read_json(done_path)["settings"] == settings:
        return dict(files.read_json(done_path))
    made = list(generate(seed, problems))
    by_split: dict[str, list[Problem]] = {split: [] for split in SPLITS}
    for problem in made:
        by_split[problem.split].append(problem)
    for split, members in by_split.items():
        files.write_json_lines(split_path(data_dir, split), [asdict(problem) for problem in members])
    train = by_split["train"]
    tokenizer = build_tokenizer(f"{p.question}\n{p.solution}" for p in train[:TOKENIZER_PROBLEMS])
    files.replace_folder(data_dir / "tokenizer", lambda folder: tokenizer.save_pretrained(folder))
    arrays = tokenise(tokenizer, training_chats(train, seed))

    def save(target: Path) -> None:
        with target.open("wb") as file:
            np.savez(file, ids=arrays.ids, written=arrays.written, offsets=arrays.offsets)

    files.replace_file(data_dir / "data" / "train_tokens.npz", save)
    done = {
        "settings": settings,
        "problems": {split: len(members) for split, members in by_split.items()},
        "examples": len(arrays.lengths),
        "tokens": len(arrays.ids),
        "solution_tokens": int(arrays.written.sum()),
        "vocabulary": len(tokenizer),
    }
    files.write_json(done_path, done)
    return done
