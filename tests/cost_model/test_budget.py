"""Budgets: spent and reserved together never exceed a cap, and after settlement what is left is exact."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_model.budget import Books, Charge, picodollars, resets_at, usd, windows

IDS = st.sampled_from("abcdef")
AMOUNTS = st.integers(0, 30)
CHARGES = (Charge("all", "total", 100), Charge("key:k", "2026-11", 60), Charge("key:k", "total"))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), IDS, AMOUNTS),
        st.tuples(st.just("settle"), IDS, st.integers(0, 30)),
        st.tuples(st.just("cancel"), IDS, st.just(0)),
    )
)


@given(STEPS)
def test_what_is_held_never_exceeds_a_cap_while_nothing_costs_more_than_was_reserved(
    steps: list[tuple[str, str, int]],
) -> None:
    books, open, spent = Books(), dict[str, int](), 0
    for step, id, amount in steps:
        if step == "reserve":
            held = spent + sum(open.values())
            refused = books.reserve(id, amount, CHARGES)
            assert (refused is None) == (id in open or held + amount <= 60)
            if refused is None:
                open.setdefault(id, amount)
        elif step == "settle":
            billed = min(amount, open.get(id, 0))
            assert books.settle(id, billed) == 0
            spent += billed
            open.pop(id, None)
        else:
            books.cancel(id)
            open.pop(id, None)
        for charge in CHARGES:
            assert books.held(charge.scope, charge.window) == spent + sum(open.values()) <= 60


@given(st.lists(st.tuples(AMOUNTS, AMOUNTS), max_size=20))
def test_after_settlement_a_budget_holds_exactly_what_was_billed(requests: list[tuple[int, int]]) -> None:
    books = Books()
    billed = 0
    for i, (reserved, cost) in enumerate(requests):
        if books.reserve(str(i), reserved, CHARGES) is None:
            assert books.settle(str(i), cost) == max(cost - reserved, 0)
            billed += cost

    assert {books.held(charge.scope, charge.window) for charge in CHARGES} == {billed}


def test_a_request_is_held_in_all_its_budgets_or_in_none() -> None:
    books = Books()
    wide, narrow = Charge("all", "total", 100), Charge("key:k", "total", 10)

    assert books.reserve("a", 11, (wide, narrow)) == narrow
    assert books.held("all", "total") == 0


def test_reserving_or_settling_twice_changes_nothing() -> None:
    books = Books()
    for _ in range(2):
        assert books.reserve("a", 50, CHARGES) is None
    assert books.held("all", "total") == 50
    for billed in (20, 30):
        books.settle("a", billed)
    assert books.held("all", "total") == 20


def test_what_was_never_reserved_is_booked_over_any_cap() -> None:
    books = Books()
    books.book(500, CHARGES)

    assert books.held("all", "total") == 500
    assert books.reserve("a", 0, CHARGES) == CHARGES[0]


@given(st.decimals(0, 10**6, places=20))
def test_a_bill_is_rounded_up_to_a_picodollar(cost_usd: Decimal) -> None:
    amount = picodollars(cost_usd)

    assert 0 <= Fraction(amount, 10**12) - Fraction(cost_usd) < Fraction(1, 10**12)
    assert picodollars(usd(amount)) == amount


def test_days_and_months_are_those_of_utc() -> None:
    late = datetime(2026, 12, 31, 23, 30, tzinfo=timezone(timedelta(hours=-2)))

    assert windows(late) == ("total", "2027-01", "2027-01-01")


@pytest.mark.parametrize(
    ("window", "after"),
    [
        ("2026-12-31", datetime(2027, 1, 1, tzinfo=UTC)),
        ("2026-12", datetime(2027, 1, 1, tzinfo=UTC)),
        ("2028-02-28", datetime(2028, 2, 29, tzinfo=UTC)),
        ("2026-11", datetime(2026, 12, 1, tzinfo=UTC)),
        ("total", None),
    ],
)
def test_a_budget_is_reset_when_the_next_day_or_month_begins(window: str, after: datetime | None) -> None:
    assert resets_at(window) == after
