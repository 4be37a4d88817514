"""The requests of one call of an engine, followed together."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue

from workers.engines.server.reply import Reply
from workers.engines.server.wire import Broken, Json, Refused, Wire
from workers.engines.stopping import is_over
from workers.engines.turn import Turn
from workers.errors import WorkerError
from workers.protocols import Cancellation, OnEnd, OnText

_POLL_S = 0.05
"""How late a cancellation is noticed."""

_Event = Json | Refused | Broken | None


class Call:
    """The requests of one ``generate``, followed together in the thread of the job."""

    def __init__(
        self,
        on_text: OnText | None,
        on_end: OnEnd | None,
        failure: Callable[[Refused | Broken], WorkerError],
    ) -> None:
        self._on_text = on_text
        self._on_end = on_end
        self._failure = failure
        self._events: SimpleQueue[tuple[int, _Event]] = SimpleQueue()
        self._replies: list[Reply] = []
        self._streams: list[Future[None]] = []

    def start(self, wire: Wire, path: str, body: Json, reply: Reply) -> None:
        number = len(self._replies)
        self._replies.append(reply)
        try:
            stream = wire.stream(path, body, lambda event: self._events.put((number, event)))
        except Broken as error:
            raise self._failure(error) from error
        self._streams.append(stream)

    def follow(self, cancellation: Cancellation | None) -> None:
        """Let the turns grow until all have ended, or it is over."""
        running = set(range(len(self._replies)))
        while running and not is_over(cancellation):
            try:
                number, event = self._events.get(timeout=_POLL_S)
            except Empty:
                continue
            if number not in running:  # its end came from here, before the server heard of it
                continue
            try:
                if self._take(number, event):
                    running.remove(number)
            except (Refused, Broken) as error:
                raise self._failure(error) from error
        self.break_off()

    def break_off(self) -> None:
        """End every turn that still runs, with the text that it has."""
        for reply in self._replies:
            for turn, new in reply.break_off():
                self._tell(turn, new)

    def close(self) -> None:
        """Close every connection that is still open: its server stops generating."""
        for stream in self._streams:
            stream.cancel()

    def _take(self, number: int, event: _Event) -> bool:
        """Handle an event; returns whether it ended the request."""
        if isinstance(event, Refused | Broken):
            raise event
        reply = self._replies[number]
        for turn, new in reply.end() if event is None else reply.take(event):
            self._tell(turn, new)
            if turn.is_over() and self._on_end is not None:
                self._on_end(turn.index, turn.completion())
        if event is None:
            return True
        if reply.is_over_before_its_end():
            self._streams[number].cancel()
            return True
        return False

    def _tell(self, turn: Turn, new: str) -> None:
        if new and self._on_text is not None:
            self._on_text(turn.index, new)
