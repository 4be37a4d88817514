"""What Alembic runs: the migrations that are missing, in the transaction of who asked."""

from __future__ import annotations

from alembic import context

from gateway.store.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transactional_ddl=True,
    render_as_batch=True,  # SQLite changes a table by copying it
)
with context.begin_transaction():
    context.run_migrations()
