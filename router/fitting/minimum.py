"""How many questions it takes to fit a predictor: said here for `gradus fit` and `gradus evaluate`."""

from __future__ import annotations

from math import ceil

import numpy as np

from router.errors import OutcomesInvalid
from router.outcome_table import OutcomeTable
from router.outcomes import SMALL

MIN_QUESTIONS = 70
"""Of questions whose outcome is known: with fewer, too few are left to hold out."""
MIN_GROUPS = 10
"""Of stories and templates: with fewer, what is held out would be like what was fitted to."""
MIN_OUTCOMES = 20
"""An action known for fewer questions than these, to fit or held out, is left out."""


def check_enough(table: OutcomeTable, folds: int = 1) -> None:
    """Refuse a table, grouped by story, that is too small to fit to; or to all but one of ``folds``.

    Raises :class:`OutcomesInvalid`.
    """
    known = np.isfinite(table.right).any(axis=1)
    questions, groups = int(known.sum()), len(set(np.asarray(table.groups)[known]))
    share = 1.0 if folds == 1 else (folds - 1) / folds
    wanted, wanted_groups = ceil(MIN_QUESTIONS / share), ceil(MIN_GROUPS / share)
    if questions >= wanted and groups >= wanted_groups:
        return
    why = "" if folds == 1 else f", for each of {folds} folds is left out once"
    raise OutcomesInvalid(
        f"right or wrong is known of {questions} questions in {groups} groups (stories, templates); to fit "
        f"takes at least {wanted} in {wanted_groups}{why}"
    )


def without_rare(
    table: OutcomeTable, fitted: np.ndarray, held_out: np.ndarray, least_held_out: int = MIN_OUTCOMES
) -> tuple[OutcomeTable, dict[str, str]]:
    """The actions that enough is known of, and of each other one why it is left out.

    ``fitted`` and ``held_out`` are rows, of which ``least_held_out`` must tell of an action. Raises
    :class:`OutcomesInvalid` where fewer than two actions remain, or not the small model that there was: then
    nothing can be decided.
    """
    left_out = {}
    known, groups = np.isfinite(table.right), np.asarray(table.groups)
    for column, action in enumerate(table.actions):
        to_fit, held = (int(known[rows, column].sum()) for rows in (fitted, held_out))
        if to_fit < MIN_OUTCOMES or held < least_held_out:
            left_out[action.name] = (
                f"right or wrong is known of {to_fit} questions to fit and {held} held out; at least "
                f"{MIN_OUTCOMES} to fit and {least_held_out} held out are needed"
            )
        elif len(set(groups[fitted][known[fitted, column]])) < 2:
            left_out[action.name] = f"the {to_fit} questions to fit it to are of one group"
    kept = [action.name for action in table.actions if action.name not in left_out]
    if len(kept) >= 2 and SMALL not in left_out:
        return table.only(kept), left_out
    wanted = "the small model" if SMALL in left_out else "two actions to choose between"
    reasons = "; ".join(f"{name!r}: {reason}" for name, reason in left_out.items())
    raise OutcomesInvalid(f"too little is known of {wanted}: {reasons or f'there is only {kept[0]!r}'}")
