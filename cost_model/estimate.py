"""What an answer will cost before anything is spent: expected, and in the worst case.

How tokens are counted (and so billed): equal prompts of one batch are read once; a search that continues
partial turns reads prompt and turn again, once for each distinct turn of a round; a verifier reads prompt and
turn of every text it judges, each time it judges it.

The worst case is a bound that no execution exceeds, given three things that the workers hold to: a model or
verifier never reads more than its context (one sequence, one call); nothing is generated beyond ``token_cap``
(the meter cuts it off); and a search does no more batches than its strategy says
(:mod:`cost_model.searches`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from cost_model.flops import inference_flops
from cost_model.prices import Price, add_usd


@dataclass(frozen=True, slots=True)
class Judge:
    """What it takes to judge one turn: at most ``calls``, each of which reads and writes at most so much.

    ``context`` is in tokens that one call reads, ``written`` in tokens that one call generates (0, except for
    a language model that is asked). ``shown`` turns are compared in a call. A verifier that reads nothing
    needs no judge.
    """

    price: Price
    parameters: int | None
    context: int
    calls: int = 1
    written: int = 0
    shown: int = 1

    def read_tokens(self, turns: int, turn_tokens: int | None) -> int:
        """For ``turns`` turns of ``turn_tokens`` in all; of ``None``, each as long as fits."""
        most = turns * self.calls * self.context
        return most if turn_tokens is None else min(most, self.calls * self.shown * turn_tokens)

    def written_tokens(self, turns: int) -> int:
        return turns * self.calls * self.written


@dataclass(frozen=True, slots=True)
class Tokens:
    """What one model reads and generates, and how many turns are judged, of how many tokens in all.

    ``judged_tokens`` count prompt and turn; ``None``: each turn is as long as its judge can read.
    """

    prompt: int = 0
    completion: int = 0
    judged: int = 0
    judged_tokens: int | None = 0

    def at_most(self, bound: Tokens) -> Tokens:
        lengths = [each for each in (self.judged_tokens, bound.judged_tokens) if each is not None]
        return Tokens(
            min(self.prompt, bound.prompt),
            min(self.completion, bound.completion),
            min(self.judged, bound.judged),
            min(lengths, default=None),
        )

    def cost_usd(self, model: Price, judges: Sequence[Judge] = ()) -> Decimal | None:
        """``None`` when a price that is needed is unknown."""
        own_usd = model.cost_usd(self.prompt, self.completion)
        if not (judges and self.judged):
            return own_usd
        return add_usd(
            own_usd,
            *[
                judge.price.cost_usd(
                    judge.read_tokens(self.judged, self.judged_tokens),
                    judge.written_tokens(self.judged),
                    calls=self.judged * judge.calls,
                )
                for judge in judges
            ],
        )

    def most_usd(self, model: Price, judges: Sequence[Judge] = ()) -> Decimal | None:
        """What up to so many tokens cost at most, whatever of them is cached or thinking.

        ``None`` when a price that is needed is unknown.
        """
        return add_usd(
            model.most_usd(self.prompt, self.completion),
            *(
                judge.price.most_usd(
                    judge.read_tokens(self.judged, self.judged_tokens), judge.written_tokens(self.judged)
                )
                for judge in judges
            ),
        )

    def flops(self, parameters: int | None, judges: Sequence[Judge] = ()) -> float | None:
        """``None`` when a size that is needed is unknown."""
        done = [(parameters, self.prompt + self.completion)]
        for judge in judges:
            read = judge.read_tokens(self.judged, self.judged_tokens)
            done.append((judge.parameters, read + judge.written_tokens(self.judged)))
        total = 0.0
        for size, tokens in done:
            if tokens and size is None:
                return None
            total += inference_flops(size or 0, tokens)
        return total


@dataclass(frozen=True, slots=True)
class Workload:
    """What a way of answering will read and generate. ``worst`` is ``None`` where nothing bounds it.

    ``token_cap`` is the bound on generated tokens that ``worst`` rests on.
    """

    expected: Tokens
    worst: Tokens | None
    token_cap: int | None

    @staticmethod
    def nothing() -> Workload:
        return Workload(Tokens(), Tokens(), 0)


@dataclass(frozen=True, slots=True)
class Size:
    """How long texts are, in tokens: the prompt and one completion, as expected and at most.

    ``context`` bounds what the model reads of one sequence in one call. ``None`` is unknown: then so is the
    worst case.
    """

    prompt: int
    prompt_at_most: int | None
    completion: int
    completion_at_most: int | None
    context: int | None = None


def direct(size: Size, answers: int = 1) -> Workload:
    """One completion, or several independent ones of the same prompt; judged by nobody."""
    return parallel(answers, size, judged=0)


def parallel(samples: int, size: Size, *, judged: int | None = None, prompts: int = 1) -> Workload:
    """``samples`` completions in one batch, ``judged`` turns, by default these; 0 samples cost nothing.

    ``prompts`` are how often the prompt is read: of several batches, once each.
    """
    if samples <= 0:
        return Workload.nothing()
    judges = samples if judged is None else judged
    expected = Tokens(
        prompts * size.prompt, samples * size.completion, judges, judges * (size.prompt + size.completion)
    )
    token_cap = None if size.completion_at_most is None else samples * size.completion_at_most
    if size.prompt_at_most is None or token_cap is None:
        return Workload(expected, None, token_cap)
    worst = Tokens(prompts * size.prompt_at_most, token_cap, judges, None if judges else 0)
    return Workload(expected.at_most(worst), worst, token_cap)
