"""The only SQLAlchemy: tables, the writer's statements, named queries and views."""
