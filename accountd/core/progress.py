"""What a long first sync tells about how far it is."""

from typing import Protocol


class Progress(Protocol):
    """Someone who watches a sweep; every call returns at once."""

    def total(self, account: str, steps: int) -> None:
        """Say how many steps are known so far; the number may grow."""

    def advance(self, account: str, what: str, steps: int = 1) -> None:
        """Say that steps are done, and what is being read (a dataset, or dataset and symbol)."""

    def done(self, account: str) -> None:
        """Say that the account's sweep is complete."""
