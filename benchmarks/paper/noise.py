"""6. Noisy labels, few, and none: process reward models trained on labels of which some are turned around.

Snell et al. 2024, appendix K. They are trained as the embedded one is, on the attempts that
`gradus train rollouts abacus-rollouts` wrote, and judge samples that are on tape. The same is done with parts
of the data, and without labels by the likelihood that models of two sizes give to a turn: what is missing at
this scale, better labels, more of them, or parameters?
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.paper import noise_figures
from benchmarks.paper.difficulty import BINS, difficulties
from benchmarks.paper.likelihood import Likelihood
from benchmarks.paper.samples import Draws, said
from benchmarks.paper.samples import draw as turns
from benchmarks.paper.scale import by_budget
from benchmarks.paper.setting import TASK, Setting, Sitting
from benchmarks.paper.statistics import Values, mean_interval
from benchmarks.paper.tables import cell, number, table
from router.config import TransformersModel
from workers.protocols import Prompt, Verifier
from workers.training.datasets import ATTEMPTS, Attempt, data_hash, read_attempts, write_attempts
from workers.verifiers.quality import auc

TITLE = "Noisy labels, few labels, and none"
RECIPE = "abacus-prm"
_CONTEXT_TOKENS = 512
_RANDOM = "random scores"
_SHOWN = (4, 16, 64, 256)


@dataclass(frozen=True, slots=True)
class Trained:
    """A verifier that is trained here: how many labels are turned around, and on what part of the data."""

    flipped: float
    share: float = 1.0

    @property
    def name(self) -> str:
        return f"{self.flipped:.0%} flipped" if self.flipped else f"{self.share:.0%} of the data"


@dataclass(frozen=True, slots=True)
class Extent:
    """Which verifiers are trained, on how many questions (``None``: all), and what they judge.

    ``epochs`` ``None`` are those of the recipe.
    """

    flipped: tuple[float, ...]
    shares: tuple[float, ...]
    training_questions: int | None
    epochs: int | None
    samples: int
    questions: int

    def trained(self) -> list[Trained]:
        """The one without noise on all data comes first: it belongs to both rows."""
        noisy = [Trained(flipped) for flipped in self.flipped if flipped]
        return [Trained(0.0), *noisy, *(Trained(0.0, share) for share in self.shares if share < 1)]


SMALL = Extent((0.0, 0.2, 0.35, 0.5), (0.25, 0.5, 1.0), 300, 4, 64, 100)
FULL = Extent((0.0, 0.1, 0.2, 0.3, 0.4, 0.5), (0.125, 0.25, 0.5, 1.0), None, None, 256, 500)


def extent_of(setting: Setting) -> Extent:
    return FULL if setting.size.name.startswith("full") else SMALL


def run(setting: Setting) -> dict[str, Any]:
    """AUC and best-of-N of every verifier trained here, of the embedded one, and of random scores."""
    if not (setting.rollouts / ATTEMPTS).is_file():
        drawing = (
            "`gradus train abacus data`, `gradus train abacus questions --count 3000 --output q.jsonl`, "
            f"`gradus train rollouts abacus-rollouts --questions q.jsonl --output {setting.rollouts}`"
        )
        return {"skipped": f"there are no rollouts to train verifiers on; draw them (--rollouts): {drawing}"}
    extent = extent_of(setting)
    drawn = [Draws(**each) for each in _draws(setting, extent)]
    bins = np.array(difficulties(setting).oracle[: len(drawn)])
    votes = [np.ones(len(each.right)) for each in drawn]
    majority = by_budget(drawn, votes, weighted=True)
    attempts = learned_from(setting, extent)
    found = [_told("majority", {}, drawn, None, majority, bins)]
    for name, about, scores in _verifiers(setting, extent, attempts, drawn):
        found.append(_told(name, about, drawn, scores, majority, bins))
    return {
        "samples": extent.samples,
        "questions": len(drawn),
        "pass_at_1": mean_interval([float(np.mean(each.right)) for each in drawn]).json(),
        "training_questions": len({one.question for one in attempts}),
        "attempts": len(attempts),
        "verifiers": found,
    }


def _verifiers(
    setting: Setting, extent: Extent, attempts: Sequence[Attempt], drawn: Sequence[Draws]
) -> Iterator[tuple[str, dict[str, Any], list[Values]]]:
    """Name, what is known of it, and the scores of every question's samples."""
    yield _RANDOM, {}, [random_scores(each, at)[each.texts] for at, each in enumerate(drawn)]
    own = setting.verifier
    known = _scores(setting, extent, own, lambda sitting: sitting.judge(own), weights_of=own)
    yield setting.verifier, {}, [scores[each.texts] for scores, each in zip(known, drawn, strict=True)]
    for name in (setting.small, setting.large):
        told = likelihoods(setting, extent, name)
        yield f"likelihood by {name}", {}, [s[each.texts] for s, each in zip(told, drawn, strict=True)]
    for trained in extent.trained():
        folder, numbers = train(setting, extent, trained, attempts)
        scores_of = _scores_by(setting, extent, folder)
        about = {
            "flipped": trained.flipped,
            "share": trained.share,
            "questions": numbers["questions"],
            "validation_loss": numbers["validation loss"],
        }
        yield trained.name, about, [scores[each.texts] for scores, each in zip(scores_of, drawn, strict=True)]


