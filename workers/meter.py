"""Counts and limits what one job spends: the only way a search reaches a model.

A search asks for text and judgements through the closures made here. They count every token as usage of a
purpose, hold to the token cap of the plan, stop at the deadline, and raise when the client has left. When an
engine fails, what is not complete by then is broken off, as at the deadline: the search can still answer from
what is, and :attr:`Meter.failure` says what happened.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from cost_model.usage import Purpose, Usage, merge
from router.types import Task
from workers.errors import ContextOverflow, EngineFailed, JobCancelled, WorkerError
from workers.patience import wait_for
from workers.protocols import (
    Cancellation,
    Completion,
    Engine,
    Enough,
    Generate,
    Generation,
    OnText,
    Prompt,
    SamplingParams,
    Score,
    Scored,
    Verifier,
)
from workers.steps import LINES, Steps

OnComplete = Callable[[int], None]
"""Called after each batch with the number of turns that are complete so far."""

_BROKEN_OFF = Completion("", "cancelled", 0)
_NO_ROOM = Completion("", "length", 0)
_NOT_JUDGED = Scored((), 0.0)


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
                return (_BROKEN_OFF,) * len(prompts)
            try:
                rooms = self._rooms(engine, prompts, params.max_tokens)
            except EngineFailed as error:
                self.failure = error
                return (_BROKEN_OFF,) * len(prompts)
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
            run = _Run(engine, growing, [room for room in rooms if room > 0], sampling, enough)
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
        One that scores steps judges each turn by itself, so it reads equal turns once; others may compare.
        Raises :class:`workers.errors.JobCancelled`, and what the verifier raises because of the task.
        """

        def score(turns: Sequence[Prompt]) -> tuple[Scored, ...]:
            self._raise_if_cancelled()
            shown = [
                Prompt(turn.messages if verifier.reads_history else self.messages, steps.judged(turn.prefix))
                for turn in turns
            ]
            keys = [
                (id(turn.messages), turn.prefix, 0 if verifier.scores_steps else at)
                for at, turn in enumerate(shown)
            ]
            read = {key: turn for key, turn in zip(keys, shown, strict=True) if turn.prefix.strip()}
            if not read:
                return (_NOT_JUDGED,) * len(turns)
            started_s = time.monotonic()
            try:
                judge = partial(verifier.score, tuple(read.values()), task)
                scores = wait_for(judge, self._cancellation, f"verifier {verifier.name}")
            except (EngineFailed, ContextOverflow) as error:
                self.failure = error
                return (_NOT_JUDGED,) * len(turns)
            seconds = time.monotonic() - started_s
            for name, one in scores.members or ((verifier.name, scores),):
                line = Usage("verifier", name, len(read), one.tokens, one.completion_tokens, seconds=seconds)
                self._lines.append(line)
            judged = dict(zip(read, scores.scored, strict=True))
            return tuple(judged.get(key, _NOT_JUDGED) for key in keys)

        return score

    def _generate(
        self, run: _Run, purpose: Purpose, steps: Steps, on_text: OnText | None
    ) -> tuple[Completion, ...]:
        if not run.prompts or run.params.max_tokens < 1:
            self.token_cap_reached |= bool(run.prompts)
            return (_BROKEN_OFF,) * len(run.prompts)
        if run.params.seed is not None:  # or a second batch would repeat the first
            run.params = replace(run.params, seed=run.params.seed + self._sequences)
        started_s = time.monotonic()
        calls = len(run.prompts)
        try:
            done = run.generate(self._cancellation.part(), on_text)
        except (EngineFailed, ContextOverflow) as error:
            self.failure = error
            done, calls = run.rescue()
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
            _reasoning_tokens(run.engine, run.prompts, done, steps),
            time.monotonic() - started_s,
        )
        if calls:
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


@dataclass(slots=True)
class _Run:
    """One batch on its way through an engine. ``rooms`` is how many tokens each turn may grow."""

    engine: Engine
    prompts: Sequence[Prompt]
    rooms: Sequence[int]
    params: SamplingParams
    enough: Enough | None
    is_capped: bool = False
    """Whether anything ended only because the token cap left no more."""
    raised: Exception | None = None
    """By ``enough``: an engine may call it from any thread, so it is kept for ours."""
    _ended: dict[int, Completion] = field(default_factory=dict)

    def generate(self, cancellation: Cancellation, on_text: OnText | None) -> Generation:
        def on_end(index: int, completion: Completion) -> None:
            self._ended[index] = completion
            if self.enough is None or self.raised is not None:
                return
            try:
                if self.enough(self._break_off_capped(index, completion)):
                    cancellation.cancel()
            except Exception as error:
                self.raised = error
                cancellation.cancel()

        done = self.engine.generate(
            self.prompts, self.params, cancellation=cancellation, on_text=on_text, on_end=on_end
        )
        return self._capped(done)

    def rescue(self) -> tuple[Generation, int]:
        """What had ended before the engine failed, and how many; the rest is broken off."""
        ended = {repr(self.prompts[index]): self.prompts[index] for index in self._ended}
        done = Generation(
            tuple(self._ended.get(index, _BROKEN_OFF) for index in range(len(self.prompts))),
            prompt_tokens=sum(self.engine.count_tokens(prompt) for prompt in ended.values()),
        )
        return self._capped(done), len(self._ended)

    def _capped(self, done: Generation) -> Generation:
        kept = [self._break_off_capped(index, one) for index, one in enumerate(done.completions)]
        return replace(done, completions=tuple(kept))

    def _break_off_capped(self, index: int, completion: Completion) -> Completion:
        """What ended only because the cap left no more tokens has not come to its end."""
        most = self.params.max_tokens
        used_up = completion.completion_tokens >= most and completion.ended in ("length", "cancelled")
        if self.rooms[index] <= most or not used_up:
            return completion
        self.is_capped = True
        return replace(completion, ended="cancelled")


def _reasoning_tokens(engine: Engine, prompts: Sequence[Prompt], done: Generation, steps: Steps) -> int:
    """Tokens of the batch that were thinking: those that its server counted, else those we can tell."""
    reported = sum(completion.reasoning_tokens for completion in done.completions)
    if reported or steps.thinking is None:
        return reported
    return sum(
        _thought_tokens(engine, prompt, completion, steps)
        for prompt, completion in zip(prompts, done.completions, strict=True)
    )


def _thought_tokens(engine: Engine, prompt: Prompt, completion: Completion, steps: Steps) -> int:
    thought, _ = steps.parts(prompt.prefix + completion.text)
    if len(thought) <= len(prompt.prefix):
        return 0
    before = engine.count_tokens(Prompt(prompt.messages, prompt.prefix))
    return min(completion.completion_tokens, engine.count_tokens(Prompt(prompt.messages, thought)) - before)
