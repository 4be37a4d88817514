"""Rules and single actions, side by side on the questions on which they were played."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from router.errors import CannotTune
from router.guarantees import Floats, by_group
from router.words import usd

Play = tuple[Floats, Floats]
"""What came of N calibration questions: right [N] (0 to 1) and cost in USD [N]."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A rule on the calibration questions: a multiplier, or ``always`` one action (then that is ``None``).

    ``certified``: it keeps what the policy promises, as surely as the policy wants.
    """

    usd_per_right_answer: float | None
    always: str | None
    accuracy: float
    cost_usd: float
    certified: bool

    def __str__(self) -> str:
        if self.always is not None:
            return f"always {self.always}"
        return f"a right answer at {usd_of(self.usd_per_right_answer or 0.0)}"


@dataclass(frozen=True, slots=True)
class Table:
    """G rules by M units: those with ``multipliers``, then ``singles``.

    Of ``questions``, so many are ``missing``: an outcome or cost of them is unknown. ``right`` and
    ``cost_usd`` [G, M] are of the others; ``least_right`` and ``most_right`` [G, U] of all, with every
    outcome that is unknown as wrong or as right: no promise may rest on which were recorded.
    """

    multipliers: tuple[float, ...]
    singles: tuple[str, ...]
    right: Floats
    cost_usd: Floats
    least_right: Floats
    most_right: Floats
    questions: int
    missing: int

    @property
    def left_out(self) -> str:
        return f"{self.missing:,} of {self.questions:,} questions are left out"

    @property
    def rules(self) -> range:
        """Those that route."""
        return range(len(self.multipliers))

    @property
    def alone(self) -> range:
        """Those that always take one action."""
        return range(len(self.multipliers), len(self.right))

    def single(self, index: int) -> str:
        return self.singles[index - len(self.multipliers)]

    @property
    def units(self) -> list[str]:
        return [str(unit) for unit in range(self.right.shape[1])]

    def trials(self, certified: Set[int]) -> tuple[Trial, ...]:
        ways: list[tuple[float | None, str | None]] = [(each, None) for each in self.multipliers]
        ways += [(None, each) for each in self.singles]
        means = zip(self.right.mean(axis=1), self.cost_usd.mean(axis=1), strict=True)
        return tuple(
            Trial(*way, float(right), float(cost), index in certified)
            for index, (way, (right, cost)) in enumerate(zip(ways, means, strict=True))
        )


def table_of(
    multipliers: tuple[float, ...],
    played: Sequence[Play],
    singles: Mapping[str, Play],
    groups: Sequence[Any] | NDArray[Any],
) -> Table:
    """Raises :class:`router.errors.CannotTune` where of no question all outcomes and costs are known."""
    plays = [*played, *singles.values()]
    right, cost = (np.stack([play[part] for play in plays]) for part in (0, 1))
    known = ~(np.isnan(right) | np.isnan(cost)).any(axis=0)
    if not known.any():
        unpriced = [name for name, (_, each) in singles.items() if np.isnan(each).all()]
        if unpriced:
            raise CannotTune(f"nobody knows what {', '.join(unpriced)} costs; give a price")
        raise CannotTune("no calibration question has an outcome of every way, probes included; take more")
    units = np.asarray(groups)[known].tolist()
    return Table(
        multipliers,
        tuple(singles),
        by_group(right[:, known], units),
        by_group(cost[:, known], units),
        by_group(np.nan_to_num(right, nan=0.0), groups),
        by_group(np.nan_to_num(right, nan=1.0), groups),
        len(groups),
        len(groups) - int(known.sum()),
    )


def usd_of(amount: float) -> str:
    """An estimate in USD, to be read."""
    return usd(Decimal(repr(float(amount))))
