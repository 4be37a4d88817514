"""Reward models behind a server that speaks vLLM's pooling API: `/pooling` for steps, `/classify` for turns.

Both are sent tokens, so that this side decides what is read. Probabilities are asked for, which every version
of the server gives by default. docs/verifiers.md says how to serve each family.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from transformers import AutoTokenizer

from router.config import RemoteVerifier
from router.config.verifiers import Family
from workers.engines.loading import resolve
from workers.errors import EngineFailed, ModelNotLoadable
from workers.protocols import Scores
from workers.verifiers.families import aggregation_of, layout_of
from workers.verifiers.format import read_format
from workers.verifiers.layouts import Outcome
from workers.verifiers.local import load
from workers.verifiers.model import ModelVerifier
from workers.verifiers.reading import Reading

_TIMEOUT: Final = httpx.Timeout(60.0, connect=5.0)
_LIMITS: Final = httpx.Limits(max_connections=32)
_READINGS_PER_REQUEST: Final = 64
_ROUNDING: Final = 1e-3
"""How far a probability may be outside of 0 to 1: servers answer in half precision."""

Row = Sequence[float]


@dataclass(frozen=True, slots=True)
class Classes:
    """What a row of the server's numbers means: which one says that a step is right, and of how many."""

    right: int
    count: int | None
    """``None``: of as many as there are."""


def load_remote(name: str, verifier: RemoteVerifier) -> ModelVerifier:
    """Raises :class:`workers.errors.ModelNotLoadable`; the server is first asked when something is judged."""
    folder = resolve(verifier.tokenizer)
    tokenizer = load(AutoTokenizer, folder, name)
    if verifier.serves == "orm":
        server = PoolingServer(name, verifier)
        return ModelVerifier(
            name,
            Outcome(tokenizer, name),
            server.score_turns,
            context_tokens=verifier.context_tokens,
            aggregation=None,
            close=server.close,
            reads_history=verifier.reads_history,
        )
    if verifier.family is None:
        raise ModelNotLoadable(
            f"verifier {name}: family: is missing; which PRM is served decides what it reads"
        )
    family = verifier.family
    classes = classes_of(family, folder)
    server = PoolingServer(name, verifier)
    return ModelVerifier(
        name,
        layout_of(family, tokenizer, folder, name),
        lambda readings: server.score_places(readings, classes),
        context_tokens=verifier.context_tokens,
        aggregation=aggregation_of(family, verifier.aggregation, folder),
        close=server.close,
    )


