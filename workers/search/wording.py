"""What a chat model is told when it is to look at its own answers again.

What revisions ask is the model's own (``revise_prompt`` of its configuration): one that was trained for
revising (Snell et al. 2024, Algorithm 4) is told what it was trained on.
"""

from __future__ import annotations

CRITIQUE = (
    "Check that answer step by step. Say which steps are wrong and why, or that all of them are right. Do "
    "not answer the question again yet."
)
"""After a draft, before its critique."""

REWRITE = (
    "Now answer the question again from the beginning, in the same form as before, without those mistakes."
)
"""After a critique, before the next draft."""
