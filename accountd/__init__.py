"""accountd keeps a complete, exact SQL record of what happens on exchange accounts, and only ever reads."""

__version__ = "0.1.0"
