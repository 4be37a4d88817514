"""What one request consumed, priced: the lines whose sum is the bill."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from cost_model.prices import add_usd
from cost_model.usage import Purpose, Usage, merge
from gateway.upstreams.reading import Reading
from router.market import Market

# How the purposes of usage lines are called in replies. What comes out of the cache has no tokens.
PURPOSES = {
    "probe": "probe",
    "candidate": "candidates",
    "verifier": "verifier",
    "direct": "direct",
    "escalation": "escalation",
}

UNCOUNTED = (
    "A large model's server was asked and never said what that consumed: its tokens are estimated, and its "
    "cost is unknown."
)
CUT = "A large model's server did not end its answer: what was heard of it is billed, by an estimate."


class Bill:
    """Collects the usage lines of one request, whatever becomes of it."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._lines: list[Usage] = []
        self._uncounted = self._cut = False
        self._fees: tuple[str, ...] = ()
        self.without_fees_usd = Decimal(0)
        """What calls with fees cost at the price of their tokens, as far as that is known."""
        self.lost = False
        """Whether a worker consumed something, and nobody will ever know how much."""
        self.is_estimated = False
        """Whether tokens of an answer were counted here, because its server did not."""

    def lose(self) -> None:
        self.lost = True

    def add(self, lines: Iterable[Usage]) -> None:
        self._lines += self._market.priced(lines)

    def add_call(self, purpose: Purpose, call: Reading, fees: tuple[str, ...] = ()) -> None:
        """A call of a server, if it can have cost anything.

        Its cost is unknown where it broke off before it was known what it consumed, and where its provider
        prices fields of the request apart from tokens (``fees``).
        """
        if not call.sent:
            return
        (line,) = self._market.priced([call.usage(purpose)])
        if not call.counted:
            self._uncounted = True
            line = replace(line, cost_usd=None, flops=None)
        elif fees:
            self._fees = fees
            self.without_fees_usd += line.cost_usd or 0
            line = replace(line, cost_usd=None)
        if call.estimated:
            self.is_estimated = True
            self._cut |= not call.whole
        self._lines.append(line)

    @property
    def lines(self) -> tuple[Usage, ...]:
        return merge(self._lines)

    @property
    def cost_usd(self) -> Decimal | None:
        """Of all lines; ``None`` as soon as one's is unknown."""
        return add_usd(*(line.cost_usd for line in self._lines))

    def usage(self, reported: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """OpenAI's usage object, over all lines, with what else a server ``reported``."""
        reported = reported or {}
        read = {"cached_tokens": sum(line.cached_prompt_tokens for line in self._lines)}
        written = {"reasoning_tokens": sum(line.reasoning_tokens for line in self._lines)}
        prompt = sum(line.prompt_tokens for line in self._lines)
        completion = sum(line.completion_tokens for line in self._lines)
        return {
            **reported,
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {**(reported.get("prompt_tokens_details") or {}), **read},
            "completion_tokens_details": {**(reported.get("completion_tokens_details") or {}), **written},
        }

    def _notices(self) -> list[str]:
        """What there is to say of the cost."""
        fees = f"{', '.join(self._fees)}: priced apart, so the cost is unknown."
        said = {UNCOUNTED: self._uncounted, fees: bool(self._fees), CUT: self._cut}
        return [notice for notice, holds in said.items() if holds]

    def account(self) -> dict[str, Any]:
        """The part of the ``gradus`` object that says what was spent (docs/api.md)."""
        lines = self.lines
        known_flops = [line.flops for line in lines if line.flops is not None]
        tokens = dict.fromkeys(PURPOSES.values(), 0)
        for line in lines:
            if line.purpose in PURPOSES:
                tokens[PURPOSES[line.purpose]] += line.total_tokens
        return {
            "tokens": tokens,
            "flops": sum(known_flops) if len(known_flops) == len(lines) else None,
            "cost_usd": decimal_text(self.cost_usd),
            "lines": [
                {
                    "purpose": line.purpose,
                    "model": line.model,
                    "calls": line.calls,
                    "prompt_tokens": line.prompt_tokens,
                    "completion_tokens": line.completion_tokens,
                    "cached_prompt_tokens": line.cached_prompt_tokens,
                    "reasoning_tokens": line.reasoning_tokens,
                    "flops": line.flops,
                    "cost_usd": decimal_text(line.cost_usd),
                }
                for line in lines
            ],
            **({"notice": joined(notices)} if (notices := self._notices()) else {}),
        }


def joined(notices: Iterable[str | None]) -> str:
    """The notices of a reply as one text, each of them once."""
    return "; ".join(dict.fromkeys(notice.removesuffix(".") for notice in notices if notice))


def decimal_text(amount: Decimal | None) -> str | None:
    """Plain digits, no exponent and no trailing zeros: ``0.00002``; ``None`` stays ``None``."""
    if amount is None:
        return None
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
