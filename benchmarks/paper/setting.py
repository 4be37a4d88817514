"""What is reproduced on what: questions, models, sizes, and where everything that was drawn is kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from rich.progress import Progress

from benchmarks.paper.deck import Deck, append_lines, read_lines
from benchmarks.paper.memo import CountingVerifier, MemoVerifier
from benchmarks.paper.tape import TapeEngine
from router.artifacts import weights_sha256
from router.config import Config
from router.market import Market, open_market
from router.types import Task
from workers.answers import answers_for
from workers.answers.port import Answers
from workers.answers.reference import are_right
from workers.bench.questions import abacus_questions
from workers.executor import Model
from workers.training.questions import Question

AT_ONCE = 16
"""Questions side by side: they decode together."""
TASK = Task("number")


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything. ``repeats`` says how often each search of a budget is run, on other draws."""

    name: str
    questions: int
    difficulty_samples: int
    budgets: tuple[int, ...] = (4, 16, 64, 256)
    repeats: tuple[int, ...] = (4, 2, 1, 1)
    coverage_samples: int = 256
    probes: int = 16
    large_questions: int = 50
    large_samples: int = 64


SIZES = {
    "small": Size("small", questions=200, difficulty_samples=128),
    "full": Size("full", questions=500, difficulty_samples=2048, large_questions=200, large_samples=256),
}


@dataclass(frozen=True, slots=True)
class Setting:
    """All that an experiment needs. ``small``, ``large`` and ``verifier`` are names of the configuration."""

    size: Size
    folder: Path
    config: Config
    market: Market
    models: Mapping[str, Model]
    verifiers: Mapping[str, CountingVerifier]
    questions: Sequence[Question]
    progress: Progress
    small: str
    large: str
    verifier: str
    seed: int = 1
    rollouts: Path = Path()
    """The data set of attempts that verifiers are trained on (experiment 6)."""

    def each(
        self,
        name: str,
        about: Mapping[str, Any],
        uses: Sequence[str],
        function: Callable[[Sitting], Any],
        count: int | None = None,
    ) -> list[Any]:
        """``function`` of each question (of the first ``count``), as JSON values, in order.

        They are kept in ``rows/NAME.jsonl``, and only what is missing there is run. Where the questions, the
        weights of the models and verifiers that it ``uses``, or what it is ``about`` changed, all are run
        again.
        """
        file = self.folder / "rows" / f"{name}.jsonl"
        weights = {each: self.weights(each) for each in uses}
        heading = {"about": json.loads(json.dumps(about)), "weights": weights, "asked": self._asked()}
        found = read_lines(file)
        if not found or found[0] != heading:
            file.unlink(missing_ok=True)
            append_lines(file, [heading])
            found = [heading]
        values = {line["question"]: line["value"] for line in found[1:]}
        wanted = range(min(len(self.questions), count or len(self.questions)))
        missing = [at for at in wanted if at not in values]
        if missing:
            with ThreadPoolExecutor(AT_ONCE) as pool:
                done = pool.map(lambda at: (at, function(Sitting(self, at))), missing)
                for at, value in self.progress.track(done, total=len(missing), description=name):
                    values[at] = value
                    append_lines(file, [{"question": at, "value": value}])
        return [values[at] for at in wanted]

    def weights(self, name: str) -> str:
        """A digest of the weights of a model or verifier of the configuration, or of where they lie."""
        configured = self.config.models.get(name) or self.config.verifiers[name]
        path = str(getattr(configured, "path", name))
        return _weights(path)

    def _asked(self) -> str:
        return _digest(json.dumps([self.seed, *(asdict(each) for each in self.questions)]))


class Sitting:
    """One question, on its own decks. For one thread."""

    def __init__(self, setting: Setting, at: int) -> None:
        self.setting = setting
        self.at = at
        self.question = setting.questions[at]
        self.messages = ({"role": "user", "content": self.question.question},)
        self.answers: Answers = answers_for(TASK)
        self._decks: dict[tuple[str, str], Deck] = {}
        self._memos: dict[str, MemoVerifier] = {}

    def model(self, name: str, purpose: str = "search") -> Model:
        """The model on tape: each call is a new run, dealt from the top of every stack.

        Another ``purpose`` is another deck: draws that no search sees.
        """
        model = self.setting.models[name]
        key = (name, purpose)
        if key not in self._decks:
            file = self._file("tape", name, f"-{purpose}")
            seed = f"{self.setting.seed} {purpose} {self.question.question}"
            self._decks[key] = Deck(file, int(_digest(seed)[:12], 16))
        return Model(TapeEngine(model.engine, self._decks[key], model.steps.separator), model.config)

    def judge(self, name: str) -> MemoVerifier:
        """The verifier with its memory of this question."""
        if name not in self._memos:
            self._memos[name] = MemoVerifier(self.setting.verifiers[name], self._file("scores", name, ""))
        return self._memos[name]

    def is_right(self, answer: str | None) -> bool:
        return are_right(self.answers, [answer], self.question.answer)[0]

    def _file(self, kind: str, name: str, suffix: str) -> Path:
        folder = self.setting.folder / kind / f"{name}-{self.setting.weights(name)}"
        return folder / f"{_digest(self.question.question)[:16]}{suffix}.jsonl"


def open_setting(
    size: Size, folder: Path, rollouts: Path, config: Config, resources: ExitStack, progress: Progress
) -> Setting:
    """Load the models and verifiers of a configuration's default policy; ``resources`` closes them."""
    from workers.bootstrap import load_models, load_verifiers

    policy = config.policies["default"]
    assert policy.large is not None, "the preset has a large model"
    return Setting(
        size=size,
        folder=folder / size.name,
        config=config,
        market=open_market(config),
        models=load_models(config, resources),
        verifiers=load_verifiers(config, resources),  # type: ignore[arg-type]
        questions=abacus_questions(size.questions),
        progress=progress,
        small=policy.small,
        large=policy.large,
        verifier=policy.verifier,
        rollouts=rollouts,
    )


@cache
def _weights(path: str) -> str:
    return (weights_sha256(path) or _digest(path))[:12]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
