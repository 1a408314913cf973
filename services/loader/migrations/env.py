"""Alembic's entry: migrates over the connection that `services.loader.migrate` hands in."""

from alembic import context

from shared.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_server_default=False,
    # So that no lock is held longer than its own step takes.
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
