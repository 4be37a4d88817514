"""Counts and limits what one job spends: the only way a search reaches a model.

A search asks for text and judgements through the closures made here. They count every token as usage of a
purpose, hold to the token cap of the plan, stop at the deadline, and raise when the client has left. When an
engine fails, what is not complete by then is broken off, as at the deadline: the search can still answer from
what is, and :attr:`Meter.failure` says what happened.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from cost_model.usage import Purpose, Usage, merge
from router.tracing import span
from router.types import Task
from workers.batch import BROKEN_OFF, Batch, reasoning_tokens
from workers.errors import ContextOverflow, EngineFailed, JobCancelled, WorkerError
from workers.patience import wait_for
from workers.protocols import (
    Cancellation,
    Completion,
    Engine,
    Enough,
    Generate,
    OnText,
    Prompt,
    SamplingParams,
    Score,
    Scored,
    Scores,
    Verifier,
)
from workers.steps import LINES, Steps

OnComplete = Callable[[int], None]
"""Called after each batch with the number of turns that are complete so far."""

_NO_ROOM = Completion("", "length", 0)
_NOT_JUDGED = Scored((), 0.0)
_FAILURES = (EngineFailed, ContextOverflow)
"""What a search outlives: it answers from what is complete by then."""
_ROUNDING = 1e-6
"""How far outside of 0 to 1 a score may be that was summed up."""


class Meter:
    """What one job spends. For one thread."""

    def __init__(self, messages: Sequence[Mapping[str, Any]], cancellation: Cancellation) -> None:
        self.messages = tuple(messages)
        self._cancellation = cancellation
        self._lines: list[Usage] = []
        self._sequences = 0
        self.token_cap_reached = False
        """Whether a token cap broke off anything."""
        self.deadline_reached = False
        """Whether the deadline broke off anything."""
        self.failure: WorkerError | None = None
        """What an engine or a verifier failed with: nothing is generated after it."""

    @property
    def usage(self) -> tuple[Usage, ...]:
        """One line a purpose and model."""
        return merge(self._lines)

    @property
    def broken_off(self) -> bool:
        """Whether anything ended before its time."""
        return self.failure is not None or self.deadline_reached or self.token_cap_reached

    def reuse(self, model: str, candidates: int) -> None:
        """Note that so many candidates of ``model`` were drawn before: seeds go on after theirs."""
        if candidates:
            self._lines.append(Usage("cache", model, candidates))
            self._sequences += candidates

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
        steps: Steps = LINES,
        token_cap: int | None = None,
        on_text: OnText | None = None,
        on_complete: OnComplete | None = None,
    ) -> Generate:
        """Text of ``engine``, counted as ``purpose``; what ``steps`` calls thinking, as reasoning too.

        No turn becomes longer than ``params.max_tokens`` (its prefix included) and all completions together
        not longer than ``token_cap``; what cap or deadline break off is marked "cancelled".
        Raises :class:`workers.errors.JobCancelled`, and what the engine raises because of the request.
        """
        spent = complete = 0

        def generate(
            prompts: Sequence[Prompt], *, temperature: float | None = None, enough: Enough | None = None
        ) -> tuple[Completion, ...]:
            nonlocal spent, complete
            self._raise_if_cancelled()
            self.deadline_reached |= self.deadline_passed
            if self.failure is not None or self.deadline_reached:
                return (BROKEN_OFF,) * len(prompts)
            try:
                rooms = self._rooms(engine, prompts, params.max_tokens)
            except _FAILURES as error:
                self.failure = error
                return (BROKEN_OFF,) * len(prompts)
            growing = [
                replace(prompt, max_tokens=room if room < params.max_tokens else None)
                for prompt, room in zip(prompts, rooms, strict=True)
                if room > 0
            ]
            most = params.max_tokens
            if token_cap is not None:
                most = min(most, (token_cap - spent) // max(1, len(growing)))
            sampling = replace(
                params,
                max_tokens=most,
                temperature=params.temperature if temperature is None else temperature,
            )
            run = Batch(engine, growing, [room for room in rooms if room > 0], sampling, enough)
            batch = self._generate(run, purpose, steps, on_text)
            spent += sum(completion.completion_tokens for completion in batch)
            complete += sum(completion.ended in ("stop", "length") for completion in batch)
            if on_complete is not None:
                on_complete(complete)
            generated = iter(batch)
            return tuple(next(generated) if room > 0 else _NO_ROOM for room in rooms)

        return generate

    def scorer(self, verifier: Verifier, task: Task, steps: Steps = LINES) -> Score:
        """Judgements of ``verifier``, their tokens counted.

        A turn without anything to judge yet (its thinking goes on) scores 0 unread. A verifier that was not
        made for it sees no earlier attempts: every turn is shown to it as the answer to the question itself.
        One that does not compare turns reads equal ones once. One that does not score steps is shown no
        thinking, wherever the steps are: it judges answers.
        Raises :class:`workers.errors.JobCancelled`, and what the verifier raises because of the task.
        """

        def score(turns: Sequence[Prompt]) -> tuple[Scored, ...]:
            self._raise_if_cancelled()
            part = steps.judged if verifier.scores_steps else steps.answer
            shown = [
                Prompt(turn.messages if verifier.reads_history else self.messages, part(turn.prefix))
                for turn in turns
            ]
            keys = [
                (id(turn.messages), turn.prefix, at if verifier.compares_turns else 0)
                for at, turn in enumerate(shown)
            ]
            read = {key: turn for key, turn in zip(keys, shown, strict=True) if turn.prefix.strip()}
            if not read:
                return (_NOT_JUDGED,) * len(turns)
            started_s = time.monotonic()
            try:
                judge = partial(verifier.score, tuple(read.values()), task)
                with span("score", verifier=verifier.name, turns=len(read)):
                    scores = wait_for(judge, self._cancellation, f"verifier {verifier.name}")
                self._bill(verifier, scores, len(read), started_s)
                _check(verifier, scores)
            except WorkerError as error:
                if error.consumed is not None and error.consumed != Scores((), 0):
                    self._bill(verifier, error.consumed, len(read), started_s)
                if not isinstance(error, _FAILURES):
                    raise
                self.failure = error
                return (_NOT_JUDGED,) * len(turns)
            judged = dict(zip(read, scores.scored, strict=True))
            return tuple(judged.get(key, _NOT_JUDGED) for key in keys)

        return score

    def _bill(self, verifier: Verifier, scores: Scores, turns: int, started_s: float) -> None:
        seconds = time.monotonic() - started_s
        for name, one in scores.members or ((verifier.name, scores),):
            line = Usage("verifier", name, turns, one.tokens, one.completion_tokens, seconds=seconds)
            self._lines.append(line)

    def _generate(
        self, run: Batch, purpose: Purpose, steps: Steps, on_text: OnText | None
    ) -> tuple[Completion, ...]:
        if not run.prompts or run.params.max_tokens < 1:
            self.token_cap_reached |= bool(run.prompts)
            return (BROKEN_OFF,) * len(run.prompts)
        if run.params.seed is not None:  # or a second batch would repeat the first
            run.params = replace(run.params, seed=run.params.seed + self._sequences)
        started_s = time.monotonic()
        calls = len(run.prompts)
        try:
            with span("generate", model=run.engine.model, purpose=purpose, turns=calls):
                done = run.generate(self._cancellation.part(), on_text)
        except WorkerError as error:
            done, calls = run.rescue(error)
            if isinstance(error, _FAILURES):
                self.failure = error
            else:
                run.raised = error
        self._sequences += len(run.prompts)
        self.token_cap_reached |= run.is_capped
        self.deadline_reached |= self.deadline_passed and any(
            one.ended == "cancelled" for one in done.completions
        )
        line = Usage(
            purpose,
            run.engine.model,
            calls,
            done.prompt_tokens,
            done.completion_tokens,
            done.cached_prompt_tokens,
            reasoning_tokens(run, done, steps, may_ask=self.failure is None),
            time.monotonic() - started_s,
        )
        if calls or done.prompt_tokens:
            self._lines.append(line)
        self._raise_if_cancelled()
        if run.raised is not None:
            raise run.raised
        return done.completions

    def _rooms(self, engine: Engine, prompts: Sequence[Prompt], max_tokens: int) -> list[int]:
        """How many tokens each turn may still grow; 0 where it may not.

        The question itself is not looked at: an engine says best what is wrong with one that does not fit.
        """
        heads: dict[int, int] = {}
        rooms: dict[tuple[int, str], int] = {}
        for prompt in prompts:
            head, key = id(prompt.messages), (id(prompt.messages), prompt.prefix)
            if prompt.messages is self.messages and not prompt.prefix:
                rooms[key] = max_tokens
            elif key not in rooms:
                if head not in heads:
                    heads[head] = engine.count_tokens(Prompt(prompt.messages))
                tokens = engine.count_tokens(prompt) if prompt.prefix else heads[head]
                rooms[key] = max(0, min(max_tokens - (tokens - heads[head]), engine.context_tokens - tokens))
        return [rooms[id(prompt.messages), prompt.prefix] for prompt in prompts]

    def _raise_if_cancelled(self) -> None:
        if self._cancellation.cancelled:
            raise JobCancelled("the client left, or nobody waits for this job any more")


def _check(verifier: Verifier, scores: Scores) -> None:
    """Raises :class:`workers.errors.EngineFailed` of a score that is none: no two of them would compare."""
    for one in scores.scored:
        for score in (one.score, *one.step_scores):
            if not -_ROUNDING <= score <= 1 + _ROUNDING:  # nor is NaN
                raise EngineFailed(
                    f"verifier {verifier.name} scored a turn {score!r}; right would be a number from 0 to 1"
                )
