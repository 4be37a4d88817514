"""Server-sent events out of the bytes that a server streams."""

from __future__ import annotations

from codecs import BOM_UTF8
from typing import Final

MAX_EVENT_BYTES: Final = 16 * 1024 * 1024
"""Far above any chunk; without a bound a server that never ends an event would fill the memory."""


class EventTooLong(Exception):
    """An event that is longer than any server has reason to send."""


class Events:
    """Cuts bytes into events. Only newlines end lines: JSON may hold other separators."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, part: bytes) -> list[tuple[bytes, bytes]]:
        """(event as it came, its data) of each event that ``part`` completes; comments are no events.

        Raises :class:`EventTooLong`.
        """
        text = self._rest + part
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n")
        *blocks, self._rest = text.split(b"\n\n")
        if len(self._rest) > MAX_EVENT_BYTES:
            raise EventTooLong(f"an event of its stream is longer than {MAX_EVENT_BYTES} bytes")
        return [event for block in blocks if (event := _event(block)) is not None]

    def end(self) -> list[tuple[bytes, bytes]]:
        """The event that lacks its end, if there is one."""
        return self.feed(b"\n\n")


def _event(block: bytes) -> tuple[bytes, bytes] | None:
    if block.startswith(b"data: ") and b"\n" not in block:  # nearly all of them
        return block + b"\n\n", block[6:].strip()
    block = block.removeprefix(BOM_UTF8)  # a stream may begin with one
    data = [line[5:].strip() for line in block.split(b"\n") if line.startswith(b"data:")]
    return (block.lstrip(b"\n") + b"\n\n", b"\n".join(data)) if data else None
