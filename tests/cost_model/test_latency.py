from __future__ import annotations

import pytest

from cost_model.latency import latency_s


def test_a_batch_takes_its_prefill_and_then_its_decoding() -> None:
    assert latency_s(2000, 100, 1000.0, 50.0) == pytest.approx(4.0)


def test_a_throughput_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 0"):
        latency_s(1, 1, 0.0, 50.0)
