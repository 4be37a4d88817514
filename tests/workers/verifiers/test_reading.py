"""The reader: what waits is read together, in batches of bounded size."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from workers.errors import EngineFailed
from workers.protocols import Scores
from workers.verifiers.reading import Reader, Reading


def reading(length: int) -> Reading:
    return Reading(tuple(range(length)), (length - 1,))


class Model:
    """Scores a reading by its length; holds the first batch back until it may go."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.started = threading.Event()
        self.go = threading.Event()

    def __call__(self, readings: Sequence[Reading]) -> list[tuple[float, ...]]:
        self.batches.append([len(one.tokens) for one in readings])
        self.started.set()
        assert self.go.wait(10)
        return [(1 / len(one.tokens),) for one in readings]


def test_calls_that_wait_are_read_together() -> None:
    model = Model()
    reader = Reader("judge", model)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(reader.read, [reading(2)])
        assert model.started.wait(10)
        waiting = [pool.submit(reader.read, [reading(length)]) for length in (5, 3, 4)]
        while reader._queue.qsize() < 3:
            threading.Event().wait(0.001)
        model.go.set()
        assert first.result() == [(0.5,)]
        assert [one.result() for one in waiting] == [[(1 / 5,)], [(1 / 3,)], [(1 / 4,)]]
    assert model.batches == [[2], [3, 4, 5]]
    reader.close()


def test_a_call_of_many_readings_is_not_mixed_with_others() -> None:
    model = Model()
    reader = Reader("judge", model)
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(reader.read, [reading(2)])
        assert model.started.wait(10)
        calls = [range(10, 18), range(3, 5), range(12, 20), range(6, 7)]
        waiting = [pool.submit(reader.read, [reading(length) for length in call]) for call in calls]
        while reader._queue.qsize() < 19:
            threading.Event().wait(0.001)
        model.go.set()
        assert first.result() == [(0.5,)]
        for call, done in zip(calls, waiting, strict=True):
            assert done.result() == [(1 / length,) for length in call]
    assert sorted(model.batches[1:]) == [[3, 4, 6], [*range(10, 18)], [*range(12, 20)]]
    reader.close()


def test_batches_are_bounded_and_of_like_lengths() -> None:
    model = Model()
    model.go.set()
    reader = Reader("judge", model)
    lengths = [5000, 10, 4000, 20, 9000, 30]
    assert reader.read([reading(length) for length in lengths]) == [(1 / length,) for length in lengths]
    assert all(len(batch) == 1 or len(batch) * max(batch) <= 8192 for batch in model.batches)
    reader.close()


def test_nothing_to_read_asks_nothing() -> None:
    model = Model()
    reader = Reader("judge", model)
    assert reader.read([]) == []
    assert model.batches == []
    reader.close()


def test_a_model_that_fails_fails_that_batch_only() -> None:
    fail = True

    def model(readings: Sequence[Reading]) -> list[tuple[float, ...]]:
        if fail:
            raise RuntimeError("out of memory")
        return [(0.5,) for _ in readings]

    reader = Reader("judge", model)
    with pytest.raises(EngineFailed, match="judge: out of memory"):
        reader.read([reading(3)])
    fail = False
    assert reader.read([reading(3)]) == [(0.5,)]
    reader.close()
    with pytest.raises(EngineFailed, match="closed"):
        reader.read([reading(3)])


def too_much(batches: list[int], most: int) -> Callable[[Sequence[Reading]], list[tuple[float, ...]]]:
    """A model with memory for ``most`` readings at once, and for none of 13 tokens."""

    def model(readings: Sequence[Reading]) -> list[tuple[float, ...]]:
        batches.append(len(readings))
        if len(readings) > most or any(len(one.tokens) == 13 for one in readings):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [(1 / len(one.tokens),) for one in readings]

    return model


def test_what_is_too_much_for_the_memory_at_once_is_read_in_pieces() -> None:
    batches: list[int] = []
    reader = Reader("judge", too_much(batches, most=2))
    assert reader.read([reading(length) for length in (2, 3, 4, 5, 6)]) == [
        (1 / length,) for length in (2, 3, 4, 5, 6)
    ]
    assert batches == [5, 2, 3, 1, 2]
    reader.close()


def test_a_reading_that_cannot_be_read_fails_its_own_job_with_what_the_others_took() -> None:
    model = Model()
    read = too_much([], most=100)

    def held_back(readings: Sequence[Reading]) -> list[tuple[float, ...]]:
        model(readings)
        return read(readings)

    reader = Reader("judge", held_back)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(reader.read, [reading(2)])
        assert model.started.wait(10)
        good = pool.submit(reader.read, [reading(3), reading(20)])
        bad = pool.submit(reader.read, [reading(4), reading(13), reading(5)])
        while reader._queue.qsize() < 5:
            threading.Event().wait(0.001)
        model.go.set()
        assert first.result() == [(0.5,)]
        assert good.result() == [(1 / 3,), (1 / 20,)]
        with pytest.raises(EngineFailed, match="judge: CUDA out of memory") as failure:
            bad.result()
    assert failure.value.consumed == Scores((), tokens=9)
    assert reader.read([reading(3)]) == [(1 / 3,)]
    reader.close()
