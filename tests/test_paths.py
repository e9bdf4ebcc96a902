"""What ships with accountd is found where it was put."""

import subprocess
import sys
import tomllib
from pathlib import Path

import accountd
from accountd.paths import migrations_dir

ROOT = Path(__file__).parents[1]


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
        (tmp_path / "accountd" / name).write_bytes((Path(accountd.__file__).parent / name).read_bytes())
    question = "from accountd.paths import migrations_dir; print(migrations_dir())"
    told = subprocess.run([sys.executable, "-c", question], cwd=tmp_path, env={}, capture_output=True, text=True)
    assert told.stdout.strip() == str((tmp_path / carried).resolve())


def test_incomplete_installation_says_so(tmp_path):
    """Without its scripts accountd names what is missing."""
    (tmp_path / "accountd").mkdir()
    (tmp_path / "accountd" / "paths.py").write_bytes((Path(accountd.__file__).parent / "paths.py").read_bytes())
    question = "from accountd.paths import migrations_dir; migrations_dir()"
    told = subprocess.run([sys.executable, "-c", question], cwd=tmp_path, env={}, capture_output=True, text=True)
    assert "accountd is not installed completely" in told.stderr
