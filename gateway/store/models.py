"""The tables. A change here is a new file in ``migrations/versions`` (docs/keys.md says how they are run)."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import BigInteger

from gateway.store.columns import Usd, Utc

SCHEMA = "0003"
"""The newest migration: what a database must be at for this code to use it."""


class Base(DeclarativeBase):
    # Names that both databases agree on, so that migrations can drop what they name.
    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012  (SQLAlchemy's own declaration)
        Decimal: Usd,
        datetime: Utc,
        int: BigInteger,
        str: Text,
        dict[str, Any]: JSON,
        list[str]: JSON,
    }


class TeamRow(Base):
    """``limits`` holds the fields of :class:`gateway.accounts.Limits` that are set, money as text."""

    __tablename__ = "teams"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    limits: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class KeyRow(Base):
    """A key, by the SHA-256 of its secret; the secret itself is nowhere."""

    __tablename__ = "keys"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(index=True)
    hint: Mapped[str] = mapped_column(String(32))
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    team_id: Mapped[str | None] = mapped_column(ForeignKey("teams.id"), index=True)
    limits: Mapped[dict[str, Any]]
    models: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    policies: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    tags: Mapped[dict[str, Any]]
    expires_at: Mapped[datetime | None]
    without_redis: Mapped[str] = mapped_column(String(16))
    lease_usd: Mapped[Decimal]
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]

    team: Mapped[TeamRow | None] = relationship(lazy="joined")


class VersionRow(Base):
    """Counts the changes of something that gateways hold in memory, so that they know when to read it."""

    __tablename__ = "versions"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    version: Mapped[int]


class EntryRow(Base):
    """:class:`gateway.entries.Entry`. Not tied to ``keys``: what was spent is kept whatever they say."""

    __tablename__ = "entries"
    __table_args__ = (Index(None, "day", "key_id"), Index(None, "upstream_id"))

    id: Mapped[str] = mapped_column(String(128), primary_key=True)
    at: Mapped[datetime]
    day: Mapped[date]
    status: Mapped[str] = mapped_column(String(16))
    billed_usd: Mapped[Decimal]
    estimated: Mapped[bool]
    key_id: Mapped[str | None]
    team_id: Mapped[str | None]
    asked: Mapped[str | None]
    policy: Mapped[str | None]
    route: Mapped[str | None]
    answered: Mapped[str | None]
    strategy: Mapped[str | None]
    cached: Mapped[bool]
    error: Mapped[str | None]
    seconds: Mapped[float]
    upstream_id: Mapped[str | None]
    tags: Mapped[dict[str, Any]]


class LineRow(Base):
    """A line of usage, and its part of what its entry is billed: the parts add up to the entry's amount.

    ``estimated``: its part may not be what this line cost.
    """

    __tablename__ = "entry_lines"

    entry_id: Mapped[str] = mapped_column(ForeignKey("entries.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    purpose: Mapped[str] = mapped_column(String(16))
    model: Mapped[str]
    calls: Mapped[int]
    prompt_tokens: Mapped[int]
    completion_tokens: Mapped[int]
    cached_prompt_tokens: Mapped[int]
    reasoning_tokens: Mapped[int]
    seconds: Mapped[float]
    flops: Mapped[float | None]
    billed_usd: Mapped[Decimal]
    estimated: Mapped[bool]


class SpentRow(Base):
    """What the entries of one scope and window come to: kept with them, in one transaction.

    ``usd`` is what is beyond whole ``millions``: both databases add in 64 bits, which hold nine of them.
    """

    __tablename__ = "spent"

    scope: Mapped[str] = mapped_column(String(80), primary_key=True)
    window: Mapped[str] = mapped_column("time_window", String(16), primary_key=True)
    millions: Mapped[int]
    usd: Mapped[Decimal]

    @property
    def total_usd(self) -> Decimal:
        return self.millions * 10**6 + self.usd


class FeedbackRow(Base):
    """What was said last of an answer. Not tied to ``entries``: these may be on their way yet."""

    __tablename__ = "feedback"

    request_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    key_id: Mapped[str | None]
    score: Mapped[float]
    comment: Mapped[str | None]


class GatewayRow(Base):
    """A gateway process: when it was last heard of, and which of its entries are in the journal."""

    __tablename__ = "gateways"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    seen_at: Mapped[datetime | None]
    journaled: Mapped[int]
