"""The commands about the database itself."""

import typer

from accountd import config
from accountd.config import Settings
from accountd.runtime import logs
from accountd.store import migrate

app = typer.Typer(no_args_is_help=True, help="Look after the database.")


def _settings() -> Settings:
    settings = config.load(need_accounts=False)
    logs.hide_settings(settings)
    return settings


@app.command()
def upgrade() -> None:
    """Create the schema, or bring an older one up; `accountd run` does the same by itself."""
    settings = _settings()
    done = migrate.upgrade(settings.database_url)
    if done.changed:
        typer.echo(f"schema {done.from_rev or 'none'} -> {done.to_rev}: {settings.database_shown}")
    else:
        typer.echo(f"schema {done.to_rev}, nothing to do: {settings.database_shown}")


@app.command()
def check() -> None:
    """Say whether the schema is the one that this version needs; exit 1 if it is not."""
    settings = _settings()
    schema = migrate.check(settings.database_url)
    if schema.up_to_date:
        typer.echo(f"schema {schema.current}, up to date: {settings.database_shown}")
        return
    typer.echo(
        f"schema {schema.current or 'none'}, this version needs {schema.head}: `accountd db upgrade` does it"
    )
    raise typer.Exit(1)


@app.command()
def path() -> None:
    """Print which database is used, without its password."""
    typer.echo(_settings().database_shown)
