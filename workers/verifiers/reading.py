"""Readings: the tokens of a turn, and where it is scored. Those of many threads are read together."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from workers.errors import EngineFailed, WorkerError
from workers.protocols import Scores

_BATCH_TOKENS = 8192
_ENOUGH = 8
"""Readings of one call that are worth a batch of their own: they are turns of one conversation."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Tokens to read, and the indices of those whose scores (0 to 1) are asked for."""

    tokens: tuple[int, ...]
    places: tuple[int, ...]


Read = Callable[[Sequence[Reading]], Sequence[tuple[float, ...]]]
"""The scores of each reading at its places, in order. Raises :class:`workers.errors.EngineFailed`."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """``call`` tells the large calls from one another; ``None`` is one of few readings."""

    reading: Reading
    scores: Future[tuple[float, ...]]
    call: int | None


class Reader:
    """Hands what several threads ask for to one model, together: calls that wait are read in one batch.

    ``model`` is only called from the reader's own thread, with readings of like lengths. Calls of many
    readings are not mixed with others: what all readings of a batch begin with, a model need not read twice.
    """

    def __init__(self, name: str, model: Read) -> None:
        self._name = name
        self._model = model
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._calls = itertools.count()
        threading.Thread(target=self._serve, name=f"verifier-{name}", daemon=True).start()

    def read(self, readings: Sequence[Reading]) -> Sequence[tuple[float, ...]]:
        """As :data:`Read`."""
        call = next(self._calls) if len(readings) >= _ENOUGH else None
        waiting = [_Waiting(reading, Future(), call) for reading in readings]
        with self._lock:
            if self._closed:
                raise EngineFailed(f"verifier {self._name} is closed")
            for one in waiting:
                self._queue.put(one)
        errors = [one.scores.exception() for one in waiting]
        failure = next((error for error in errors if error is not None), None)
        if failure is None:
            return [one.scores.result() for one in waiting]
        named = (
            failure if isinstance(failure, WorkerError) else EngineFailed(f"verifier {self._name}: {failure}")
        )
        read = [one.reading for one, error in zip(waiting, errors, strict=True) if error is None]
        named.consumed = Scores((), sum(len(reading.tokens) for reading in read))
        raise named from (None if named is failure else failure)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._queue.put(None)

    def _serve(self) -> None:
        """Read what waits, all of it at once, until closed."""
        while (first := self._queue.get()) is not None:
            together = [first]
            closing = False
            while True:
                try:
                    more = self._queue.get_nowait()
                except Empty:
                    break
                if more is None:
                    closing = True
                    break
                together.append(more)
            for batch in _batches(together):
                self._read(batch)
            if closing:
                return

    def _read(self, batch: Sequence[_Waiting]) -> None:
        """Read a batch; one that fails in halves, so that the reading that is to blame fails alone.

        What is too much for the memory at once is read in smaller pieces by it.
        """
        try:
            scores = list(zip(batch, self._model([one.reading for one in batch]), strict=True))
        except Exception as error:
            if len(batch) == 1:
                batch[0].scores.set_exception(error)
                return
        else:
            for one, found in scores:
                one.scores.set_result(found)
            return
        # Not in the handler: until it ends, the error's traceback holds the tensors of what failed.
        middle = len(batch) // 2
        self._read(batch[:middle])
        self._read(batch[middle:])


def _batches(waiting: Sequence[_Waiting]) -> Iterator[list[_Waiting]]:
    """Cut into batches of like lengths, so that little is padding and memory is bounded."""
    batch: list[_Waiting] = []
    few_first = sorted(waiting, key=lambda each: (each.call is not None, each.call, len(each.reading.tokens)))
    for one in few_first:
        is_full = (len(batch) + 1) * len(one.reading.tokens) > _BATCH_TOKENS
        if batch and (is_full or one.call != batch[0].call):
            yield batch
            batch = []
        batch.append(one)
    yield batch
