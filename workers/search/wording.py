"""What a chat model is told when it is to look at its own answers again.

A model trained for revising (Snell et al. 2024, Algorithm 4) would be told what it was trained on instead.
"""

from __future__ import annotations

REVISE = (
    "There may be a mistake in that answer. Find it and correct it, then answer the question again from the "
    "beginning, in the same form."
)
"""After each earlier attempt, before the next one."""

CRITIQUE = (
    "Check that answer step by step. Say which steps are wrong and why, or that all of them are right. Do "
    "not answer the question again yet."
)
"""After a draft, before its critique."""

REWRITE = (
    "Now answer the question again from the beginning, in the same form as before, without those mistakes."
)
"""After a critique, before the next draft."""
