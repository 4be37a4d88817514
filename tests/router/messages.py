"""Any job and any outcome, for tests of what crosses the queue."""

from __future__ import annotations

from hypothesis import strategies as st

from cost_model.usage import Usage
from router.types import (
    Alternative,
    Bin,
    Branch,
    Decision,
    Difficulty,
    Evidence,
    Failure,
    Job,
    Outcome,
    Plan,
    ProbeStage,
    Query,
    Reading,
    Sampling,
    Stopping,
    StrategySpec,
    Task,
    Worth,
)

texts = st.text(st.characters(codec="utf-8"), max_size=20)
numbers = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
usd = st.none() | st.decimals(min_value=0, max_value=1000, places=15)
shares = st.floats(0, 1)
stoppings = st.builds(
    Stopping, st.sampled_from(["none", "leader", "beta"]), window=st.none() | st.integers(2, 9)
)
tasks = st.builds(
    Task,
    st.sampled_from(["auto", "code", "json"]),
    st.none() | st.dictionaries(texts, json_values, max_size=2),
    st.lists(st.dictionaries(texts, json_values, max_size=2), max_size=2).map(tuple),
    st.none() | texts,
    st.lists(st.lists(json_values, max_size=2).map(tuple), max_size=2).map(tuple),
    st.none() | texts,
)
alternatives = st.builds(
    Alternative,
    route=st.sampled_from(["small", "large"]),
    model=texts,
    strategy=st.builds(
        StrategySpec, st.sampled_from(["direct", "beam"]), st.integers(1, 99), stopping=stoppings
    ),
    accuracy=shares,
    accuracy_source=st.sampled_from(["measured", "assumed"]),
    expected_cost_usd=usd,
    worst_case_cost_usd=usd,
    expected_flops=st.none() | numbers,
    token_cap=st.none() | st.integers(0, 10**6),
)
readings = st.builds(Reading, numbers, st.lists(numbers, max_size=2).map(tuple))
branches = st.builds(
    Branch,
    st.none() | st.sampled_from(Bin),
    alternatives,
    st.lists(alternatives, max_size=1).map(tuple),
    texts,
    st.none() | texts,
    shares,
    shares,
    st.lists(readings, max_size=2).map(tuple),
)
stages = st.builds(
    ProbeStage,
    st.integers(0, 64),
    st.lists(branches, min_size=1, max_size=2).map(tuple),
    st.none() | readings,
)
plans = st.builds(
    Plan,
    texts,
    st.none() | texts,
    st.none() | texts,
    st.lists(stages, min_size=1, max_size=2).map(tuple),
    usd,
    usd,
    usd,
    st.none() | shares,
    st.none() | shares,
    st.none() | st.builds(Worth, numbers, st.none() | shares),
)
queries = st.builds(
    Query,
    st.lists(st.dictionaries(texts, json_values, max_size=2), max_size=2).map(tuple),
    st.builds(Sampling, st.none() | st.integers(1, 999), st.none() | numbers, stop=st.just(("a", "b"))),
    st.lists(texts, max_size=2).map(tuple),
    st.dictionaries(texts, json_values, max_size=2),
    tasks,
)
jobs = st.builds(Job, texts, texts, queries, plans, numbers, st.booleans(), st.booleans(), st.none() | texts)
difficulties = st.builds(Difficulty, shares, st.sampled_from(Bin), st.integers(1, 99), shares)
evidence = st.builds(
    Evidence,
    st.lists(shares, max_size=2).map(tuple),
    st.lists(st.none() | texts, max_size=2).map(tuple),
    st.lists(st.lists(shares, max_size=2).map(tuple), max_size=2).map(tuple),
    st.lists(st.integers(0, 999), max_size=2).map(tuple),
    st.lists(st.sampled_from(["stop", "length"]), max_size=2).map(tuple),
)
outcomes = st.builds(
    Outcome,
    texts,
    st.sampled_from(["answered", "escalate", "failed"]),
    st.none() | st.builds(Decision, st.none() | difficulties, branches, st.none() | evidence),
    texts,
    st.sampled_from(["stop", "length", "tool_calls"]),
    st.lists(st.dictionaries(texts, json_values, max_size=2), max_size=2).map(tuple),
    st.integers(0, 99),
    st.none() | shares,
    st.lists(
        st.builds(
            Usage,
            st.sampled_from(["probe", "verifier", "cache"]),
            texts,
            st.integers(0, 9),
            cost_usd=usd,
        ),
        max_size=2,
    ).map(tuple),
    st.dictionaries(texts, numbers, max_size=2),
    st.none() | st.builds(Failure, texts, texts),
    st.none() | texts,
    st.booleans(),
)
