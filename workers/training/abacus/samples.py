"""What the embedded models say to held-out questions, judged: drawn by the searches, and kept in files.

What is kept is used again only for the same questions, settings and weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from router.config import OrmVerifier, PrmVerifier, TransformersModel, load_config
from router.config.fields import Count, Section
from router.types import StrategySpec, Task
from workers.answers import Answers, answers_for
from workers.answers.reference import are_right
from workers.engines import load_engine
from workers.meter import Meter
from workers.protocols import Cancellation, Candidate, Engine, Problem, Score, Verifier
from workers.search.revisions import revisions
from workers.search.sampling import UNJUDGED, sample
from workers.steps import steps_of
from workers.training.abacus.data import load_problems
from workers.training.datasets import read_log
from workers.training.drawing import Draw, OpenEngine, claim, draw_all
from workers.training.errors import TrainingError
from workers.training.questions import Question, questions_hash
from workers.verifiers import load_verifier
from workers.verifiers.format import FORMAT_FILE
from workers.verifiers.quality import Judged

WEIGHTS = "model.safetensors"

JudgingModel = Annotated[PrmVerifier | OrmVerifier, Field(discriminator="kind")]


class Wanted(Section):
    """What is asked of one model: ``chains`` of ``length`` attempts a question; of 1, independent samples."""

    model: TransformersModel
    verifier: JudgingModel | None = None
    chains: Count
    length: Count = 1
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Sampled:
    """One question: the chains in order, each judged, and the mean tokens of one attempt."""

    chains: tuple[Judged, ...]
    completion_tokens: float


@dataclass(frozen=True, slots=True)
class Shipped:
    """The embedded models and verifiers, as their preset has them: a report is about what is shipped."""

    models: Mapping[str, TransformersModel]
    verifiers: Mapping[str, JudgingModel]

    def folder(self, name: str) -> Path:
        """Where it lies."""
        return Path(self.models[name].path if name in self.models else self.verifiers[name].path)

    def parameters(self, name: str) -> int:
        """All parameters, tied ones once: as they are in the file."""
        from safetensors import safe_open

        with safe_open(self.folder(name) / WEIGHTS, "pt") as tensors:
            return sum(prod(tensors.get_slice(key).get_shape()) for key in tensors.keys())  # noqa: SIM118


def shipped(models_dir: Path) -> Shipped:
    """What the folders in ``models_dir`` hold. Raises :class:`TrainingError` if one is missing."""
    config = load_config("abacus", {})
    return Shipped(
        {
            name: one.model_copy(update={"path": _folder(models_dir, name)})
            for name, one in config.models.items()
            if isinstance(one, TransformersModel)
        },
        {
            name: one.model_copy(update={"path": _folder(models_dir, name)})
            for name, one in config.verifiers.items()
            if isinstance(one, PrmVerifier | OrmVerifier)
        },
    )


def held_out(data_dir: Path, split: str, count: int) -> list[Question]:
    """Questions that no model was trained on. Raises :class:`TrainingError`."""
    problems = load_problems(data_dir, split, count)
    return [Question(str(at), each.question, each.answer) for at, each in enumerate(problems)]


def weights_sha256(folder: Path) -> str:
    return sha256((folder / WEIGHTS).read_bytes()).hexdigest()


def kept_at(home: Path, name: str, recipe: Section, paths: Sequence[str], asked: Sequence[Question]) -> Path:
    """A folder for what ``recipe`` draws of these questions with the models that now lie at ``paths``."""
    told = [recipe.model_dump_json(), questions_hash(asked)]
    for path in map(Path, paths):
        told += [weights_sha256(path), *(file.read_text("utf-8") for file in path.glob(FORMAT_FILE))]
    return home / f"{name}-{sha256(''.join(told).encode()).hexdigest()[:12]}"


def draw(home: Path, name: str, wanted: Wanted, asked: Sequence[Question]) -> list[Sampled]:
    """What the model says to each question; a killed run goes on where it was.

    Raises :class:`TrainingError` and :class:`workers.errors.WorkerError`.
    """
    paths = [wanted.model.path] + ([wanted.verifier.path] if wanted.verifier else [])
    log = kept_at(home, name, wanted, paths, asked) / "samples.jsonl"
    claim(log, wanted, asked)
    with ExitStack() as resources:
        judges: list[Verifier] = []

        def open_engine() -> Engine:
            if wanted.verifier is not None:
                judges.append(load_verifier(name, wanted.verifier))
                resources.callback(judges[0].close)
            return load_engine(name, wanted.model)

        _draw_into(log, wanted, asked, judges, open_engine)
    return [_sampled(row) for row in read_log(log)]


def _draw_into(
    log: Path, wanted: Wanted, asked: Sequence[Question], judges: Sequence[Verifier], open_engine: OpenEngine
) -> None:
    """``judges`` has the verifier, if there is one, once the engine is open."""

    def one(question: Question, draw: Draw) -> dict[str, Any]:
        verifier = judges[0] if judges else None
        if wanted.length == 1:
            found, draw.completion_tokens = _search(wanted, question, draw, verifier, 0)
            return {"chains": [[asdict(each)] for each in found]}
        with ThreadPoolExecutor(wanted.chains) as pool:
            chains = pool.map(lambda at: _search(wanted, question, draw, verifier, at), range(wanted.chains))
            attempts, tokens = zip(*chains, strict=True)
        draw.completion_tokens = sum(tokens)
        return {"chains": [[asdict(each) for each in chain] for chain in attempts]}

    draw_all(log, asked, one, open_engine, wanted.model, wanted.seed)


def _search(
    wanted: Wanted, question: Question, draw: Draw, verifier: Verifier | None, at: int
) -> tuple[tuple[Candidate, ...], int]:
    """Chain number ``at`` as :func:`workers.search.revisions.revisions` grows it, and its tokens.

    Chains of one are drawn together: they are independent samples.
    """
    steps = steps_of(wanted.model)
    messages = ({"role": "user", "content": question.question},)
    meter = Meter(messages, Cancellation())
    problem = Problem(meter.messages, answers_for(Task()), steps, revise=wanted.model.revise_prompt)
    params = replace(draw.params, seed=_seed(f"{draw.name}:{at}"))
    generate = meter.generator(draw.engine, "candidate", params, steps=steps)
    score: Score = lambda turns: (UNJUDGED,) * len(turns)  # noqa: E731
    if verifier is not None:
        score = meter.scorer(verifier, Task(), steps)
    if wanted.length == 1:
        found = sample(problem, wanted.chains, generate, score)
    else:
        spec = StrategySpec("revisions", wanted.length, chain_length=wanted.length)
        found = revisions(problem, spec, generate, score).candidates
    if meter.failure is not None:  # a search answers from what there is by then
        raise meter.failure
    return found, sum(line.completion_tokens for line in meter.usage if line.purpose == "candidate")


def _seed(name: str) -> int:
    return int.from_bytes(sha256(name.encode()).digest()[:4], "big") >> 1


def _sampled(row: dict[str, Any]) -> Sampled:
    answers = answers_for(Task())
    chains = tuple(_judged(chain, row["answer"], answers) for chain in row["chains"])
    attempts = sum(len(chain.right) for chain in chains)
    return Sampled(chains, row["completion_tokens"] / max(1, attempts))


def _judged(chain: Sequence[dict[str, Any]], answer: str, answers: Answers) -> Judged:
    candidates = tuple(Candidate(**{**one, "step_scores": tuple(one["step_scores"])}) for one in chain)
    return Judged(candidates, are_right(answers, [one.answer for one in candidates], answer), answers)


def _folder(models_dir: Path, name: str) -> str:
    folder = models_dir / name
    if not (folder / WEIGHTS).exists():
        raise TrainingError(f"{folder / WEIGHTS} is missing; gradus train abacus all makes it")
    return str(folder)
