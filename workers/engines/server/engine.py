"""Runs a model behind an OpenAI-compatible server: many jobs, one thread that speaks HTTP."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

from pydantic_core import from_json, to_json

from workers.engines.chat import Chat
from workers.engines.estimate import estimated_tokens
from workers.engines.server.call import Call
from workers.engines.server.dialect import Capabilities, Dialect
from workers.engines.server.reply import Reply
from workers.engines.server.wire import Broken, Refused, Wire
from workers.engines.stopping import is_over
from workers.engines.turn import Turn
from workers.errors import ContextOverflow, EngineFailed, InvalidMessages, WorkerError
from workers.protocols import Cancellation, Generation, OnEnd, OnText, Prompt, SamplingParams

_MOST_TOKENS_AROUND = 64
"""What a chat template adds to a message, at most."""
_BAD_REQUEST = (400, 413, 422)
_BAD_KEY = (401, 403)
_OVERFLOW = re.compile(
    r"context.?(length|size|window)|maximum (context|input)|too (long|many tokens)"
    r"|exceeds? the (available|model)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Group:
    """Equal prompts of a batch, and their places in it."""

    prompt: Prompt
    tokens_key: bytes
    max_tokens: int
    members: list[int]


class ServerEngine:
    """One model of a server that speaks OpenAI's API.

    Equal prompts of a batch are one request with n choices where the server can, else as many requests; they
    are counted as one prompt either way. A seed gives sequence i of a batch the seed ``seed + i``, so the
    samples of a prompt differ. Where the server does not continue turns, a prompt with a prefix is refused.
    Use :func:`workers.engines.server.connecting.connect` to make one.
    """

    def __init__(
        self,
        wire: Wire,
        capabilities: Capabilities,
        *,
        model: str,
        upstream_model: str,
        context_tokens: int,
        chat: Chat | None,
    ) -> None:
        self.model = model
        self.context_tokens = context_tokens
        self.capabilities = capabilities
        self._wire = wire
        self._chat = chat
        self._dialect = Dialect(upstream_model, capabilities, chat)
        self._count_by_server = lru_cache(maxsize=4096)(self._ask_count)

    @property
    def continues_turns(self) -> bool:
        return self.capabilities.continues_turns

    def count_tokens(self, prompt: Prompt) -> int:
        """Exact with a tokenizer or a server that counts; else a third of the characters.

        Raises what :meth:`generate` raises, where the server has to be asked.
        """
        if self._chat is not None:
            return len(self._chat.encode(prompt))
        if self.capabilities.counts:
            return self._count_by_server(to_json(self._dialect.conversation(prompt)))
        return estimated_tokens(prompt)

    def generate(
        self,
        prompts: Sequence[Prompt],
        params: SamplingParams,
        *,
        cancellation: Cancellation | None = None,
        on_text: OnText | None = None,
        on_end: OnEnd | None = None,
    ) -> Generation:
        turns = [Turn(index, prompt, params.stop) for index, prompt in enumerate(prompts)]
        if is_over(cancellation):
            return Generation(tuple(turn.completion() for turn in turns), 0)
        groups = self._groups(prompts, params)
        call = Call(on_text, on_end, partial(self._failure, params))
        asked: list[tuple[_Group, Reply]] = []
        try:
            for group in groups:
                for members in self._requests(group, params):
                    seed = None if params.seed is None else (params.seed + members[0]) & 0x7FFFFFFF
                    path, body = self._dialect.request(
                        group.prompt, params, group.max_tokens, len(members), seed
                    )
                    reply = Reply(
                        [turns[index] for index in members],
                        says_usage=self.capabilities.usage != "none",
                        count_text=None if self._chat is None else self._chat.count_text,
                    )
                    asked.append((group, reply))
                    call.start(self._wire, path, body, reply)
            call.follow(cancellation)
        except WorkerError as error:
            call.break_off()
            begun = [(group, reply) for group, reply in asked if reply.has_begun()]
            error.generated = self._generation(turns, begun, failed=True)
            raise
        finally:
            call.close()
        return self._generation(turns, asked)

    def close(self) -> None:
        self._wire.close()

    def _groups(self, prompts: Sequence[Prompt], params: SamplingParams) -> list[_Group]:
        """Equal prompts together. Raises where one is too long, or cannot be continued."""
        heads: dict[int, bytes] = {}  # the prompts of a batch share one tuple of messages
        groups: dict[tuple[bytes, int, tuple[str, ...]], _Group] = {}
        for index, prompt in enumerate(prompts):
            if prompt.prefix and not self.continues_turns:
                raise EngineFailed(
                    f"model {self.model}: its server does not continue a turn; configure a tokenizer, or use "
                    "a strategy of whole answers"
                )
            if id(prompt.messages) not in heads:
                heads[id(prompt.messages)] = to_json(prompt.messages)
            tokens_key = heads[id(prompt.messages)] + prompt.prefix.encode()
            limit = prompt.limit(params.max_tokens)
            key = (tokens_key, limit, prompt.stop_after)
            if key not in groups:
                groups[key] = _Group(prompt, tokens_key, self._room(prompt, len(tokens_key), limit), [])
            groups[key].members.append(index)
        return list(groups.values())

    def _room(self, prompt: Prompt, size_bytes: int, limit: int) -> int:
        """How many tokens a prompt may grow: servers refuse what could outgrow the context."""
        most = size_bytes + _MOST_TOKENS_AROUND * (len(prompt.messages) + 1)  # a token is a byte at least
        if most + limit <= self.context_tokens:
            return limit
        tokens = self.count_tokens(prompt)
        is_exact = self._chat is not None or self.capabilities.counts
        if is_exact and tokens >= self.context_tokens:
            raise ContextOverflow(
                f"the prompt has {tokens} tokens; model {self.model} reads fewer than {self.context_tokens}"
            )
        return max(1, min(limit, self.context_tokens - tokens))

    def _requests(self, group: _Group, params: SamplingParams) -> list[list[int]]:
        """The members of a group, a request each or all in one.

        A greedy prompt's are never one: some servers refuse that. Nor are those whose step ends only this
        side sees: the first that ends could not be stopped alone.
        """
        can = self.capabilities
        together = can.many if params.seed is None else can.many_seeded
        if group.prompt.stop_after and not can.keeps_stop:
            together = False
        if together and params.temperature > 0:
            return [group.members]
        return [[index] for index in group.members]

    def _generation(
        self, turns: Sequence[Turn], asked: Sequence[tuple[_Group, Reply]], *, failed: bool = False
    ) -> Generation:
        """With the tokens of all different prompts, and how many of them the server held from before."""
        prompts: dict[bytes, tuple[int, int]] = {}
        for group, reply in asked:
            tokens = reply.prompt_tokens
            if tokens is None:
                tokens = self._tokens_unless_it_fails(group.prompt, may_ask=not failed)
            found = (tokens, reply.cached_prompt_tokens)
            known = prompts.get(group.tokens_key, found)
            prompts[group.tokens_key] = min(known, found, key=lambda one: one[1])
        return Generation(
            tuple(turn.completion() for turn in turns),
            prompt_tokens=sum(one[0] for one in prompts.values()),
            cached_prompt_tokens=sum(one[1] for one in prompts.values()),
        )

    def _tokens_unless_it_fails(self, prompt: Prompt, *, may_ask: bool) -> int:
        """What the server has written is not lost because it does not count, or cannot any more."""
        if self._chat is None and not may_ask:
            return estimated_tokens(prompt)
        try:
            return self.count_tokens(prompt)
        except WorkerError:
            return estimated_tokens(prompt)

    def _ask_count(self, conversation: bytes) -> int:
        said: Mapping[str, object] = from_json(conversation)
        try:
            answer = self._wire.ask("/tokenize", {"model": self._dialect.model, **said})
            return int(answer["count"])
        except (Refused, Broken) as error:
            raise self._failure(SamplingParams(0), error) from error
        except (KeyError, TypeError, ValueError) as error:
            raise EngineFailed(f"model {self.model}: its server's /tokenize gives no count") from error

    def _failure(self, params: SamplingParams, error: Refused | Broken) -> WorkerError:
        """What a refusal or a break means for the job."""
        if isinstance(error, Broken):
            return EngineFailed(f"model {self.model}: its server failed: {error}")
        if error.status in _BAD_REQUEST and _OVERFLOW.search(str(error)):
            return ContextOverflow(
                f"the prompt and {params.max_tokens} tokens more are too long for model {self.model}, which "
                f"reads {self.context_tokens}; its server says: {error}"
            )
        if error.status in _BAD_REQUEST:
            return InvalidMessages(f"model {self.model}: its server refuses the messages: {error}")
        if error.status in _BAD_KEY:  # the message may quote the key
            return EngineFailed(f"model {self.model}: its server refuses the API key ({error.status})")
        return EngineFailed(f"model {self.model}: its server answered {error.status}: {error}")