def train(
    setting: Setting, extent: Extent, trained: Trained, attempts: Sequence[Attempt]
) -> tuple[Path, Mapping[str, Any]]:
    """The folder of the verifier and the numbers of its training: what is there already is not trained again.

    Raises :class:`workers.training.errors.TrainingError`.
    """
    from workers.training import prm
    from workers.training.recipes import load_recipe
    from workers.training.recipes.learning import PrmRecipe

    part = part_of(attempts, trained.share)
    digest = sha256(repr([(one.question, one.text, one.labels) for one in part]).encode()).hexdigest()[:8]
    data = setting.folder / "noise" / f"data-{digest}"
    if not (data / ATTEMPTS).is_file():
        data.mkdir(parents=True, exist_ok=True)
        write_attempts(data, part)
    overrides = [f"flip_labels={trained.flipped}"]
    overrides += [] if extent.epochs is None else [f"epochs={extent.epochs}"]
    recipe = load_recipe(PrmRecipe, RECIPE, overrides)
    told = sha256(f"{recipe.model_dump_json()} {data_hash(data)}".encode()).hexdigest()[:8]
    folder = setting.folder / "noise" / f"prm-{told}"
    return folder, prm.train(recipe, data, folder)


def part_of(attempts: Sequence[Attempt], share: float) -> list[Attempt]:
    """The attempts at a share of the questions; of a smaller share, some of the same ones."""
    asked = sorted({one.question for one in attempts}, key=lambda text: sha256(text.encode()).digest())
    kept = set(asked[: max(1, round(share * len(asked)))])
    return [one for one in attempts if one.question in kept]


def random_scores(draws: Draws, seed: int) -> Values:
    """By a verifier that knows nothing: one a text."""
    return np.random.default_rng(seed).random(max(draws.texts) + 1)


def learned_from(setting: Setting, extent: Extent) -> list[Attempt]:
    """Those of the first questions that are not asked here."""
    asked = {each.question for each in setting.questions}
    found = [one for one in read_attempts(setting.rollouts) if one.question not in asked]
    questions = list(dict.fromkeys(one.question for one in found))[: extent.training_questions]
    kept = set(questions)
    return [one for one in found if one.question in kept]


def _draws(setting: Setting, extent: Extent) -> list[Any]:
    def of_one(sitting: Sitting) -> dict[str, Any]:
        return asdict(turns(sitting, setting.small, extent.samples))

    about = {"samples": extent.samples}
    return setting.each("noise-samples", about, [setting.small], of_one, extent.questions)


def _scores_by(setting: Setting, extent: Extent, folder: Path) -> list[Values]:
    from workers.verifiers.prm import load_prm

    with closing(load_prm(folder.name, folder, "gradus", context_tokens=_CONTEXT_TOKENS)) as verifier:
        return _scores(setting, extent, folder.name, lambda _: verifier)


def likelihoods(setting: Setting, extent: Extent, name: str) -> list[Values]:
    """By a verifier as large as that model: what more parameters see, without any label."""
    configured = setting.config.models[name]
    assert isinstance(configured, TransformersModel), "the embedded models run in process"

    verifier = Likelihood(name, configured)
    return _scores(setting, extent, f"likelihood-{name}", lambda _: verifier, weights_of=name)


