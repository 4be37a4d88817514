"""Counts and limits what one job spends: the only way a search reaches a model.

A search asks for text and judgements through the closures made here. They count every token as usage of a
purpose, hold to the token cap of the plan, stop at the deadline, and raise when the client has left.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cost_model.usage import Purpose, Usage, merge
from workers.errors import JobCancelled
from workers.protocols import (
    Cancellation,
    Completion,
    Engine,
    Generate,
    OnText,
    Prompt,
    SamplingParams,
    Score,
    Scored,
    Verifier,
)
from workers.search.sampling import is_complete
from workers.search.steps import STEP_END

OnComplete = Callable[[int], None]
"""Called after each batch with the number of turns that are complete so far."""

_BROKEN_OFF = Completion("", "cancelled", 0)
_NO_ROOM = Completion("", "length", 0)


class Meter:
    """What one job spends. For one thread."""

    def __init__(self, messages: Sequence[Mapping[str, Any]], cancellation: Cancellation) -> None:
        self._messages = tuple(messages)
        self._cancellation = cancellation
        self._lines: list[Usage] = []
        self._sequences = 0
        self.token_cap_reached = False
        """Whether a token cap broke off anything."""

    @property
    def usage(self) -> tuple[Usage, ...]:
        """One line a purpose and model."""
        return merge(self._lines)

    @property
    def deadline_passed(self) -> bool:
        deadline_s = self._cancellation.deadline_monotonic_s
        return deadline_s is not None and time.monotonic() >= deadline_s

    def generator(
        self,
        engine: Engine,
        purpose: Purpose,
        params: SamplingParams,
        *,
        token_cap: int | None = None,
        on_text: OnText | None = None,
        on_complete: OnComplete | None = None,
    ) -> Generate:
        """Text of ``engine``, counted as ``purpose``.

        No turn becomes longer than ``params.max_tokens`` (its prefix included) and all completions together
        not longer than ``token_cap``; what cap or deadline break off is marked "cancelled".
        Raises :class:`workers.errors.JobCancelled`, and what the engine raises.
        """
        spent = complete = 0

        def generate(prefixes: Sequence[str], to_step_end: bool) -> tuple[Completion, ...]:
            nonlocal spent, complete
            rooms = self._rooms(engine, prefixes, params.max_tokens)
            prompts = [
                Prompt(self._messages, prefix, room if room < params.max_tokens else None)
                for prefix, room in zip(prefixes, rooms, strict=True)
                if room > 0
            ]
            most = params.max_tokens
            if token_cap is not None:
                most = min(most, (token_cap - spent) // max(1, len(prompts)))
            batch = self._generate(engine, purpose, prompts, _limit(params, most, to_step_end), on_text)
            batch = self._break_off_capped(batch, [room for room in rooms if room > 0], most)
            spent += sum(completion.completion_tokens for completion in batch)
            complete += sum(is_complete(completion.ended) for completion in batch)
            if on_complete is not None:
                on_complete(complete)
            generated = iter(batch)
            return tuple(next(generated) if room > 0 else _NO_ROOM for room in rooms)

        return generate

    def scorer(self, verifier: Verifier) -> Score:
        """Judgements of ``verifier``, their tokens counted.

        Raises :class:`workers.errors.JobCancelled`, and what the verifier raises.
        """

        def score(texts: Sequence[str]) -> tuple[Scored, ...]:
            self._raise_if_cancelled()
            started_s = time.monotonic()
            scores = verifier.score(self._messages, texts)
            seconds = time.monotonic() - started_s
            self._lines.append(Usage("verifier", verifier.name, len(texts), scores.tokens, 0, seconds))
            return scores.scored

        return score

    def _generate(
        self,
        engine: Engine,
        purpose: Purpose,
        prompts: Sequence[Prompt],
        params: SamplingParams,
        on_text: OnText | None,
    ) -> tuple[Completion, ...]:
        self._raise_if_cancelled()
        if not prompts or params.max_tokens < 1 or self.deadline_passed:
            return (_BROKEN_OFF,) * len(prompts)
        if params.seed is not None:  # or a second batch would repeat the first
            params = replace(params, seed=params.seed + self._sequences)
        started_s = time.monotonic()
        done = engine.generate(prompts, params, cancellation=self._cancellation, on_text=on_text)
        seconds = time.monotonic() - started_s
        self._sequences += len(prompts)
        self._lines.append(
            Usage(purpose, engine.model, len(prompts), done.prompt_tokens, done.completion_tokens, seconds)
        )
        self._raise_if_cancelled()
        return done.completions

    def _rooms(self, engine: Engine, prefixes: Sequence[str], max_tokens: int) -> list[int]:
        """How many tokens each turn may still grow; 0 where it may not."""
        if not any(prefixes):
            return [max_tokens] * len(prefixes)
        prompt_tokens = engine.count_tokens(Prompt(self._messages))
        rooms = {}
        for prefix in set(prefixes):
            tokens = engine.count_tokens(Prompt(self._messages, prefix))
            rooms[prefix] = max(0, min(max_tokens - (tokens - prompt_tokens), engine.context_tokens - tokens))
        return [rooms[prefix] for prefix in prefixes]

    def _break_off_capped(
        self, batch: Sequence[Completion], rooms: Sequence[int], most: int
    ) -> tuple[Completion, ...]:
        """What ended only because the cap left no more tokens (``most`` each) has not come to its end."""
        kept = []
        for completion, room in zip(batch, rooms, strict=True):
            is_capped = room > most and completion.ended in ("length", "cancelled")
            self.token_cap_reached |= is_capped
            kept.append(replace(completion, ended="cancelled") if is_capped else completion)
        return tuple(kept)

    def _raise_if_cancelled(self) -> None:
        if self._cancellation.cancelled:
            raise JobCancelled("the client left, or nobody waits for this job any more")


def _limit(params: SamplingParams, max_tokens: int, to_step_end: bool) -> SamplingParams:
    return replace(params, max_tokens=max_tokens, stop_after=(STEP_END,) if to_step_end else ())
