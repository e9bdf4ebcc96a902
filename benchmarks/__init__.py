"""Measures what accountd's main path costs, against what people write and against the database's limit."""
