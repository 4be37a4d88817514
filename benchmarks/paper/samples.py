"""Independent whole turns of a model: the raw material of coverage and of simulated verifiers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from benchmarks.paper.setting import Setting, Sitting
from workers.protocols import Prompt, SamplingParams


@dataclass(frozen=True, slots=True)
class Draws:
    """Samples of one question, in order. ``answers`` and ``texts`` are numbers: equal ones are the same.

    A turn without an answer, or cut off, has the answer -1.
    """

    answers: list[int]
    texts: list[int]
    right: list[bool]


def samples(setting: Setting, model: str, count: int, questions: int | None = None) -> list[Draws]:
    """The first ``count`` samples of each question: those that a search of the model begins with.

    Models draw at the temperature of the small one: some are configured to be greedy.
    """
    name = f"samples-{model}"
    found = setting.each(
        name, {"samples": count}, [model], lambda sitting: asdict(draw(sitting, model, count)), questions
    )
    return [Draws(**each) for each in found]


def draw(sitting: Sitting, name: str, count: int, purpose: str = "search") -> Draws:
    """``count`` turns of one question from the top of its deck."""
    texts = said(sitting, name, count, purpose)
    spelled = {text: sitting.answers.extract(text) if text else None for text in set(texts)}
    distinct = list(dict.fromkeys(answer for answer in map(spelled.get, texts) if answer is not None))
    classes = dict(zip(distinct, sitting.answers.classes(distinct), strict=True))
    right = {answer: sitting.is_right(answer) for answer in distinct}
    numbers = _numbered(texts)
    found = [spelled[text] for text in texts]
    return Draws(
        [-1 if answer is None else classes[answer] for answer in found],
        numbers,
        [answer is not None and right[answer] for answer in found],
    )


def said(sitting: Sitting, name: str, count: int, purpose: str = "search") -> list[str]:
    """The texts of ``count`` turns from the top of a deck; "" for one that was cut off."""
    model, setting = sitting.model(name, purpose), sitting.setting
    limit = model.config.completion_limit(None)
    assert limit is not None, "a searched model has max_tokens: the configuration was checked for it"
    params = SamplingParams(limit, setting.models[setting.small].config.temperature)
    done = model.engine.generate([Prompt(sitting.messages)] * count, params).completions
    return [model.steps.answer(one.text) if one.ended == "stop" else "" for one in done]


def _numbered(texts: Sequence[str]) -> list[int]:
    known: dict[str, int] = {}
    return [known.setdefault(text, len(known)) for text in texts]
