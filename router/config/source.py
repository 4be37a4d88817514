"""YAML to plain values that still know where they were written.

Numbers with a point become :class:`~decimal.Decimal` from the text of the file, so money never passes through
a float. Anchors and merge keys work; a key written twice is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

import yaml

from router.errors import ConfigInvalid

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was written: a file with a line, or an environment variable."""

    source: str
    line: int | None = None


@dataclass(slots=True)
class Document:
    """``values`` as YAML says them, and the place of every key (of list items too) by its path."""

    values: dict[str, Any]
    places: dict[Path, Place] = field(default_factory=dict)

    def place(self, path: Path) -> Place:
        """Where ``path`` was written; for a key that is missing, where its section begins."""
        while path not in self.places and path:
            path = path[:-1]
        return self.places[path]

    def error(self, path: Path, problem: str) -> ConfigInvalid:
        place = self.place(path)
        return ConfigInvalid(problem, source=place.source, line=place.line, path=".".join(path))


def read_yaml(text: str, source: str, needs: str) -> Document:
    """``needs`` names what must be written there at least.

    Raises :class:`ConfigInvalid` where the text is not YAML, or not a mapping with string keys.
    """
    document = Document({}, {(): Place(source, 1)})
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        problem = f"is not YAML: {error.problem or error.context}"
        raise ConfigInvalid(problem, source=source, line=line) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problem = f"is not YAML: character U+{ord(text[error.position]):04X} may not be in it"
        raise ConfigInvalid(problem, source=source, line=line) from error
    if node is None:
        raise ConfigInvalid(f"is empty; give at least {needs}", source=source)
    if not isinstance(node, yaml.MappingNode):
        raise document.error((), f"must be a mapping, with at least {needs}")
    document.values = _Reader(document).mapping(node, ())
    return document


def read_scalar(text: str, source: str) -> Any:
    """One value as YAML would read it (an environment variable). Raises :class:`ConfigInvalid`."""
    return read_yaml("value: " + text, source, "a value").values["value"]


class _Reader:
    """Turns the nodes of one document into values, noting places on the way."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.source = document.places[()].source
        self.scalars = yaml.constructor.SafeConstructor()
        self.open: list[yaml.Node] = []

    def value(self, node: yaml.Node, path: Path) -> Any:
        if node in self.open:
            raise self.document.error(path, "refers to itself; use an anchor only outside its own value")
        self.open.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self.mapping(node, path)
            if isinstance(node, yaml.SequenceNode):
                return [self.item(item, (*path, str(index))) for index, item in enumerate(node.value)]
            return self.scalar(node, path)
        finally:
            self.open.pop()

    def item(self, node: yaml.Node, path: Path) -> Any:
        self.document.places[path] = Place(self.source, node.start_mark.line + 1)
        return self.value(node, path)

    def mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        written: dict[str, int] = {}
        merged = [pair for key, value in node.value if _is_merge(key) for pair in self.merged(value, path)]
        own = [(key, value) for key, value in node.value if not _is_merge(key)]
        for index, (key_node, value_node) in enumerate([*reversed(merged), *own]):
            key, line = self.key(key_node, path), key_node.start_mark.line + 1
            if index >= len(merged) and key in written:
                raise ConfigInvalid(
                    f"is written twice, first in line {written[key]}; keep one",
                    source=self.source,
                    line=line,
                    path=".".join((*path, key)),
                )
            if index >= len(merged):
                written[key] = line
            self.forget((*path, key))
            self.document.places[(*path, key)] = Place(self.source, line)
            values[key] = self.value(value_node, (*path, key))
        return values

    def merged(self, node: yaml.Node, path: Path) -> Iterator[tuple[yaml.Node, yaml.Node]]:
        """The pairs that ``<<: node`` brings in, those that win first."""
        if isinstance(node, yaml.SequenceNode):
            for item in node.value:
                yield from self.merged(item, path)
        elif isinstance(node, yaml.MappingNode) and node not in self.open:
            self.open.append(node)
            yield from ((key, value) for key, value in node.value if not _is_merge(key))
            for key, value in node.value:
                if _is_merge(key):
                    yield from self.merged(value, path)
            self.open.pop()
        else:
            line = node.start_mark.line + 1
            raise ConfigInvalid(
                "merges what is not another mapping; give an alias of one (<<: *name)",
                source=self.source,
                line=line,
                path=".".join((*path, "<<")),
            )

    def forget(self, path: Path) -> None:
        """Drop the places under a merged value that is overridden."""
        if path in self.document.places:
            for each in [known for known in self.document.places if known[: len(path)] == path]:
                del self.document.places[each]

    def key(self, node: yaml.Node, path: Path) -> str:
        if isinstance(node, yaml.ScalarNode) and node.tag != "tag:yaml.org,2002:null":
            return str(node.value)
        raise ConfigInvalid(
            "a key must be a name", source=self.source, line=node.start_mark.line + 1, path=".".join(path)
        )

    def scalar(self, node: yaml.Node, path: Path) -> Any:
        try:
            if node.tag == "tag:yaml.org,2002:float":
                return Decimal(node.value.replace("_", "").replace(".inf", "inf").replace(".nan", "nan"))
            return self.scalars.construct_object(node)
        except (yaml.YAMLError, InvalidOperation, ValueError) as error:
            raise self.document.error(path, f"is not a value that YAML knows: {node.value!r}") from error


def _is_merge(node: yaml.Node) -> bool:
    return bool(node.tag == "tag:yaml.org,2002:merge")
