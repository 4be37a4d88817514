"""What one request consumed, priced: the lines whose sum is the bill."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from cost_model.prices import UNKNOWN, add_usd
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
MISSED = (
    "The job was sent to workers twice, because the first seemed lost: what the attempt that did not answer "
    "consumed is not in the cost."
)


class Bill:
    """Collects the usage lines of one request, whatever becomes of it."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._lines: list[Usage] = []
        self._uncounted = self._cut = self._missed = False
        self._fees: tuple[str, ...] = ()
        self.at_least_usd = Decimal(0)
        """What calls of unknown cost come to at the price of the tokens that are known of them."""
        self.lost = False
        """Whether a worker consumed something, and nobody will ever know how much."""
        self.is_estimated = False
        """Whether what is known is not exact: tokens were counted here, or a worker's were never heard of."""

    def lose(self) -> None:
        """A worker was given up, and what it consumed is all that there is to bill: nobody knows how much."""
        self.lost = True

    def miss(self) -> None:
        """A worker seemed lost, so its job is sent again, and billed by what the one that answers says."""
        self._missed = self.is_estimated = True

    def add(self, lines: Iterable[Usage]) -> None:
        self._lines += self._market.priced(lines)

    def add_call(self, purpose: Purpose, call: Reading, fees: tuple[str, ...] = ()) -> None:
        """A call of a server, if it can have cost anything.

        Its cost is unknown where nobody said what it consumed and not all of that was heard, and where its
        provider prices fields of the request apart from tokens (``fees``).
        """
        if not call.sent:
            return
        (line,) = self._market.priced([call.usage(purpose)])
        if call.cache_write_tokens:
            line = replace(line, cost_usd=self._with_cache_writes(line, call.cache_write_tokens))
        if fees or not call.counted:
            self.at_least_usd += line.cost_usd or 0
            line = replace(line, cost_usd=None)
        if not call.counted:
            self._uncounted = True
            line = replace(line, flops=None)
        elif fees:
            self._fees = fees
        if call.estimated:
            self.is_estimated = True
            self._cut |= not call.whole
        self._lines.append(line)

    def _with_cache_writes(self, line: Usage, tokens: int) -> Decimal | None:
        """Of one call, some of whose prompt was written to a provider's cache."""
        return self._market.model_prices.get(line.model, UNKNOWN).cost_usd(
            line.prompt_tokens,
            line.completion_tokens,
            line.cached_prompt_tokens,
            line.reasoning_tokens,
            cache_write_tokens=tokens,
        )

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
        said = {UNCOUNTED: self._uncounted, fees: bool(self._fees), CUT: self._cut, MISSED: self._missed}
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
