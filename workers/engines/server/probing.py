"""Finds out by asking what a server can do: a few short, greedy requests at a worker's start.

What a server claims or accepts says little (many ignore what they do not know), so each ability is judged by
what comes back: a continued turn must go on where a greedy one went on, a kept stop text must be there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Final

from workers.engines.chat import Chat
from workers.engines.server.dialect import Capabilities, Dialect, Prompts, Usage
from workers.engines.server.reply import logprobs_of
from workers.engines.server.wire import Broken, Json, Refused, Wire
from workers.errors import ModelNotLoadable
from workers.protocols import Prompt, SamplingParams

_QUESTIONS = (
    "Write the numbers 1 to 9, one per line.",
    "Repeat after me:\nThe sun is warm.\nThe sea is deep.\nThe sky is blue.",
    "Calculate (31 + 4) * 2 - 7.",
)
"""Likely to be answered in several words or lines; the first that is serves for all that is asked."""
_SAID_TOKENS = 48
_FEW_TOKENS = 8
_HOT = 1.5
"""A temperature at which two samples are hardly ever the same."""
_SAMPLES = 3
_AGREEMENT = 4
"""Characters of a continuation that must be those of the turn it continues."""
_MAX_CUTS = 3
_STREAM_OPTIONS: Final[tuple[Mapping[str, bool], ...]] = (
    {"include_usage": True, "continuous_usage_stats": True},  # vLLM, SGLang
    {"include_usage": True},
    {},
)


@dataclass(frozen=True, slots=True)
class _Heard:
    """An answer: what was asked, the text of each choice, and what was said of tokens."""

    prompt: Prompt
    texts: Mapping[int, str]
    usage: Usage
    prompt_tokens: int | None

    @property
    def text(self) -> str:
        return self.texts.get(0, "")


class Probe:
    """Asks one server. Raises :class:`workers.errors.ModelNotLoadable` where it is of no use."""

    def __init__(self, wire: Wire, name: str, upstream_model: str, chat: Chat | None) -> None:
        self._wire = wire
        self._name = name
        self._upstream_model = upstream_model
        self._chat = chat

    def run(self) -> Capabilities:
        can = self._rendered(Capabilities())
        can, said = self._streamed(can)
        can = self._counting(can, said)
        if not can.continues_turns:
            can = replace(can, prompts=self._continued(can, said))
        can = self._stopped(can, said)
        hot = {self._hear(can, said.prompt, 2 * _FEW_TOKENS, temperature=_HOT).text for _ in range(_SAMPLES)}
        many = self._choices(can, said.prompt, seed=None)
        can = replace(can, samples=len(hot) > 1, many=len(many) == 2)
        can = replace(can, logprobs=self._tells_logprobs(can, said.prompt))
        can = replace(can, seed=self._accepts(replace(can, seed=True), said.prompt))
        if can.many and can.seed:
            seeded = self._choices(can, said.prompt, seed=1)
            can = replace(can, many_seeded=len(seeded) == 2 and seeded[0] != seeded[1])
        return can

    def _rendered(self, can: Capabilities) -> Capabilities:
        """Whether prompts can be sent as this side's tokenizer renders them: as token ids, else as text."""
        if self._chat is None:
            return can
        question = _ask(_QUESTIONS[0])
        own = len(self._chat.encode(question))
        for trial in (
            replace(can, prompts="tokens"),
            replace(can, prompts="text"),
            replace(can, prompts="text", adds_bos=True),
        ):
            path, body = self._dialect(trial).prompt(question)
            try:
                answer = self._wire.ask(path, {"model": self._upstream_model, "max_tokens": 1, **body})
                read = int((answer.get("usage") or {}).get("prompt_tokens") or own)
            except Refused as refusal:
                refused = refusal
                continue
            except Broken as error:
                raise self._useless(error) from error
            if read == own:
                return trial
            refused = Refused(200, f"it read {read} tokens where the tokenizer has {own}")
        if refused.status == 200:
            raise ModelNotLoadable(
                f"model {self._name}: the tokenizer is not that of {self._upstream_model} at "
                f"{self._wire.base_url}: of the same prompt {refused}"
            )
        return can

    def _streamed(self, can: Capabilities) -> tuple[Capabilities, _Heard]:
        """The first answer that can be cut: which stream options are accepted, and what they bring."""
        can, heard = self._first_streamed(can)
        for question in _QUESTIONS[1:]:
            if not _cuts(heard.text):
                heard = self._hear(can, _ask(question))
        return can, heard

    def _first_streamed(self, can: Capabilities) -> tuple[Capabilities, _Heard]:
        refused: Refused | None = None
        for options in _STREAM_OPTIONS:
            trial = replace(can, stream_options=options)
            try:
                heard = self._hear(trial, _ask(_QUESTIONS[0]))
            except Refused as error:
                refused = error
            else:
                return replace(trial, usage=heard.usage), heard
        raise self._useless(refused)

    def _counting(self, can: Capabilities, said: _Heard) -> Capabilities:
        """Whether the server's tokenize endpoint counts chats as it reads them."""
        try:
            question = {"model": self._upstream_model, "messages": said.prompt.messages}
            answer = self._wire.ask("/tokenize", question)
        except (Refused, Broken):
            return can
        readable = answer.get("max_model_len")
        return replace(
            can,
            counts=said.prompt_tokens is not None and answer.get("count") == said.prompt_tokens,
            context_tokens=readable if isinstance(readable, int) else None,
        )

    def _continued(self, can: Capabilities, said: _Heard) -> Prompts:
        """How the server continues a turn: whatever goes on after parts of one as the whole did.

        After most lines, because one that begins a new turn may by chance go on with the old. Where there
        are only words, once is enough: behind a space even one that goes on may stumble.
        """
        cuts = _cuts(said.text)
        are_lines = any(said.text[cut - 1] == "\n" for cut in cuts)
        least = len(cuts) // 2 + 1 if are_lines else 1
        kinds: tuple[Prompts, ...] = ("continued", "prefilled")
        for kind in kinds:
            trial = replace(can, prompts=kind)
            try:
                agreed = sum(self._goes_on(trial, said, cut) for cut in cuts)
            except Refused:
                continue
            if agreed >= least:
                return kind
        return "chat"

    def _goes_on(self, can: Capabilities, said: _Heard, cut: int) -> bool:
        prompt = replace(said.prompt, prefix=said.text[:cut])
        more = self._hear(can, prompt, _FEW_TOKENS).text
        return more[:_AGREEMENT] == said.text[cut : cut + _AGREEMENT]

    def _stopped(self, can: Capabilities, said: _Heard) -> Capabilities:
        """Whether stop texts are accepted, and whether one can stay in the answer."""
        cuts = _cuts(said.text)
        end = said.text[cuts[0] - 1] if cuts else "\n"
        kept = said.text[: said.text.find(end) + 1]
        prompt = replace(said.prompt, stop_after=(end,))
        try:
            heard = self._hear(replace(can, stop=True, keeps_stop=True), prompt)
        except Refused:
            return replace(can, stop=self._accepts(replace(can, stop=True), said.prompt, stop=end))
        return replace(can, stop=True, keeps_stop=bool(cuts) and heard.text == kept)

    def _choices(self, can: Capabilities, prompt: Prompt, seed: int | None) -> Mapping[int, str]:
        """The texts of two hot samples asked for in one request, as many as come."""
        try:
            return self._hear(can, prompt, 2 * _FEW_TOKENS, temperature=_HOT, count=2, seed=seed).texts
        except Refused:
            return {}

    def _accepts(self, can: Capabilities, prompt: Prompt, stop: str = "") -> bool:
        try:
            self._hear(can, prompt, 1, seed=1, stop=stop)
        except Refused:
            return False
        return True

    def _tells_logprobs(self, can: Capabilities, prompt: Prompt) -> bool:
        params = SamplingParams(_FEW_TOKENS, temperature=0.0, logprobs=True)
        path, body = self._dialect(replace(can, logprobs=True)).request(prompt, params, _FEW_TOKENS, 1, None)
        try:
            chunks = list(self._chunks(path, body))
        except (Refused, Broken):
            return False
        return any(logprobs_of(choice) for chunk in chunks for choice in chunk.get("choices") or ())

    def _hear(
        self,
        can: Capabilities,
        prompt: Prompt,
        max_tokens: int = _SAID_TOKENS,
        *,
        temperature: float = 0.0,
        count: int = 1,
        seed: int | None = None,
        stop: str = "",
    ) -> _Heard:
        """A streamed answer. Raises :class:`Refused` where the server refuses a request of this form."""
        params = SamplingParams(max_tokens, temperature, stop=(stop,))
        path, body = self._dialect(can).request(prompt, params, max_tokens, count, seed)
        try:
            return _heard(prompt, list(self._chunks(path, body)))
        except Refused as refusal:
            if refusal.status in (401, 403, 404):
                raise self._useless(refusal) from refusal
            raise
        except Broken as error:
            raise self._useless(error) from error

    def _chunks(self, path: str, body: Json) -> Iterator[Json]:
        events: SimpleQueue[Json | Refused | Broken | None] = SimpleQueue()
        self._wire.stream(path, body, events.put)
        while (event := events.get()) is not None:
            if isinstance(event, Refused | Broken):
                raise event
            yield event

    def _dialect(self, can: Capabilities) -> Dialect:
        return Dialect(self._upstream_model, can, self._chat)

    def _useless(self, error: Refused | Broken | None) -> ModelNotLoadable:
        what = f"refused a request ({error.status})" if isinstance(error, Refused) else "failed"
        return ModelNotLoadable(
            f"model {self._name}: the server at {self._wire.base_url} {what} for {self._upstream_model!r}: "
            f"{error}"
        )


