"""An engine that plays what is on a deck, and has the real one say only what is missing there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.paper.deck import Card, Deck, Place, conversation
from workers.engines.stopping import is_over
from workers.protocols import (
    Cancellation,
    Completion,
    Engine,
    Generation,
    OnEnd,
    OnText,
    Prompt,
    SamplingParams,
)
from workers.steps import STEP_END

_BROKEN_OFF = Completion("", "cancelled", 0)


class TapeEngine:
    """One run's view of a deck: what it has taken is not dealt to it again.

    A new one begins at the top of every stack. Usage is counted as the engine would count it, but for
    ``cached_prompt_tokens``, which depends on what else an engine just did: here 0. Of whole turns that
    ``on_end`` cancels the others of, those that are longer count as many tokens as the one that was told
    last, as if they had decoded together; their text is lost.

    Plays whole turns and steps that end in ``separator``, which must be a token by itself. Others, ``stop``
    texts and streaming are refused with :class:`ValueError`: no experiment asks for them.
    """

    def __init__(self, engine: Engine, deck: Deck, separator: str = STEP_END) -> None:
        self._engine = engine
        self._deck = deck
        self._separator = separator
        self._taken: Counter[Place] = Counter()

    @property
    def model(self) -> str:
        return self._engine.model

    @property
    def context_tokens(self) -> int:
        return self._engine.context_tokens

    @property
    def continues_turns(self) -> bool:
        return self._engine.continues_turns

    def count_tokens(self, prompt: Prompt) -> int:
        key = (conversation(prompt.messages), prompt.prefix)
        if key not in self._deck.tokens:
            self._deck.tokens[key] = self._engine.count_tokens(prompt)
        return self._deck.tokens[key]

    def generate(
        self,
        prompts: Sequence[Prompt],
        params: SamplingParams,
        *,
        cancellation: Cancellation | None = None,
        on_text: OnText | None = None,
        on_end: OnEnd | None = None,
    ) -> Generation:
        if params.stop or on_text or any(each.stop_after not in ((), (self._separator,)) for each in prompts):
            raise ValueError("a tape plays whole turns, and steps that end in its separator")
        distinct = {(conversation(each.messages), each.prefix): each for each in prompts}
        if is_over(cancellation):
            return Generation((_BROKEN_OFF,) * len(prompts), sum(map(self.count_tokens, distinct.values())))
        walks = [_Walk(each, _place(each, params)) for each in prompts]
        with self._deck.lock:
            while waiting := [walk for walk in walks if self._waits(walk)]:
                self._draw(waiting, params)
        # After the engine had its say: it refuses a prompt that is too long.
        read = sum(map(self.count_tokens, distinct.values()))
        return Generation(_told([walk.completion() for walk in walks], cancellation, on_end), read)

    def close(self) -> None:
        """The engine belongs to whoever made it."""

    def _waits(self, walk: _Walk) -> bool:
        """Go on as far as there are cards; whether one is missing."""
        while not walk.is_over:
            if walk.claim is None:
                greedy = walk.place.temperature == 0
                walk.claim = 0 if greedy else self._taken[walk.place]
                self._taken[walk.place] += 1
            card = self._deck.card(walk.place, walk.claim)
            if card is None:
                return True
            walk.take(card)
        return False

    def _draw(self, walks: Sequence[_Walk], params: SamplingParams) -> None:
        """Have the engine go on from where these walks wait, in one batch."""
        asked = walks if params.temperature > 0 else list({walk.place: walk for walk in walks}.values())
        prompts = [walk.rest() for walk in asked]
        most = max(walk.place.max_tokens for walk in asked)
        sampling = SamplingParams(most, params.temperature, params.top_p, seed=self._deck.seed)
        done = self._engine.generate(prompts, sampling)
        self._deck.record(
            [
                (walk.place, self._cards(prompt, completion))
                for walk, prompt, completion in zip(asked, prompts, done.completions, strict=True)
            ]
        )

    def _cards(self, prompt: Prompt, completion: Completion) -> list[Card]:
        """The steps of a completion. Their tokens are as the engine counts them; the last has the rest."""
        if prompt.stop_after:
            return [Card(completion.text, completion.ended, completion.completion_tokens)]
        *steps, last = completion.text.split(self._separator)
        cards: list[Card] = []
        left, text = completion.completion_tokens, prompt.prefix
        before = self.count_tokens(Prompt(prompt.messages, text))
        for step in steps:
            text += step + self._separator
            now = self.count_tokens(Prompt(prompt.messages, text))
            tokens = min(left, now - before)
            cards.append(Card(step + self._separator, "step", tokens))
            left, before = left - tokens, now
        return [*cards, Card(last, completion.ended, left)]


@dataclass(slots=True)
class _Walk:
    """One sequence on its way from place to place; ``claim`` is the card it waits for."""

    prompt: Prompt
    place: Place
    claim: int | None = None
    is_over: bool = False
    taken: list[Card] = field(default_factory=list)

    def take(self, card: Card) -> None:
        self.taken.append(card)
        self.claim = None
        self.place = self.place.after(card)
        is_step = bool(self.prompt.stop_after)
        self.is_over = card.ended != "step" or is_step or self.place.max_tokens < 1

    def rest(self) -> Prompt:
        return Prompt(self.prompt.messages, self.place.prefix, self.place.max_tokens, self.prompt.stop_after)

    def completion(self) -> Completion:
        text, ended = "".join(card.text for card in self.taken), self.taken[-1].ended
        if ended == "step" and not self.prompt.stop_after:
            ended = "length"
        return Completion(text, ended, sum(card.tokens for card in self.taken))


def _place(prompt: Prompt, params: SamplingParams) -> Place:
    limit = prompt.limit(params.max_tokens)
    return Place(conversation(prompt.messages), prompt.prefix, limit, params.temperature, params.top_p)


def _told(
    completions: Sequence[Completion], cancellation: Cancellation | None, on_end: OnEnd | None
) -> tuple[Completion, ...]:
    """The completions, each told at its end, the shortest first; those that are cancelled then cut off."""
    told = list(completions)
    last = 0
    for at in sorted(range(len(told)), key=lambda at: told[at].completion_tokens):
        if is_over(cancellation):
            told[at] = Completion("", "cancelled", min(last, told[at].completion_tokens))
        elif on_end is not None:
            on_end(at, told[at])
            last = told[at].completion_tokens
    return tuple(told)
