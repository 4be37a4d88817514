"""A language model as a verifier: asked how good an answer is, or which of two is better.

Judges prefer what they read first (Zheng et al. 2023, "Judging LLM-as-a-Judge", section 3.3). So each pair is
asked both ways round, and a verdict that does not survive that is a tie.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import replace
from typing import Final

from router.config import JudgeVerifier as Configured
from router.types import Task
from workers.errors import ContextOverflow, EngineFailed, WorkerError
from workers.litellm_calls import Asked, LiteLLMCalls, Reply
from workers.protocols import Prompt, Scored, Scores
from workers.verifiers.judge_prompts import (
    Messages,
    ask_for_rating,
    ask_for_verdict,
    read_rating,
    read_verdict,
)

_CALLS_AT_ONCE: Final = 8
_UNDECIDED: Final = 0.5


class Judge:
    """One model behind litellm. Thread-safe; not more than eight calls are under way at once."""

    def __init__(self, name: str, configured: Configured) -> None:
        self._name = name
        self._configured = configured
        self._calls = LiteLLMCalls(
            f"verifier {name}",
            configured.litellm_model,
            api_key_env=configured.api_key_env,
            base_url=configured.base_url,
        )
        self._pool = ThreadPoolExecutor(_CALLS_AT_ONCE, thread_name_prefix=f"judge-{name}")

    def ask(self, conversations: Sequence[Asked]) -> list[Reply]:
        """A reply to each. Raises :class:`workers.errors.EngineFailed`, with what the others consumed."""
        closed = EngineFailed(f"verifier {self._name} is closed")
        try:
            calls = [self._pool.submit(self._ask, conversation) for conversation in conversations]
        except RuntimeError as error:  # a closed pool says so
            raise closed from error
        replies: list[Reply] = []
        failure: WorkerError | None = None
        for call in calls:
            try:
                replies.append(call.result())
            except CancelledError:
                failure = failure or closed
            except WorkerError as error:
                failure = failure or error
                for waiting in calls:
                    waiting.cancel()
        if failure is not None:
            failure.consumed = _spent(replies)
            raise failure
        return replies

    def fits(self, conversation: Asked) -> bool:
        """Whether the model can read it and still write its reply."""
        limit = self._configured.context_tokens - self._configured.max_tokens
        return self._calls.count(messages=list(conversation)) <= limit

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _ask(self, conversation: Asked) -> Reply:
        return self._calls.ask(conversation, temperature=0.0, max_tokens=self._configured.max_tokens)


class JudgeVerifier:
    """Judges whole turns; of each conversation of a batch those that differ, each once.

    A turn that is blank, or too long for the judge beside its conversation, is not shown to it and scores 0.
    A reply without a rating or verdict leaves its turn undecided (0.5); one readable reply there must be.
    """

    scores_steps = False
    reads_history = False

    def __init__(self, name: str, judge: Judge, *, pairwise: bool) -> None:
        self.name = name
        self.compares_turns = pairwise
        self._judge = judge
        self._score = self._compared if pairwise else self._rated
        self._longest = _twice if pairwise else ask_for_rating

    def score(self, turns: Sequence[Prompt], task: Task) -> Scores:  # noqa: ARG002
        """Raises :class:`workers.errors.ContextOverflow` where a conversation alone is too long, and
        :class:`workers.errors.EngineFailed`.
        """
        scored: dict[tuple[int, str], float] = {}
        replies: list[Reply] = []
        for messages in {id(turn.messages): turn.messages for turn in turns}.values():
            texts = dict.fromkeys(turn.prefix for turn in turns if turn.messages is messages)
            try:
                shown = self._shown(messages, [text for text in texts if text.strip()])
                scores, said = self._score(messages, shown)
            except WorkerError as error:
                error.consumed = _spent(replies, error.consumed)
                raise
            scored |= {(id(messages), text): score for text, score in zip(shown, scores, strict=True)}
            replies += said
        judged = tuple(Scored((), scored.get((id(turn.messages), turn.prefix), 0.0)) for turn in turns)
        return replace(_spent(replies), scored=judged)

    def close(self) -> None:
        self._judge.close()

    def _shown(self, messages: Messages, texts: Sequence[str]) -> list[str]:
        if texts and not self._judge.fits(self._longest(messages, "")):
            raise ContextOverflow(f"the conversation alone is too long for the judge of verifier {self.name}")
        return [text for text in texts if self._judge.fits(self._longest(messages, text))]

    def _rated(self, messages: Messages, texts: Sequence[str]) -> tuple[list[float], list[Reply]]:
        replies = self._judge.ask([ask_for_rating(messages, text) for text in texts])
        ratings = [read_rating(reply.text) for reply in replies]
        self._check(ratings, replies, "a line such as 'Rating: 7'")
        return [_UNDECIDED if rating is None else rating for rating in ratings], replies

    def _compared(self, messages: Messages, texts: Sequence[str]) -> tuple[list[float], list[Reply]]:
        """The share of its matches that each wins, in a ring: two matches of two calls, shared by two."""
        pairs = ring(len(texts))
        asked = [
            ask_for_verdict(messages, texts[first], texts[second])
            for pair in pairs
            for first, second in (pair, pair[::-1])
        ]
        replies = self._judge.ask(asked)
        verdicts = [read_verdict(reply.text) for reply in replies]
        self._check(verdicts, replies, "a line such as 'Verdict: A'")
        points: list[list[float]] = [[] for _ in texts]
        for place, (first, second) in enumerate(pairs):
            there, back = verdicts[2 * place], verdicts[2 * place + 1]
            won = {("A", "B"): 1.0, ("B", "A"): 0.0}.get((there or "", back or ""), _UNDECIDED)
            points[first].append(won)
            points[second].append(1 - won)
        return [sum(won) / len(won) if won else _UNDECIDED for won in points], replies

    def _check(self, read: Sequence[object], replies: Sequence[Reply], wanted: str) -> None:
        if replies and all(one is None for one in read):
            error = EngineFailed(
                f"verifier {self.name}: its judge was to end with {wanted}; none of {len(replies)} replies "
                f"has one; the first is {replies[0].text[:200]!r}"
            )
            error.consumed = _spent(replies)
            raise error


def ring(players: int) -> list[tuple[int, int]]:
    """Who meets whom: each the next, and the last the first. Two players meet once, and one meets nobody."""
    if players < 3:
        return [(0, 1)] if players == 2 else []
    return [(player, (player + 1) % players) for player in range(players)]


def load_judge(name: str, configured: Configured) -> JudgeVerifier:
    """Raises :class:`workers.errors.ModelNotLoadable`; the model is first asked when something is judged."""
    return JudgeVerifier(name, Judge(name, configured), pairwise=configured.mode == "pairwise")


def _spent(replies: Sequence[Reply], before: Scores | None = None) -> Scores:
    """What the replies consumed, and what was ``before``."""
    start = before or Scores((), 0)
    return Scores(
        (),
        start.tokens + sum(reply.prompt_tokens for reply in replies),
        start.completion_tokens + sum(reply.completion_tokens for reply in replies),
    )


def _twice(messages: Messages, text: str) -> list[dict[str, str]]:
    return ask_for_verdict(messages, text, text)