class PoolingServer:
    """Asks one model of one server. Thread-safe; the server batches what several threads ask."""

    def __init__(self, name: str, verifier: RemoteVerifier) -> None:
        self._name = name
        self._model = verifier.upstream_model
        self._url = verifier.base_url.rstrip("/").removesuffix("/v1")
        self._client = httpx.Client(timeout=_TIMEOUT, limits=_LIMITS, headers=_authorization(name, verifier))

    def score_turns(self, readings: Sequence[Reading]) -> list[tuple[float, ...]]:
        """One probability a reading, from `/classify`."""
        return self._ask(
            "/classify", readings, {}, lambda answer, _reading: (self._probability_of_turn(answer),)
        )

    def score_places(self, readings: Sequence[Reading], classes: Classes) -> list[tuple[float, ...]]:
        """One probability a place, from `/pooling`.

        The server may answer with a row for every token, or (STEP pooling) for the tokens that are the tag.
        """
        return self._ask(
            "/pooling",
            readings,
            {"task": "token_classify", "encoding_format": "float"},
            lambda answer, reading: tuple(self._right(row, classes) for row in self._rows(answer, reading)),
        )

    def close(self) -> None:
        self._client.close()

    def _rows(self, answer: Any, reading: Reading) -> list[Row]:
        """The rows of the reading's places. A question may spell out the tag; its rows are left out."""
        rows = answer.get("data")
        if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
            raise EngineFailed(
                f"verifier {self._name}: {self._url}/pooling answered with no rows: {str(rows)[:100]!r}"
            )
        tag = reading.tokens[reading.places[0]]
        tags = [place for place, token in enumerate(reading.tokens) if token == tag]
        if len(rows) == len(reading.tokens):
            of_place = dict(enumerate(rows))
        elif len(rows) == len(tags) and set(reading.places) <= set(tags):
            of_place = dict(zip(tags, rows, strict=True))
        else:
            raise EngineFailed(
                f"verifier {self._name}: {self._url}/pooling answered with {len(rows)} rows for "
                f"{len(reading.tokens)} tokens, of which {len(reading.places)} end a step; right would be "
                "one for each token (vLLM: pooling_type ALL), or for each that is the tag (STEP, step_tag_id)"
            )
        return [of_place[place] for place in reading.places]

    def _right(self, row: Row, classes: Classes) -> float:
        if len(row) <= classes.right or len(row) != (classes.count or len(row)):
            raise EngineFailed(
                f"verifier {self._name}: {self._url}/pooling answered with {len(row)} numbers a token; its "
                f"family has {classes.count or f'more than {classes.right}'}"
            )
        return [self._checked(value) for value in row][classes.right]

    def _probability_of_turn(self, answer: Any) -> float:
        classes = answer.get("probs") or []
        if len(classes) != 1:
            raise EngineFailed(
                f"verifier {self._name}: {self._url}/classify tells {len(classes)} classes apart; an outcome "
                "reward model has one"
            )
        return self._checked(classes[0])

    def _checked(self, value: Any) -> float:
        if not isinstance(value, int | float) or not -_ROUNDING <= value <= 1 + _ROUNDING:
            raise EngineFailed(
                f"verifier {self._name}: {self._url} answered with {value!r}, which is no probability; the "
                "server must apply the model's activation (vLLM has none where config.json says "
                "problem_type: regression)"
            )
        return min(1.0, max(0.0, float(value)))

    def _ask(
        self,
        path: str,
        readings: Sequence[Reading],
        more: dict[str, Any],
        understood: Callable[[Any, Reading], tuple[float, ...]],
    ) -> list[tuple[float, ...]]:
        """What is understood of the answer to each reading. What fails knows what the server had read."""
        scores: list[tuple[float, ...]] = []
        tokens = 0
        try:
            for start in range(0, len(readings), _READINGS_PER_REQUEST):
                part = readings[start : start + _READINGS_PER_REQUEST]
                inputs = [list(one.tokens) for one in part]
                body = {"model": self._model, "input": inputs, "use_activation": True}
                response = self._post(path, body | more)
                tokens += sum(map(len, inputs))
                answers = self._data(path, response, len(part))
                scores += [understood(answer, one) for answer, one in zip(answers, part, strict=True)]
        except EngineFailed as error:
            error.consumed = Scores((), tokens)
            raise
        return scores

    def _data(self, path: str, response: httpx.Response, expected: int) -> list[Any]:
        try:
            data = sorted(response.json()["data"], key=lambda item: item["index"])
        except (ValueError, KeyError, TypeError) as error:
            raise EngineFailed(
                f"verifier {self._name}: {self._url}{path} answered nonsense: {response.text[:200]!r}"
            ) from error
        if len(data) != expected:
            raise EngineFailed(
                f"verifier {self._name}: {self._url}{path} answered {len(data)} of {expected} readings"
            )
        return data

    def _post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        """Once more where the connection broke: a server may have closed one that was idle."""
        url = self._url + path
        try:
            try:
                response = self._client.post(url, json=body)
            except httpx.TimeoutException:
                raise
            except httpx.TransportError:
                response = self._client.post(url, json=body)
        except httpx.TimeoutException as error:
            raise EngineFailed(f"verifier {self._name}: {url} did not answer in time") from error
        except httpx.TransportError as error:
            raise EngineFailed(f"verifier {self._name}: {url} cannot be reached: {error}") from error
        except RuntimeError as error:  # httpx says so of a closed client
            raise EngineFailed(f"verifier {self._name} is closed") from error
        if response.status_code != httpx.codes.OK:
            raise EngineFailed(
                f"verifier {self._name}: {url} answered {response.status_code}: {response.text[:300]}"
            )
        return response


def classes_of(family: Family, folder: Path) -> Classes:
    """What the server's rows mean. ``folder`` is the tokenizer's."""
    match family:
        case "gradus":
            described = read_format(folder)
            # A server makes one softmax of several labels, even of those that mean a sigmoid each.
            return Classes(described.label_index, 1 if described.activation == "sigmoid" else None)
        case "qwen":
            return Classes(1, 2)
        case "skywork":
            return Classes(0, 1)
        case _:  # "+", then "-"
            return Classes(0, 2)


def _authorization(name: str, verifier: RemoteVerifier) -> dict[str, str]:
    if verifier.api_key_env is None:
        return {}
    key = os.environ.get(verifier.api_key_env)
    if not key:
        raise ModelNotLoadable(
            f"verifier {name}: api_key_env: the variable {verifier.api_key_env} is not set"
        )
    return {"Authorization": f"Bearer {key}"}
