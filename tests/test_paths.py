"""What ships with accountd is found where it was put."""

import subprocess
import sys
import tomllib
from pathlib import Path

import accountd
from accountd.paths import migrations_dir

ROOT = Path(__file__).parents[1]
PACKAGE = Path(accountd.__file__).parent


def ask(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run `code` with the accountd that lies in `folder`."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=folder, env={}, capture_output=True, text=True, check=False)


def test_checkout_finds_its_migrations():
    """In a checkout the scripts beside the package are used."""
    assert migrations_dir() == ROOT / "migrations"


def test_wheel_carries_the_migrations_where_they_are_looked_for(tmp_path):
    """The folder that the wheel is told to carry is the one that an installed accountd reads."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    carried = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]["migrations"]
    (tmp_path / carried).mkdir(parents=True)
    (tmp_path / carried / "env.py").touch()
    for name in ("__init__.py", "paths.py"):
        (tmp_path / "accountd" / name).write_bytes((PACKAGE / name).read_bytes())
    question = "from accountd.paths import migrations_dir; print(migrations_dir())"
    told = ask(tmp_path, question)
    assert told.stdout.strip() == str((tmp_path / carried).resolve())


def test_incomplete_installation_says_so(tmp_path):
    """Without its scripts accountd names what is missing."""
    (tmp_path / "accountd").mkdir()
    for name in ("__init__.py", "paths.py"):
        (tmp_path / "accountd" / name).write_bytes((PACKAGE / name).read_bytes())
    question = "from accountd.paths import migrations_dir; migrations_dir()"
    told = ask(tmp_path, question)
    assert "accountd is not installed completely" in told.stderr
