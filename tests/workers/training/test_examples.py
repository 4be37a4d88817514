"""Batches: what is in them, and that a run that goes on sees the same ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.training.learning.examples import Collator, Example, LikeLengths, pad_token


@given(st.lists(st.integers(1, 50), min_size=1, max_size=80), st.integers(1, 9), st.integers(0, 3))
def test_every_example_is_seen_once_an_epoch(lengths: list[int], batch: int, epoch: int) -> None:
    order = LikeLengths(lengths, batch, seed=1)
    order.set_epoch(epoch)
    seen = list(order)
    assert sorted(seen) == list(range(len(lengths)))
    assert len(order) == len(lengths)


def test_the_order_follows_from_seed_and_epoch() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        sampler = LikeLengths(list(range(100)), 8, seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert order(1, 2) == order(1, 2)
    assert order(1, 2) != order(1, 3)
    assert order(1, 2) != order(2, 2)


def test_batches_are_of_like_length() -> None:
    lengths = [10, 200] * 16
    seen = list(LikeLengths(lengths, 8, seed=1))
    for begin in range(0, 32, 8):
        assert len({lengths[at] for at in seen[begin : begin + 8]}) == 1


def test_a_batch_is_filled_up_on_the_right_and_knows_its_places() -> None:
    batch = Collator(9)([Example((1, 2, 3), (0, 2), (0.5, 1.0), 3.0), Example((4,), (0,), (0.0,))])
    assert batch["input_ids"].tolist() == [[1, 2, 3], [4, 9, 9]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["rows"].tolist() == [0, 0, 1]
    assert batch["places"].tolist() == [0, 2, 0]
    assert batch["labels"].tolist() == [0.5, 1.0, 0.0]
    assert batch["weights"].tolist() == [3.0, 3.0, 1.0]


@pytest.mark.parametrize(("configured", "expected"), [(None, 2), (7, 7)])
def test_padding_is_a_token_that_no_example_ends_in(configured: int | None, expected: int) -> None:
    examples = [Example((2, 0), (1,), (1.0,)), Example((2, 1), (1,), (1.0,))]
    assert pad_token(configured, 10, examples) == expected
