"""The demo in a real process: what a newcomer sees first."""

import os
import subprocess
import sys


def test_demo_in_a_pipe_is_exact(tmp_path):
    """It ends with exit 0, an exact verdict, no escape sequences, and leaves nothing behind."""
    environ = {name: value for name, value in os.environ.items() if not name.upper().startswith("ACCOUNTD_")}
    done = subprocess.run(
        [sys.executable, "-m", "accountd", "demo", "--seconds", "6"],
        cwd=tmp_path,
        env=environ | {"PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Exact: all" in done.stdout
    assert "gap opened" in done.stdout
    assert "gap closed" in done.stdout
    assert "\x1b" not in done.stdout
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_demo_refuses_a_record_that_is_somebodys(recorded, sqlite_url):
    """A database that holds a record is left alone, with exit 2."""
    result = recorded("demo", "--database-url", sqlite_url)
    assert result.exit_code == 2
    assert "--database-url" in result.stderr
    assert recorded("fills", "--json").exit_code == 0
