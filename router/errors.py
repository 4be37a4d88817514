"""What the router refuses, and why.

    RouterError
    ├── ConfigInvalid        the configuration file (or an environment variable over it) is wrong, and where
    ├── WireInvalid          a message between gateway and worker is not one that this version reads
    ├── ArtifactInvalid      a versioned file (calibration) cannot be read
    ├── OutcomesInvalid      a file of outcomes or labels is wrong, and where
    ├── CannotTune           a policy's objective cannot be weighed on the calibration questions there are
    └── Refused              this query cannot be planned: nothing was spent
        ├── UnknownPolicy    no such policy or model
        ├── CannotHonour     the query needs features that no allowed model offers
        ├── CannotSearch     the query wants a search that cannot be done so
        ├── RefusedByRule    a rule of the policy says so
        ├── PromptTooLong    longer than the context of every model
        └── CapExceeded      every way to answer may cost more than the cap (or nobody knows what it costs)

``code`` is stable, in OpenAI's vocabulary where it has a word; the gateway maps it to HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal


class RouterError(Exception):
    code = "router_error"


class ConfigInvalid(RouterError):
    """``str()`` is ``FILE:LINE: key.path: what is wrong; what would be right``."""

    code = "config_invalid"

    def __init__(self, problem: str, *, source: str, line: int | None = None, path: str = "") -> None:
        self.problem, self.source, self.line, self.path = problem, source, line, path
        where = source if line is None else f"{source}:{line}"
        super().__init__(f"{where}: {path}: {problem}" if path else f"{where}: {problem}")


class WireInvalid(RouterError):
    code = "wire_invalid"


class ArtifactInvalid(RouterError):
    code = "artifact_invalid"


class OutcomesInvalid(RouterError):
    """``str()`` is ``FILE:LINE: what is wrong; what would be right``."""

    code = "outcomes_invalid"


class CannotTune(RouterError):
    code = "cannot_tune"


class Refused(RouterError):
    code = "refused"


class UnknownPolicy(Refused):
    code = "model_not_found"


class CannotHonour(Refused):
    """``needs`` names the request fields that nothing configured can honour."""

    code = "unsupported_feature"

    def __init__(self, message: str, needs: Sequence[str]) -> None:
        self.needs = tuple(needs)
        super().__init__(message)


class CannotSearch(Refused):
    """``parameter`` is the field of :class:`router.wish.Wish` that is at fault."""

    code = "invalid_value"

    def __init__(self, message: str, parameter: str) -> None:
        self.parameter = parameter
        super().__init__(message)


class RefusedByRule(Refused):
    code = "refused_by_rule"


class PromptTooLong(Refused):
    code = "context_length_exceeded"

    def __init__(self, message: str, *, prompt_tokens: int, context_tokens: int) -> None:
        self.prompt_tokens, self.context_tokens = prompt_tokens, context_tokens
        super().__init__(message)


class CapExceeded(Refused):
    """``worst_case_cost_usd`` is that of the cheapest way to answer; ``None``: no way has a known cost.

    ``fees`` are the fields of the query for which it is not known.
    """

    code = "cost_cap_exceeded"

    def __init__(
        self,
        message: str,
        *,
        worst_case_cost_usd: Decimal | None,
        max_cost_usd: Decimal,
        fees: tuple[str, ...] = (),
    ) -> None:
        self.worst_case_cost_usd, self.max_cost_usd, self.fees = worst_case_cost_usd, max_cost_usd, fees
        super().__init__(message)
