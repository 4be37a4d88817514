"""Many rows in one call of the driver: what SQLAlchemy does with each takes longer than the database."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite


@dataclass(frozen=True, slots=True)
class Many:
    """A statement for rows of one kind, compiled once: the same however many they are.

    ``columns`` are its parameters in order, each with what makes of a value what the driver takes.
    """

    sql: str
    columns: tuple[tuple[str, Callable[[Any], Any] | None], ...]

    def write(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        """Execute it for every row; how many rows that wrote.

        Raises what SQLAlchemy raises of a database, and what a column's type raises of a value.
        """
        values = [
            tuple([row[name] if bind is None else bind(row[name]) for name, bind in self.columns])
            for row in rows
        ]
        return connection.exec_driver_sql(self.sql, values).rowcount if values else 0


def compiled(insert: sqlite.Insert | postgresql.Insert) -> Many:
    """All columns of the table have a parameter; the statement may have no others."""
    dialect = (
        sqlite.dialect(paramstyle="qmark")
        if isinstance(insert, sqlite.Insert)
        else postgresql.psycopg.dialect(paramstyle="format")  # type: ignore[no-untyped-call]
    )
    made = insert.compile(dialect=dialect)
    columns = [insert.table.columns[name] for name in made.positiontup or ()]
    return Many(
        str(made),
        tuple((each.name, each.type.dialect_impl(dialect).bind_processor(dialect)) for each in columns),
    )
