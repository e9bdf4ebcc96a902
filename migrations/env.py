"""Alembic's entry: runs the scripts on the connection that accountd/store/migrate.py hands over."""

from alembic import context
from sqlalchemy import Connection

from accountd.store.tables import metadata


def run() -> None:
    """Run the migrations inside the transaction that the caller has opened and will commit."""
    connection: Connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
    context.run_migrations()


run()
