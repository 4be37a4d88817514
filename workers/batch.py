"""One batch on its way through an engine: what ends it early, and what is left when the engine fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from workers.engines.estimate import estimated_tokens
from workers.errors import WorkerError
from workers.protocols import (
    Cancellation,
    Completion,
    Engine,
    Enough,
    Generation,
    OnText,
    Prompt,
    SamplingParams,
)
from workers.steps import Steps

BROKEN_OFF = Completion("", "cancelled", 0)


@dataclass(slots=True)
class Batch:
    """Prompts for one engine. ``rooms`` is how many tokens each turn may grow."""

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

    def rescue(self, error: WorkerError) -> tuple[Generation, int]:
        """What there was when the engine failed, and of how many sequences; the rest is broken off.

        A failed engine is asked nothing more: where it does not say what it had read, that is estimated.
        """
        done = error.generated
        if done is None:
            ended = {repr(self.prompts[index]): self.prompts[index] for index in self._ended}
            completions = [self._ended.get(index, BROKEN_OFF) for index in range(len(self.prompts))]
            done = Generation(tuple(completions), sum(map(estimated_tokens, ended.values())))
        calls = sum(one.completion_tokens > 0 or one.ended != "cancelled" for one in done.completions)
        return self._capped(done), calls

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


def reasoning_tokens(batch: Batch, done: Generation, steps: Steps, *, may_ask: bool) -> int:
    """Tokens of the batch that were thinking: those that its server counted, else those we can tell.

    Where the engine cannot be asked (any more), they are estimated by the length of the text.
    """
    reported = sum(completion.reasoning_tokens for completion in done.completions)
    if reported or steps.thinking is None:
        return reported
    return sum(
        _thought_tokens(batch.engine if may_ask else None, prompt, completion, steps)
        for prompt, completion in zip(batch.prompts, done.completions, strict=True)
    )


def _thought_tokens(engine: Engine | None, prompt: Prompt, completion: Completion, steps: Steps) -> int:
    thought, _ = steps.parts(prompt.prefix + completion.text)
    new = len(thought) - len(prompt.prefix)
    if new <= 0:
        return 0
    try:
        if engine is not None:
            before = engine.count_tokens(Prompt(prompt.messages, prompt.prefix))
            counted = engine.count_tokens(Prompt(prompt.messages, thought)) - before
            return min(completion.completion_tokens, counted)
    except WorkerError:  # what the engine has said is not lost because it cannot be counted
        pass
    return completion.completion_tokens * new // len(completion.text)
