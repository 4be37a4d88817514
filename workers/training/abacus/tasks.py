"""A seeded stream of problems from reasoning-gym, as chat messages with solutions in steps.

The split of a problem is a hash of its normalised text, so the four splits share no problem by construction,
whatever the seed and the number of problems.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from workers.training.abacus.steps import UnwritableError, expression_steps, format_number, write_solution
from workers.training.abacus.word_problems import equation_steps, explanation_steps, leg_steps
from workers.training.errors import MissingExtraError

SPLITS = ("train", "validation", "calibration", "test")
# Of every 100 hash buckets; the rest is train.
_BUCKETS_PER_SPLIT = (("validation", 4), ("calibration", 5), ("test", 5))
MAX_ABS_VALUE = 99_999
MAX_SOLUTION_LINES = 9
_ARITHMETIC_PROMPTS = ("Calculate {}.", "What is {}?", "{} = ?", "Compute {}.", "{}", "{} =")
_GSM_SUFFIX = " Give the result as your final answer. Do not include units."


@dataclass(frozen=True)
class Problem:
    """One problem: `question` is the user turn, `solution` the assistant turn, `key` what makes it unique."""

    family: str
    question: str
    solution: str
    answer: str
    key: str

    @property
    def split(self) -> str:
        return split_of(self.key)


@dataclass(frozen=True)
class ArithmeticCell:
    """A corner of the arithmetic grid; `weight` is its share within the family."""

    terms: int
    digits: int
    operators: tuple[str, ...]
    weight: float


# The grid runs from sums a first-grader knows to six terms with products; it is what spreads the difficulty.
_ALL, _SUMS = ("+", "-", "*", "/"), ("+", "-")
ARITHMETIC_GRID = (
    ArithmeticCell(2, 1, _ALL, 1.5),
    ArithmeticCell(3, 1, _ALL, 2.0),
    ArithmeticCell(4, 1, _ALL, 1.5),
    ArithmeticCell(5, 1, _ALL, 1.0),
    ArithmeticCell(6, 1, _ALL, 0.7),
    ArithmeticCell(2, 2, _ALL, 2.5),
    ArithmeticCell(3, 2, _ALL, 2.5),
    ArithmeticCell(4, 2, _ALL, 2.0),
    ArithmeticCell(5, 2, _ALL, 1.5),
    ArithmeticCell(6, 2, _SUMS, 1.0),
    ArithmeticCell(2, 3, _SUMS, 1.5),
    ArithmeticCell(3, 3, _SUMS, 1.5),
    ArithmeticCell(4, 3, _SUMS, 1.0),
    ArithmeticCell(5, 3, _ALL, 0.5),
)
FAMILY_WEIGHTS = {
    "arithmetic": 0.47,
    "chain_sum": 0.09,
    "products": 0.03,
    "gsm_symbolic": 0.31,
    "leg_counting": 0.04,
    "simple_equations": 0.06,
}


def normalise(text: str) -> str:
    """Case, spacing and the closing instruction do not make another problem."""
    return re.sub(r"\s+", "", text.removesuffix(_GSM_SUFFIX).lower())


def split_of(key: str) -> str:
    """The split that a problem belongs to, from a hash of its normalised text."""
    bucket = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") % 100
    for name, buckets in _BUCKETS_PER_SPLIT:
        if bucket < buckets:
            return name
        bucket -= buckets
    return "train"


def messages(problem: Problem) -> list[dict[str, str]]:
    """The problem as an OpenAI-style chat with its solution."""
    return [{"role": "user", "content": problem.question}, {"role": "assistant", "content": problem.solution}]


def _gym() -> Any:
    try:
        import reasoning_gym
    except ImportError as error:
        raise MissingExtraError("reasoning-gym") from error
    return reasoning_gym


def _bounded(lines: tuple[str, ...]) -> bool:
    numbers = re.findall(r"\d+(?:\.\d+)?", " ".join(lines))
    return 1 <= len(lines) <= MAX_SOLUTION_LINES and all(float(number) <= MAX_ABS_VALUE for number in numbers)


def _make(family: str, question: str, key: str, lines: tuple[str, ...], value: Fraction) -> Problem | None:
    if not _bounded(lines):
        return None
    solution = write_solution(lines, value)
    return Problem(family, question, solution, format_number(value), normalise(key))


def _from_expression(family: str, expression: str, question: str, answer: str) -> Problem | None:
    expression = re.sub(r"\s+", " ", expression).strip()
    lines, value = expression_steps(expression)
    # reasoning-gym divides with //; where that differs from exact division the problem is ambiguous.
    if value != Fraction(answer) or "." in "".join(lines):
        return None
    return _make(family, question, expression, lines, value)


def _entry_to_problem(family: str, entry: dict[str, Any], rng: random.Random) -> Problem | None:
    question, meta = str(entry["question"]), entry["metadata"]
    if family == "gsm_symbolic":
        if rng.random() < 0.5:
            question = question.removesuffix(_GSM_SUFFIX)
        lines = explanation_steps(meta["answer_cot"], str(entry["answer"]))
        return _make(family, question, question, lines, Fraction(str(entry["answer"])))
    if family == "leg_counting":
        from reasoning_gym.arithmetic.leg_counting import ANIMALS

        lines, value = leg_steps(meta["animals"], ANIMALS)
        return _make(family, question, str(meta["animals"]), lines, value)
    if family == "simple_equations":
        lines, value = equation_steps(meta["equation"])
        return _make(family, question, question, lines, value)
    expression = str(meta["expression"])
    if family == "arithmetic":
        prompt = _ARITHMETIC_PROMPTS[0] if rng.random() < 0.4 else rng.choice(_ARITHMETIC_PROMPTS[1:])
        question = prompt.format(expression)
    return _from_expression(family, expression, question, str(entry["answer"]))


def _sources(family: str, seed: int, count: int) -> Iterator[dict[str, Any]]:
    """Entries of reasoning-gym for a family; `count` bounds how many of them are drawn."""
    gym = _gym()
    rng = random.Random(f"{family}:{seed}")

    def dataset(name: str, **config: Any) -> Any:
        return gym.create_dataset(name, seed=rng.randrange(2**31), size=count, **config)

    if family == "arithmetic":
        cells = [
            dataset(
                "basic_arithmetic",
                min_terms=cell.terms,
                max_terms=cell.terms,
                min_digits=cell.digits,
                max_digits=cell.digits,
                operators=list(cell.operators),
            )
            for cell in ARITHMETIC_GRID
        ]
        weights = [cell.weight for cell in ARITHMETIC_GRID]
        for index in range(count):
            yield rng.choices(cells, weights)[0][index]
        return
    makers: dict[str, Callable[[], Any]] = {
        "chain_sum": lambda: dataset("chain_sum", min_terms=2, max_terms=5, min_digits=1, max_digits=3),
        "products": lambda: dataset("products", min_terms=2, max_terms=2, min_digits=1, max_digits=2),
        "gsm_symbolic": lambda: dataset("gsm_symbolic"),
        "leg_counting": lambda: dataset("leg_counting", min_animals=1, max_animals=4, max_instances=12),
        "simple_equations": lambda: dataset("simple_equations", min_terms=2, max_terms=3, max_value=30),
    }
    entries = makers[family]()
    for index in range(count):
        yield entries[index]


def generate(seed: int, count: int) -> Iterator[Problem]:
    """Distinct problems in a mixed order; the same seed and count give the same problems."""
    rng = random.Random(f"mix:{seed}")
    families = list(FAMILY_WEIGHTS)
    # Generous, because unwritable and repeated problems are dropped.
    streams = {name: _sources(name, seed, count * 4 + 1000) for name in families}
    seen: set[str] = set()
    made = 0
    while made < count:
        family = rng.choices(families, list(FAMILY_WEIGHTS.values()))[0]
        entry = next(streams[family], None)
        if entry is None:
            return
        try:
            problem = _entry_to_problem(family, entry, rng)
        except (UnwritableError, ZeroDivisionError):
            continue
        # Short problems repeat: one copy is kept of each, so no split is made of the same few sums.
        if problem is None or problem.key in seen:
            continue
        seen.add(problem.key)
        made += 1
        yield problem