def _ask(question: str) -> Prompt:
    return Prompt(({"role": "user", "content": question},))


def _heard(prompt: Prompt, chunks: list[Json]) -> _Heard:
    texts: dict[int, str] = {}
    usage: Usage = "none"
    prompt_tokens = None
    for chunk in chunks:
        choices = chunk.get("choices") or ()
        for choice in choices:
            said = choice.get("delta") or choice
            text = said.get("content") or said.get("text") or ""
            index = choice.get("index") or 0
            texts[index] = texts.get(index, "") + text
        if found := chunk.get("usage"):
            prompt_tokens = found.get("prompt_tokens")
            is_early = any(choice.get("finish_reason") is None for choice in choices)
            usage = "continuous" if is_early or usage == "continuous" else "final"
    return _Heard(prompt, texts, usage, prompt_tokens)


def _cuts(turn: str) -> list[int]:
    """Where a turn can be cut so that going on differs from beginning anew: after lines, else after words."""
    for end in "\n ":
        cuts = [
            at + 1
            for at, sign in enumerate(turn)
            if sign == end
            and len(turn) > at + _AGREEMENT
            and not turn[at + 1].isspace()
            and turn[at + 1 : at + 1 + _AGREEMENT] != turn[:_AGREEMENT]
        ]
        if cuts:
            return cuts[:_MAX_CUTS]
    return []
