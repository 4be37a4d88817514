"""Sizes for every test of an estimate."""

from __future__ import annotations

from hypothesis import strategies as st

from cost_model.estimate import Size

SIZE = Size(prompt=50, prompt_at_most=120, completion=80, completion_at_most=192, context=512)
sizes = st.builds(
    lambda prompt, more, completion, longer: Size(
        prompt=prompt,
        prompt_at_most=prompt + more,
        completion=min(completion, longer),
        completion_at_most=longer,
        context=prompt + more + longer,
    ),
    st.integers(1, 300),
    st.integers(0, 300),
    st.integers(1, 300),
    st.integers(1, 300),
)
