"""The families of process reward models: how each is shown a turn, and how its scores become one.

The layouts are in :mod:`workers.verifiers.layouts`, the models in :mod:`workers.verifiers.prm`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from router.config.verifiers import Family
from workers.errors import ModelNotLoadable
from workers.verifiers import layouts
from workers.verifiers.aggregate import Aggregation
from workers.verifiers.format import read_format
from workers.verifiers.layouts import Layout

AGGREGATION: Final[Mapping[Family, Aggregation]] = MappingProxyType(
    {
        # Wang et al. 2024 (Math-Shepherd), section 3.3: the minimum over all steps is the solution's score.
        "math-shepherd": "min",
        # Measured on the recorded step scores of Llama3.1-8B-PRM-Deepseek-Data over MATH-500: in runs of one
        # sample AUC 0.86 and 0.90 for the product, 0.86 and 0.89 for the mean, 0.84 and 0.86 for the last.
        # RLHFlow's own evaluation takes the mean, search-and-learn the last.
        "rlhflow": "prod",
        # Zhang et al. 2025 (2501.07301), section 2.2: the product of the scores of all steps.
        "qwen": "prod",
        # Its card names none. On recorded scores of the 1.5B model over MATH-500: AUC 0.69 for the last,
        # 0.68 for the mean, 0.57 for the minimum, 0.49 for the product.
        "skywork": "mean",
    }
)
"""How the scores of steps become one, by family; a "gradus" folder says it itself."""


def layout_of(family: Family, tokenizer: Any, folder: Path, name: str) -> Layout:
    """How the family is shown a turn. ``folder`` is the tokenizer's.

    Raises :class:`workers.errors.ModelNotLoadable` where the tokenizer lacks the family's tags.
    """
    match family:
        case "gradus":
            return layouts.TokenClassification(tokenizer, name, read_format(folder))
        case "math-shepherd":
            return layouts.math_shepherd(tokenizer, name)
        case "rlhflow":
            return layouts.rlhflow(tokenizer, name)
        case "qwen":
            return layouts.qwen(tokenizer, name)
        case "skywork":
            return layouts.Skywork(tokenizer, name)


def aggregation_of(family: Family, configured: Aggregation | None, folder: Path) -> Aggregation:
    """The configured aggregation, else the family's, else what the folder says."""
    if configured is not None:
        return configured
    return read_format(folder).aggregation if family == "gradus" else AGGREGATION[family]


def signs_of(family: Family, tokenizer: Any, name: str) -> tuple[int, int]:
    """The tokens "+" and "-" of a family whose model answers with one of them.

    Raises :class:`workers.errors.ModelNotLoadable` where the tokenizer has no such two tokens.
    """
    if family == "math-shepherd":  # as on its card: with the space that the tokenizer writes before a word
        tokens = tokenizer.encode("+ -", add_special_tokens=False)
    else:
        tokens = [tokenizer.encode(sign, add_special_tokens=False)[-1] for sign in "+-"]
    if len(tokens) != 2:
        raise ModelNotLoadable(
            f"verifier {name}: '+ -' is {len(tokens)} tokens of its tokenizer, not two; is its family right?"
        )
    return tokens[0], tokens[1]
