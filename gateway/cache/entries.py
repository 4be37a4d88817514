"""An answer as it lies in Redis: which may be kept, and its bytes. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from gateway.replies import Reply

_MAGIC: Final = b"gradus-answer-1"
"""Raise the number when :class:`KeptAnswer` changes: entries of other versions are no entries."""
_PLAIN, _DEFLATED = b"-", b"z"
_CHECKSUM_BYTES: Final = 4
_DEFLATE_BYTES: Final = 1024
"""Shorter texts gain little."""
_COMPLETE: Final = frozenset({"stop", "tool_calls", "function_call"})
_SAYS: Final = ("content", "tool_calls", "function_call", "refusal", "audio")
_OF_ONE_RUN: Final = frozenset({"tokens", "flops", "cost_usd", "lines", "latency_s", "cached"})
"""What the ``gradus`` object says of the request that paid."""


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer, as :class:`gateway.replies.Reply` holds it; ``kept_unix_s`` is when it was given.

    ``generations`` are those of its namespaces by then (:mod:`gateway.cache.answers`). ``gradus`` holds what
    is true of the answer, not what it cost.
    """

    kept_unix_s: float
    generations: tuple[str, ...]
    text: str
    finish_reason: str
    gradus: Mapping[str, Any]
    tool_calls: tuple[Mapping[str, Any], ...] = field(default=())
    upstream: Mapping[str, Any] | None = None


_entries: Final[TypeAdapter[KeptAnswer]] = TypeAdapter(KeptAnswer)


def entry_of(
    reply: Reply, completion: Mapping[str, Any] | None, now_unix_s: float, generations: Sequence[str]
) -> KeptAnswer:
    """``completion`` is a server's own, whole or put together from its stream; ``None`` of a worker's."""
    about = {name: value for name, value in reply.gradus.items() if name not in _OF_ONE_RUN}
    calls = tuple(reply.tool_calls)
    return KeptAnswer(
        now_unix_s, tuple(generations), reply.text, reply.finish_reason, about, calls, completion
    )


def may_be_kept(entry: KeptAnswer, min_confidence: float) -> bool:
    """Whether it is a whole answer: no truncated, filtered or empty one, and none that is a mere guess."""
    confidence = entry.gradus.get("confidence")
    if confidence is not None and confidence < min_confidence:
        return False
    if entry.upstream is None:
        return entry.finish_reason in _COMPLETE and bool(entry.text or entry.tool_calls)
    choices = entry.upstream.get("choices") or ()
    return bool(choices) and all(_is_whole(choice) for choice in choices)


def _is_whole(choice: Mapping[str, Any]) -> bool:
    message = choice.get("message") or {}
    return choice.get("finish_reason") in _COMPLETE and any(message.get(name) for name in _SAYS)


def pack(entry: KeptAnswer) -> bytes:
    payload, form = to_json(entry), _PLAIN
    if len(payload) > _DEFLATE_BYTES:
        payload, form = zlib.compress(payload, 1), _DEFLATED
    return _MAGIC + form + _checksum(form, payload) + payload


def unpack(packed: bytes) -> KeptAnswer | None:
    """``None`` for what another version wrote, and for what is damaged."""
    head, form = packed[: len(_MAGIC)], packed[len(_MAGIC) : len(_MAGIC) + 1]
    rest = packed[len(_MAGIC) + 1 :]
    checksum, payload = rest[:_CHECKSUM_BYTES], rest[_CHECKSUM_BYTES:]
    if head != _MAGIC or checksum != _checksum(form, payload):
        return None
    try:
        return _entries.validate_json(zlib.decompress(payload) if form == _DEFLATED else payload)
    except (zlib.error, ValidationError):
        return None


def _checksum(form: bytes, payload: bytes) -> bytes:
    return zlib.crc32(form + payload).to_bytes(_CHECKSUM_BYTES)


def names(found: Iterable[bytes | None]) -> tuple[str, ...]:
    """Generations as Redis says them; of what was never purged an empty one."""
    return tuple(["" if one is None else one.decode() for one in found])


def reply_of(
    entry: KeptAnswer,
    account: Mapping[str, Any],
    usage: Mapping[str, Any],
    seconds: float,
    headers: Mapping[str, str],
) -> Reply:
    """The answer again, under the account of the request that gets it: it cost nothing, and says so."""
    gradus = {**entry.gradus, **account, "latency_s": {"total": round(seconds, 6)}, "cached": True}
    return Reply(
        entry.text, entry.finish_reason, usage, gradus, entry.tool_calls, entry.upstream, headers=headers
    )
