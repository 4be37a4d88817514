"""Keys, teams, the journal, and who is alive."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_MOMENT = sa.DateTime(timezone=True)
_USD = sa.BigInteger  # picodollars


def upgrade() -> None:
    op.create_table(
        "teams",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("limits", sa.JSON, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("revoked_at", _MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_teams"),
        sa.UniqueConstraint("name", name="uq_teams_name"),
    )
    op.create_table(
        "keys",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("hint", sa.String(32), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("team_id", sa.String(64)),
        sa.Column("limits", sa.JSON, nullable=False),
        sa.Column("models", sa.JSON),
        sa.Column("policies", sa.JSON),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("expires_at", _MOMENT),
        sa.Column("without_redis", sa.String(16), nullable=False),
        sa.Column("lease_usd", _USD, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("revoked_at", _MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_keys"),
        sa.UniqueConstraint("sha256", name="uq_keys_sha256"),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name="fk_keys_team_id"),
    )
    op.create_index("ix_keys_name", "keys", ["name"])
    op.create_index("ix_keys_team_id", "keys", ["team_id"])
    op.create_table(
        "versions",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_versions"),
    )
    op.execute("INSERT INTO versions (name, version) VALUES ('keys', 0)")
    _create_journal()
    op.create_table(
        "gateways",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("seen_at", _MOMENT),
        sa.Column("journaled", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_gateways"),
    )


def _create_journal() -> None:
    op.create_table(
        "entries",
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("billed_usd", _USD, nullable=False),
        sa.Column("estimated", sa.Boolean, nullable=False),
        sa.Column("key_id", sa.Text),
        sa.Column("team_id", sa.Text),
        sa.Column("asked", sa.Text),
        sa.Column("policy", sa.Text),
        sa.Column("route", sa.Text),
        sa.Column("answered", sa.Text),
        sa.Column("strategy", sa.Text),
        sa.Column("cached", sa.Boolean, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("upstream_id", sa.Text),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_entries"),
    )
    op.create_index("ix_entries_day_key_id", "entries", ["day", "key_id"])
    op.create_index("ix_entries_upstream_id", "entries", ["upstream_id"])
    op.create_table(
        "entry_lines",
        sa.Column("entry_id", sa.String(128), nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("purpose", sa.String(16), nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("calls", sa.BigInteger, nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger, nullable=False),
        sa.Column("completion_tokens", sa.BigInteger, nullable=False),
        sa.Column("cached_prompt_tokens", sa.BigInteger, nullable=False),
        sa.Column("reasoning_tokens", sa.BigInteger, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("flops", sa.Double),
        sa.Column("billed_usd", _USD, nullable=False),
        sa.Column("estimated", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("entry_id", "position", name="pk_entry_lines"),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["entries.id"], name="fk_entry_lines_entry_id", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "spent",
        sa.Column("scope", sa.String(80), nullable=False),
        sa.Column("time_window", sa.String(16), nullable=False),
        sa.Column("usd", _USD, nullable=False),
        sa.PrimaryKeyConstraint("scope", "time_window", name="pk_spent"),
    )
