"""Sums of any size: whole millions of USD apart from the rest, since 64 bits of picodollars end at nine."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_MILLION = 10**18


def upgrade() -> None:
    op.add_column("spent", sa.Column("millions", sa.BigInteger, nullable=False, server_default="0"))
    spent = sa.table("spent", sa.column("usd", sa.BigInteger), sa.column("millions", sa.BigInteger))
    op.execute(spent.update().values(millions=spent.c.usd // _MILLION, usd=spent.c.usd % _MILLION))
