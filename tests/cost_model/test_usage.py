"""Lines of usage add up to the bill, and nothing unknown ever turns into a number."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_model.prices import add_usd
from cost_model.usage import Usage, merge

usd = st.none() | st.decimals(min_value=0, max_value=1000, places=12)
lines = st.lists(
    st.builds(
        Usage,
        purpose=st.sampled_from(["probe", "candidate", "verifier"]),
        model=st.sampled_from(["small", "large"]),
        calls=st.integers(0, 99),
        prompt_tokens=st.integers(0, 10**6),
        completion_tokens=st.integers(0, 10**6),
        cost_usd=usd,
    )
)


@given(lines)
def test_merging_lines_loses_no_token_and_no_call(lines: list[Usage]) -> None:
    merged = merge(lines)
    assert sum(line.total_tokens for line in merged) == sum(line.total_tokens for line in lines)
    assert sum(line.calls for line in merged) == sum(line.calls for line in lines)
    assert len({(line.purpose, line.model) for line in merged}) == len(merged)


@given(lines)
def test_merging_lines_keeps_the_sum_of_money_or_that_it_is_unknown(lines: list[Usage]) -> None:
    assert add_usd(*(line.cost_usd for line in merge(lines))) == add_usd(*(line.cost_usd for line in lines))


def test_lines_of_different_models_do_not_add_up() -> None:
    with pytest.raises(ValueError, match="probe/small and probe/large"):
        Usage("probe", "small") + Usage("probe", "large")


def test_flops_are_unknown_as_soon_as_one_line_does_not_know_them() -> None:
    known, unknown = Usage("probe", "small", flops=1.0), Usage("probe", "small")
    assert (known + known).flops == 2.0
    assert (known + unknown).flops is None


@given(st.lists(usd))
def test_sums_of_money_are_exact_never_negative_and_unknown_if_a_part_is(
    amounts: list[Decimal | None],
) -> None:
    total = add_usd(*amounts)
    known = [amount for amount in amounts if amount is not None]
    if len(known) < len(amounts):
        assert total is None
    else:
        assert total == sum(known, Decimal(0))
        assert total is not None
        assert total >= 0
