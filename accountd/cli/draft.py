"""A file that appears under its name only when it is whole."""

import os
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from accountd.errors import SettingsError


class Draft:
    """Writes beside the name and takes it at the end; what ends early leaves no file, or the one before."""

    def __init__(self, path: Path) -> None:
        """Open the draft, readable by its owner only.

        Raises:
            SettingsError: the folder cannot be written to.
        """
        if path.is_dir():
            raise SettingsError(f"--out: {path} is a folder")
        self.path = path
        self._beside = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            handle = os.open(self._beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SettingsError(f"--out: {path}: {error.strerror}") from None
        self.file: BinaryIO = os.fdopen(handle, "wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.file.flush()
                os.fsync(self.file.fileno())
            self.file.close()
            if kind is None:
                self._beside.replace(self.path)
        finally:
            self._beside.unlink(missing_ok=True)
