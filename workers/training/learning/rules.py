"""Which checkpoint is the model, and when training may stop: decided by the validation losses alone."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Rule:
    """Training ends once the ``patience`` last evaluations have not been better than an earlier one.

    Kept is the checkpoint of the "lowest" loss, or the "last" one.
    """

    keep: Literal["lowest", "last"]
    patience: int


def lowest(patience_evaluations: int) -> Rule:
    """Early stopping: the best checkpoint, once it has stayed the best for that many evaluations."""
    return Rule("lowest", patience_evaluations)


def after_rise(evaluations: int) -> Rule:
    """The checkpoint a little after the validation loss starts to rise (Snell et al. 2024, section 6.1).

    The rise is seen by the first evaluation that is not the lowest; training goes on for ``evaluations``
    more. One that falls below the lowest again shows that it was no rise.
    """
    return Rule("last", 1 + evaluations)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The evaluation (from 0) whose checkpoint is the model, as far as is known; whether that is final."""

    evaluation: int
    is_final: bool


def judge(losses: Sequence[float], rule: Rule) -> Verdict:
    """``losses`` are those of all evaluations so far, at least one; no number is worse than any number."""
    known = [math.inf if math.isnan(loss) else loss for loss in losses]
    best = known.index(min(known))
    is_final = len(losses) - 1 - best >= rule.patience
    return Verdict(best if rule.keep == "lowest" else len(losses) - 1, is_final)


def held_out(questions: Iterable[str], share: float, seed: int) -> frozenset[str]:
    """The questions kept for validation: that share of the distinct ones, at least one.

    Which ones follows from seed and texts alone, not from their order.
    """
    distinct = sorted(set(questions), key=lambda text: hashlib.sha256(f"{seed}\n{text}".encode()).digest())
    return frozenset(distinct[: max(1, round(len(distinct) * share))])
