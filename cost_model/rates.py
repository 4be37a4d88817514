"""Prices as arrays: to weigh many ways of many queries by. What is billed, shown or capped is a decimal.

Amounts are femtodollars in float64, which adds up whole ones exactly up to some 9 USD: what costs the same
as decimals has it costs the same here, and ties stay ties. More, and the few prices a token that are no whole
femtodollars, are rounded as floats are. NaN is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import inf, nan
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cost_model.estimate import Judge
from cost_model.prices import Price

Floats = NDArray[np.float64]

FEMTO: Final = 10**15
"""Femtodollars of a dollar."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Femtodollars a token, ``read`` and ``written`` [T, P], at P prices of up to T tiers.

    Tiers hold for prompts ``above`` so many tokens [T, P]: -inf of the first; inf where a price has fewer.
    ``known``: all of them are.
    """

    above: Floats
    read: Floats
    written: Floats
    known: bool

    @staticmethod
    def of(prices: Sequence[Price]) -> Rates:
        count = 1 + max((len(price.tiers) for price in prices), default=0)
        above = np.full((count, len(prices)), inf)
        read, written = np.zeros((2, count, len(prices)))
        for column, price in enumerate(prices):
            tiers = [(-inf, price), *((tier.above_prompt_tokens, tier.price) for tier in price.tiers)]
            for row, (length, each) in enumerate(tiers):
                above[row, column] = length
                read[row, column] = _femtodollars(each.usd_per_prompt_token)
                written[row, column] = _femtodollars(each.usd_per_completion_token)
        return Rates(above, read, written, not np.isnan([read, written]).any())

    def femtodollars(self, prompt: Floats, completion: Floats) -> Floats:
        """[..., P] of calls with so many tokens [..., P], as :meth:`cost_model.prices.Price.cost_usd`."""
        read, written = self.read[0], self.written[0]
        for tier in range(1, len(self.above)):
            reached = prompt > self.above[tier]
            read = np.where(reached, self.read[tier], read)
            written = np.where(reached, self.written[tier], written)
        times = np.multiply if self.known else _product
        found: Floats = times(prompt, read) + times(completion, written)
        return found


@dataclass(frozen=True, slots=True)
class JudgeRates:
    """Of P numbers of turns that are judged (:class:`cost_model.estimate.Judge`): femtodollars [T, P].

    So much for each token that is ``read`` of one turn, and a ``fixed`` amount.
    """

    judge: Judge
    above: Floats
    read: Floats
    fixed: Floats

    @staticmethod
    def of(judge: Judge, turns: Floats) -> JudgeRates:
        rates, calls = Rates.of([judge.price]), turns * judge.calls
        return JudgeRates(
            judge, rates.above, _product(calls, rates.read), _product(calls * judge.written, rates.written)
        )

    def femtodollars(self, turn: Floats) -> Floats:
        """[..., P] where turns have so many tokens [..., P], prompts included."""
        shown = np.minimum(self.judge.context, self.judge.shown * turn)
        read, fixed = self.read[0], self.fixed[0]
        for tier in range(1, len(self.above)):
            reached = shown > self.above[tier]
            read = np.where(reached, self.read[tier], read)
            fixed = np.where(reached, self.fixed[tier], fixed)
        found: Floats = shown * read + fixed
        return found


def usd_or_nan(usd: Decimal | None) -> float:
    """To weigh by: unknown is NaN."""
    return nan if usd is None else float(usd)


def _product(count: Floats, price: Floats) -> Floats:
    """What there is none of needs no price."""
    found: Floats = np.where(count == 0, 0.0, count * price)
    return found


def _femtodollars(usd: Decimal | None) -> float:
    return nan if usd is None else float(usd * FEMTO)
