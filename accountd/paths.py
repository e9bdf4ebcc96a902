"""Where the files that ship with accountd lie, in a checkout and in an installed wheel."""

from pathlib import Path


def migrations_dir() -> Path:
    """Return the folder of the Alembic scripts.

    In a wheel they lie inside the package, in a checkout beside it.

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "_migrations", package.parent / "migrations"):
        if (folder / "env.py").is_file():
            return folder
    raise FileNotFoundError(f"no migrations beside or inside {package}: accountd is not installed completely")
