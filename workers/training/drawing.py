"""Samples of many questions through an engine, a row of a log a question; a killed run goes on where it was.

Several questions are drawn at once, so that the engine's batch stays full; the log keeps their order. What is
drawn for a question depends on the recipe's seed and the question's place, on nothing that ran before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from router.config import OpenAIModel, SearchedModel
from router.config.fields import Section
from router.types import Task
from workers.answers import answers_for
from workers.answers.reference import read_reference
from workers.errors import ContextOverflow, InvalidMessages
from workers.protocols import Completion, Engine, Prompt, SamplingParams
from workers.training import files
from workers.training.datasets import read_log
from workers.training.errors import TrainingError
from workers.training.questions import Question, questions_hash
from workers.training.recipes import Comparing, recipe_text

AT_ONCE = 8
"""Questions that are drawn side by side: they decode together."""

OpenEngine = Callable[[], Engine]
"""Loads the engine; not called where nothing is left to draw."""


@dataclass(slots=True)
class Draw:
    """Draws for one question; each batch is seeded by ``name`` and its number. Counts the tokens."""

    engine: Engine
    params: SamplingParams
    name: str
    batches: int = 0
    completion_tokens: int = 0

    def __call__(self, prompts: Sequence[Prompt]) -> tuple[Completion, ...]:
        if not prompts:
            return ()
        self.batches += 1
        # 31 bits: what every server takes for a seed.
        digest = hashlib.sha256(f"{self.name}:{self.batches}".encode()).digest()
        seed = int.from_bytes(digest[:4], "big") >> 1
        done = self.engine.generate(prompts, replace(self.params, seed=seed))
        self.completion_tokens += done.completion_tokens
        return done.completions

    def fits(self, prompt: Prompt) -> bool:
        return self.engine.count_tokens(prompt) < self.engine.context_tokens


One = Callable[[Question, Draw], dict[str, Any]]
"""What is drawn for one question: the fields of its row beside "id", "question" and "answer"."""


def claim(
    log: Path, recipe: Section, questions: Sequence[Question], after_drawing: Collection[str] = ()
) -> None:
    """Say beside ``log`` what it holds, or, once it holds something, check that it says the same.

    The fields ``after_drawing`` of the recipe may change: they say what is made of what was drawn.
    Raises :class:`TrainingError` if it holds the work of another command or recipe, on other questions, or by
    a model that was trained anew since.
    """
    drawn = recipe.model_dump(mode="json", exclude=set(after_drawing))
    weights = files.weights_digest(getattr(getattr(recipe, "model", None), "path", ""))
    about: dict[str, Any] = {
        "log": log.name,
        "recipe": drawn,
        "questions_sha256": questions_hash(questions),
        "weights": weights,
    }
    folder, file = log.parent, log.with_name("about.json")
    there = files.read_json(file) if file.exists() else about
    theirs = log.with_name(there.get("log", log.name))
    if not file.exists() or next(read_log(theirs), None) is None:
        files.write_json(file, about)
        there, theirs = about, log
    if theirs.name != log.name:
        raise TrainingError(
            f"{folder}: holds {theirs.name}, the work of another command; choose another --output"
        )
    if there.get("recipe") != drawn:
        key, theirs, ours = _first_difference(there.get("recipe"), drawn)
        raise TrainingError(
            f"{folder}: holds the work of another recipe: {key} is {theirs!r} there, and {ours!r} in this "
            "one; choose another --output"
        )
    if there.get("questions_sha256") != about["questions_sha256"]:
        raise TrainingError(f"{folder}: holds the work on other questions; choose another --output")
    if there.get("weights", weights) != weights:
        raise TrainingError(
            f"{folder}: was drawn from a model whose weights have changed since; choose another --output"
        )
    files.replace_file(folder / "recipe.yaml", lambda path: path.write_text(recipe_text(recipe), "utf-8"))


def check_references(questions: Sequence[Question], task: Comparing) -> None:
    """Raises :class:`TrainingError` for a reference that cannot be read: every sample would be wrong."""
    for question in questions:
        if read_reference(answers_for(Task(task)), question.answer) is None:
            raise TrainingError(
                f"question {question.id}: its answer {question.answer!r} cannot be read as task {task!r} "
                "reads answers; mend it, or choose another task"
            )


def draw_all(
    log: Path,
    questions: Sequence[Question],
    one: One,
    open_engine: OpenEngine,
    model: SearchedModel,
    seed: int,
) -> None:
    """Have a row of every question in ``log``, in order; rows that are there are kept.

    Raises :class:`TrainingError` if they are of other questions, or a question is too long for the model, and
    :class:`workers.errors.WorkerError` where the engine fails.
    """
    from tqdm import tqdm

    done = _rows_done(log, questions)
    if done == len(questions):
        return
    limit = model.completion_limit(None)
    if limit is None:
        raise TrainingError("model.max_tokens is missing: a sample needs a limit")
    params = SamplingParams(limit, model.temperature)
    engine = open_engine()

    def row(at: int) -> dict[str, Any]:
        question = questions[at]
        draw = Draw(engine, params, f"{seed}:{at}")
        try:
            drawn = one(question, draw)
        except (ContextOverflow, InvalidMessages) as error:
            raise TrainingError(f"question {question.id}: {error}") from error
        named = {"id": question.id, "question": question.question, "answer": question.answer}
        return {**named, **drawn, "completion_tokens": draw.completion_tokens}

    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        progress = tqdm(total=len(questions), initial=done, unit="question", desc=log.stem)
        with progress, log.open("a", encoding="utf-8") as out:
            for each in pool.map(row, range(done, len(questions))):
                out.write(json.dumps(each) + "\n")
                out.flush()
                progress.update()
    finally:
        # What has not begun is not worth waiting for after an error or Ctrl-C.
        pool.shutdown(cancel_futures=True)
        engine.close()


def model_name(model: SearchedModel) -> str:
    """What a card calls the model that was sampled."""
    return model.deployed[0].model if isinstance(model, OpenAIModel) else model.path


def tokens_drawn(rows: Sequence[dict[str, Any]]) -> int | None:
    """Of all rows; ``None`` where one does not say."""
    counts = [row.get("completion_tokens") for row in rows]
    return None if None in counts else sum(count for count in counts if count is not None)


def _rows_done(log: Path, questions: Sequence[Question]) -> int:
    done = 0
    for number, row in enumerate(read_log(log), start=1):
        wanted = questions[done] if done < len(questions) else None
        if wanted is None or (str(row.get("id")), row.get("question")) != (wanted.id, wanted.question):
            raise TrainingError(f"{log}:{number}: is not of a question asked for; choose another --output")
        done += 1
    return done


def _first_difference(one: Any, other: Any) -> tuple[str, Any, Any]:
    ours, theirs = dict(_flat(other, "")), dict(_flat(one, ""))
    keys = [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]
    return keys[0], theirs.get(keys[0]), ours.get(keys[0])


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict):
        yield path, value
        return
    for key, each in value.items():
        yield from _flat(each, f"{path}.{key}" if path else key)