def _scores(
    setting: Setting,
    extent: Extent,
    name: str,
    judge: Callable[[Sitting], Verifier],
    weights_of: str | None = None,
) -> list[Values]:
    """Of every question one score a distinct text, in the order of its :class:`Draws`.

    They hold for the weights of ``weights_of``, where the name does not say which.
    """

    def of_one(sitting: Sitting) -> list[float]:
        texts = list(dict.fromkeys(said(sitting, setting.small, extent.samples)))
        scored = judge(sitting).score([Prompt(sitting.messages, text) for text in texts], TASK).scored
        return [round(one.score, 6) if text else 0.0 for text, one in zip(texts, scored, strict=True)]

    about = {"samples": extent.samples, "verifier": name}
    uses = [setting.small] if weights_of is None else [setting.small, weights_of]
    found = setting.each(f"noise-{name}", about, uses, of_one, extent.questions)
    return [np.array(scores) for scores in found]


def _told(
    name: str,
    about: Mapping[str, Any],
    drawn: Sequence[Draws],
    scores: Sequence[Values] | None,
    majority: Mapping[int, Values],
    bins: Values,
) -> dict[str, Any]:
    """Accuracy by budget, and what it is more than majority's; at the largest budget also by oracle bin."""
    weighted = majority if scores is None else by_budget(drawn, scores, weighted=True)
    best = {} if scores is None else by_budget(drawn, scores, weighted=False)
    most = max(weighted)
    return {
        "name": name,
        **about,
        "auc": None if scores is None else auc_overall(drawn, scores),
        "within": None if scores is None else auc_within(drawn, scores),
        "weighted": [{"budget": each, **mean_interval(found).json()} for each, found in weighted.items()],
        "best_of_n": [{"budget": each, **mean_interval(found).json()} for each, found in best.items()],
        "against_majority": mean_interval(weighted[most] - majority[most]).json(),
        "bins": [mean_interval(weighted[most][bins == each]).json() for each in range(BINS)],
    }


def auc_overall(drawn: Sequence[Draws], scores: Sequence[Values]) -> float | None:
    """How often a right turn is scored above a wrong one, of any questions."""
    return auc(np.concatenate(list(scores)), np.concatenate([np.array(each.right) for each in drawn]))


def auc_within(drawn: Sequence[Draws], scores: Sequence[Values]) -> dict[str, Any]:
    """The same of turns of one question, averaged over questions that have both kinds."""
    found = [auc(own, np.array(each.right)) for own, each in zip(scores, drawn, strict=True)]
    return mean_interval([one for one in found if one is not None]).json()


def section(results: Mapping[str, Any]) -> str:
    """What docs/paper.md says about it, above the notes."""
    if "skipped" in results:
        return f"Skipped: {results['skipped']}.\n"
    budgets = [each["budget"] for each in results["verifiers"][0]["weighted"] if each["budget"] in _SHOWN]
    rows, by_bin = [], []
    for one in results["verifiers"]:
        weighted = {each["budget"]: each for each in one["weighted"]}
        best = {each["budget"]: each for each in one["best_of_n"]}
        rows.append(
            [
                one["name"],
                str(one.get("questions", "–")),
                number(one["auc"]),
                cell(one["within"]),
                *(cell(weighted[budget]) for budget in budgets),
                cell(best.get(max(weighted))),
                cell(one["against_majority"]),
            ]
        )
        by_bin.append([one["name"], *(cell(each) for each in one["bins"])])
    most = max(each["budget"] for each in results["verifiers"][0]["weighted"])
    heads = ["verifier", "trained on", "AUC", "AUC within", *(f"weighted, N = {each}" for each in budgets)]
    heads += [f"best-of-{most}", f"weighted less majority, N = {most}"]
    return (
        f"Every verifier trained here learned as `gradus train prm {RECIPE}` does, from up to "
        f"{results['attempts']} attempts at {results['training_questions']} questions, none of which is "
        "asked here; the column says at how many. Flipped: that share of all labels was turned around. They "
        f"judge {results['samples']} samples of each of {results['questions']} questions (pass@1 "
        f"{cell(results['pass_at_1'])}). AUC: how often a right turn is scored above a wrong one, of all "
        "turns and of turns of one question. Random scores are one a distinct text; a likelihood is the "
        "geometric mean of the probabilities that a model gives to the tokens of a turn.\n\n"
        + table(heads, rows)
        + f"\nWeighted, N = {most}, by oracle bin:\n\n"
        + table(["verifier", *(f"bin {each + 1}" for each in range(BINS))], by_bin)
    )


def draw(results: Mapping[str, Any], folder: Path) -> None:
    """noise.png: accuracy by budget, for every share of labels turned around, and of the data."""
    if "skipped" not in results:
        noise_figures.draw(results, folder / "noise.png")
