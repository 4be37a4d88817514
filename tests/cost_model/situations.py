"""Situations of two bins and three ways for the tests of the planner."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import strategies as st

from cost_model.prices import Price, per_million
from cost_model.situation import Bin, Model, Situation, Verifier, Work

WAYS = ("small", "search", "large")


def situation(
    *,
    easy: str = "0.8",
    worth: str = "0.05",
    queries: str = "1000",
    small: Price | None = None,
    large: Price | None = None,
    fixed: str = "0",
    rights: tuple[str, ...] = ("0.8", "0.9", "0.95", "0.1", "0.3", "0.6"),
    probe: Work | None = None,
) -> Situation:
    """``rights`` are those of the three ways in the easy bin, then in the hard one."""
    work = {
        "small": Work("s", 1, Decimal(100), Decimal(200), Decimal(0), 1.0),
        "search": Work("s", 16, Decimal(100), Decimal(3200), Decimal(4800), 3.0),
        "large": Work("l", 1, Decimal(100), Decimal(200), Decimal(0), 2.0),
    }
    numbers = [Decimal(each) for each in rights]
    share = Decimal(easy)
    return Situation(
        Decimal(queries),
        Decimal(worth),
        {
            "s": Model(small or per_million(Decimal(1), Decimal(2)), 7_000),
            "l": Model(large or per_million(Decimal(10), Decimal(20)), 70_000, Decimal(fixed)),
        },
        {
            "easy": Bin(share, dict(zip(WAYS, numbers[:3], strict=True)), work, probe),
            "hard": Bin(1 - share, dict(zip(WAYS, numbers[3:], strict=True)), work, probe),
        },
        Verifier(per_million(Decimal(1), Decimal(1)), 500),
    )


_shares = st.decimals(min_value="0.01", max_value="0.99", places=2).map(str)
_rights = st.tuples(*[st.decimals(min_value=0, max_value=1, places=2).map(str)] * 6)
_prices = st.builds(
    per_million,
    st.decimals(min_value="0.01", max_value=100, places=2),
    st.decimals(min_value="0.01", max_value=100, places=2),
)
situations = st.builds(
    lambda easy, worth, queries, small, large, fixed, rights, probe: situation(
        easy=easy,
        worth=worth,
        queries=queries,
        small=small,
        large=large,
        fixed=fixed,
        rights=rights,
        probe=probe,
    ),
    _shares,
    st.decimals(min_value=0, max_value=1, places=3).map(str),
    st.integers(1, 10**8).map(str),
    _prices,
    _prices,
    st.integers(0, 10**8).map(str),
    _rights,
    st.none() | st.just(Work("s", 4, Decimal(100), Decimal(800), Decimal(1200), 1.5)),
)
