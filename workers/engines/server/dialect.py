"""How one server is asked: what it can do, as found out at its start, and requests made for that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from workers.engines.chat import Chat
from workers.engines.server.wire import Json
from workers.protocols import Prompt, SamplingParams

Prompts = Literal["tokens", "text", "continued", "prefilled", "chat"]
"""How a prompt is sent. "tokens" and "text": rendered here, as token ids or text, to the completions API.
"continued": as a chat whose last message is the turn so far, with ``continue_final_message`` (vLLM, SGLang).
"prefilled": the same without a word, where a server continues such a message (llama.cpp).
"chat": as a chat; no turn can be continued."""

Usage = Literal["continuous", "final", "none"]
"""When a stream says how many tokens it took: with every chunk, at its end, never."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a server can do. The default is the least: a streamed chat of one choice.

    ``stream_options`` are those it accepts. ``samples``: hot answers to a question differ. ``many``: n
    choices a request; ``many_seeded``: a seeded one whose choices differ. ``keeps_stop``: a stop text can
    stay in the answer, so the server itself ends steps. ``logprobs``: it says how likely its tokens are.
    ``counts``: its tokenize endpoint counts the tokens of chats. ``adds_bos``: to a text, by itself.
    ``context_tokens`` is what it says that it reads.
    """

    prompts: Prompts = "chat"
    stream_options: Mapping[str, bool] = field(default_factory=dict)
    usage: Usage = "none"
    samples: bool = False
    many: bool = False
    many_seeded: bool = False
    seed: bool = False
    stop: bool = False
    keeps_stop: bool = False
    logprobs: bool = False
    counts: bool = False
    adds_bos: bool = False
    context_tokens: int | None = None

    @property
    def continues_turns(self) -> bool:
        return self.prompts != "chat"

    def lacking(self, has_tokenizer: bool) -> tuple[str, ...]:
        """What is missing, and what follows from it."""
        lacks = (
            (not self.continues_turns, "no continuation of a turn: searches by steps are refused"),
            (not self.samples, "no sampling, all answers to a question are the same: a search gains nothing"),
            (not self.many, "no n > 1: every sample is a request of its own"),
            (
                self.many and not self.many_seeded,
                "no different choices from one seed: seeded samples are requests",
            ),
            (not self.seed, "no seed: a seed changes nothing"),
            (not self.logprobs, "no logprobs: of equal votes, the likeliest is not known"),
            (not self.stop, "no stop texts: they are found here, and the connection is closed"),
            (
                self.continues_turns and not self.keeps_stop,
                "no stop text kept in the answer: every step is a request of its own, ended from here",
            ),
            (
                self.usage == "none",
                "no usage: completion tokens are counted by the tokenizer"
                if has_tokenizer
                else "no usage: every piece of a stream counts as a token",
            ),
            (
                not self.counts and not has_tokenizer,
                "no tokenizer: tokens of prompts are estimated; configure one",
            ),
        )
        return tuple(text for is_lacking, text in lacks if is_lacking)


@dataclass(frozen=True, slots=True)
class Dialect:
    """Turns prompts into requests. ``chat`` is there if a tokenizer is configured."""

    model: str
    capabilities: Capabilities
    chat: Chat | None

    def request(
        self, prompt: Prompt, params: SamplingParams, max_tokens: int, count: int, seed: int | None
    ) -> tuple[str, Json]:
        """(path, body) of a request for ``count`` continuations of a prompt."""
        can = self.capabilities
        path, said = self.prompt(prompt)
        body: dict[str, Any] = {
            "model": self.model,
            **said,
            "max_tokens": max_tokens,
            "temperature": params.temperature,
            "top_p": params.top_p,
            "stream": True,
        }
        if can.stream_options:
            body["stream_options"] = can.stream_options
        if count > 1:
            body["n"] = count
        if seed is not None and can.seed:
            body["seed"] = seed
        if params.logprobs and can.logprobs:
            body["logprobs"] = 1 if path == "completions" else True
        stop = [text for text in params.stop if text]
        if can.keeps_stop and prompt.stop_after:
            stop += [text for text in prompt.stop_after if text]
            body |= {"include_stop_str_in_output": True, "no_stop_trim": True}  # vLLM's name, SGLang's
        if stop and can.stop:
            body["stop"] = stop
        return path, body

    def prompt(self, prompt: Prompt) -> tuple[str, dict[str, Any]]:
        """(path, what a request says of the prompt)."""
        kind = self.capabilities.prompts
        if kind == "tokens" and self.chat is not None:
            return "completions", {"prompt": self.chat.encode(prompt)}
        if kind == "text" and self.chat is not None:
            text = self.chat.render(prompt)
            return "completions", {
                "prompt": self.chat.without_bos(text) if self.capabilities.adds_bos else text
            }
        return "chat/completions", self.conversation(prompt)

    def conversation(self, prompt: Prompt) -> dict[str, Any]:
        """What a chat request says of the prompt."""
        messages: Sequence[Mapping[str, Any]] = prompt.messages
        if not prompt.prefix:
            return {"messages": messages}
        messages = [*messages, {"role": "assistant", "content": prompt.prefix}]
        if self.capabilities.prompts == "prefilled":
            return {"messages": messages}
        return {"messages": messages, "add_generation_prompt": False, "continue_final_message": True}
