"""The bars that show how far a first sync is, on a terminal."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class Bars:
    """One bar an account; does nothing where nobody watches."""

    def __init__(self, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        self.progress = Progress(
            TextColumn("{task.fields[account]}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[what]}"),
            console=console, transient=True, disable=not console.is_terminal,
        )  # fmt: skip
        self.tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def total(self, account: str, steps: int) -> None:
        """Say how many steps are known so far."""
        self.progress.update(self._task(account), total=steps)

    def advance(self, account: str, what: str, steps: int = 1) -> None:
        """Move the account's bar on."""
        self.progress.update(self._task(account), advance=steps, what=what)

    def done(self, account: str) -> None:
        """Take the account's bar away; without any bar nothing is redrawn."""
        if (task := self.tasks.pop(account, None)) is not None:
            self.progress.remove_task(task)
        if not self.tasks:
            self.progress.stop()

    def _task(self, account: str) -> TaskID:
        if account not in self.tasks:
            self.progress.start()
            self.tasks[account] = self.progress.add_task("", total=None, account=account, what="")
        return self.tasks[account]
