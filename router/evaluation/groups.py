"""Which questions must not be split between folds: repeated prompts, templates, stories told twice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from router.outcome_table import OutcomeTable

SHINGLE_WORDS = 4
SIMILAR = 0.5
"""Cosine of the sets of shingles from which on two prompts are the same story. On GSM8K, MATH and MMLU the
pairs above it share a passage, a template or all but a few words."""
COMMON_ROWS = 40
"""Shingles of more prompts than this are instructions or idiom, not stories."""
_FORMAT_SHARE = 0.1
_FEW = 5


def masked(text: str) -> str:
    """Letters in lower case, every number as ``#``: what prompts of one template share."""
    return " ".join(re.findall(r"[^\W\d_]+|#", re.sub(r"\d[\d.,]*", " # ", text.lower())))


def groups_of(prompts: Sequence[str]) -> tuple[str, ...]:
    """A name of the group of each prompt; the same name where templates are equal or nearly so.

    Names hold within one call only: pass all prompts that are to be kept apart at once.
    """
    from scipy.sparse.csgraph import connected_components
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.preprocessing import normalize

    templates = [masked(prompt) or prompt for prompt in prompts]
    distinct = sorted(set(templates))
    place = {template: index for index, template in enumerate(distinct)}
    words = CountVectorizer(
        binary=True, ngram_range=(SHINGLE_WORDS, SHINGLE_WORDS), token_pattern=r"\S+", dtype=np.float32
    )
    try:
        shingles = words.fit_transform(distinct)
    except ValueError:  # Nothing is as long as one shingle.
        return tuple(f"g{place[template]}" for template in templates)
    rows_with = np.asarray(shingles.sum(axis=0)).ravel()
    # Lengths are of all shingles: what is a prompt's own counts against its being the story of another.
    shingles = normalize(shingles)[:, (rows_with > 1) & (rows_with <= COMMON_ROWS)].tocsr()
    near = shingles @ shingles.T
    near.data[near.data < SIMILAR] = 0
    near.eliminate_zeros()
    _, component = connected_components(near, directed=False)
    return tuple(f"g{component[place[template]]}" for template in templates)


def united(groups: Sequence[str], prompts: Sequence[str]) -> tuple[str, ...]:
    """A name of the group of each question: questions of one given group, or of one story, are together.

    What a tenth of all prompts have in common is a format ("24 with # # # #"), and no reason to keep them
    together.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    given = np.unique(np.asarray(groups), return_inverse=True)[1]
    alike, size = np.unique(np.asarray(groups_of(prompts)), return_inverse=True, return_counts=True)[1:]
    common = size[alike] > max(_FEW, _FORMAT_SHARE * len(alike))
    alike = np.where(common, given, alike + given.max() + 1)
    nodes = int(alike.max()) + 1
    edges = coo_array((np.ones(len(given)), (given, alike)), shape=(nodes, nodes))
    _, component = connected_components(edges, directed=False)
    return tuple(f"g{component[each]}" for each in given)


def by_story(table: OutcomeTable) -> OutcomeTable:
    """The same, grouped by story too: whoever fits and measures on parts of it must not tear these apart."""
    return replace(table, groups=united(table.groups, table.prompts))
