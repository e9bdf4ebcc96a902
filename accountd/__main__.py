"""`python -m accountd` is the command `accountd`."""

from accountd.cli.main import app

app()
