"""Snell et al. 2024, section 7: what saved pretraining buys in inference."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_model.exchange import inference_growth
from cost_model.flops import inference_flops, training_flops


@pytest.mark.parametrize(
    ("r", "growth"), [(0.16, 257.75), (0.79, 63.367089), (22, 15.772727)], ids=["R<<1", "R~1", "R>>1"]
)
def test_the_paper_s_three_loads_with_a_model_14_times_larger(r: float, growth: float) -> None:
    assert inference_growth(14, inference_tokens=r, pretraining_tokens=1) == pytest.approx(growth)


@given(
    st.floats(1, 100),
    st.floats(1e3, 1e15),
    st.floats(1e3, 1e15),
)
def test_at_that_growth_both_models_take_the_same_flops(
    times_larger: float, inference_tokens: float, pretraining_tokens: float
) -> None:
    growth = inference_growth(times_larger, inference_tokens, pretraining_tokens)
    n = 10**9
    small = training_flops(n, pretraining_tokens) + inference_flops(n, growth * inference_tokens)
    large = times_larger * (training_flops(n, pretraining_tokens) + inference_flops(n, inference_tokens))
    assert small == pytest.approx(large)


@pytest.mark.parametrize("arguments", [(0.5, 1, 1), (14, 0, 1), (14, 1, 0)])
def test_what_makes_no_sense_is_refused(arguments: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="at least 1 times larger"):
        inference_growth(*arguments)
