"""The commands about the database itself."""

from base64 import b64encode
from datetime import UTC, datetime
from typing import Annotated

import typer

from accountd import config
from accountd.cli import record
from accountd.config import Settings
from accountd.core.checkpoint import origin, public_bytes, verifier_key
from accountd.errors import AccountdError, SettingsError
from accountd.runtime import journal_key, logs
from accountd.settings_values import read_duration
from accountd.store import journal_read, journal_write, migrate
from accountd.store.engine import reading
from accountd.store.lock import sole_writer

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


@app.command()
def keygen() -> None:
    """Make the key that signs the journal's checkpoints, unless there is one; `accountd run` does it too."""
    path = journal_key.path_of(_settings())
    try:
        key = journal_key.make(path)
    except FileExistsError:
        raise SettingsError(f"{path}: it is there; `accountd db key` shows its public half") from None
    except OSError as refusal:
        raise SettingsError(f"{path}: {refusal.strerror}") from None
    typer.echo(f"made {path}; keep a copy of the public key elsewhere:")
    _show(public_bytes(key), [])


@app.command()
def key() -> None:
    """Print the public key that checkpoints are signed with, as `accountd verify --key` takes it."""
    path = journal_key.path_of(_settings())
    public = public_bytes(journal_key.load(path))
    try:
        with record.reader() as (_, engine), reading(engine) as connection:
            accounts = journal_read.journaled_accounts(connection)
    except AccountdError:  # the key can be shown without any record
        accounts = []
    _show(public, accounts)


def _show(public: bytes, accounts: list[str]) -> None:
    """Print a public key alone, and as programs for signed notes want it for each account."""
    typer.echo(b64encode(public).decode())
    for account in accounts:
        typer.echo(verifier_key(origin(account), public))


Older = Annotated[str, typer.Option("--older-than", help="Age of what loses its bytes, such as 90d.")]
Account = Annotated[str | None, typer.Option("--account", "-a", help="Only this account.")]


@app.command()
def prune(older_than: Older, account: Account = None) -> None:
    """Delete the raw bytes of old journal rows; the chain stays whole, and cannot be replayed from there.

    While the daemon runs, ACCOUNTD_JOURNAL__KEEP does the same.
    """
    settings = _settings()
    try:
        before = datetime.now(UTC) - read_duration(older_than)
    except (ValueError, OverflowError) as refusal:
        raise SettingsError(f"--older-than: {older_than!r} is not allowed: {refusal}") from None
    with record.opened() as connection:
        record.require_account(connection, account)
        names = [account.lower()] if account else journal_read.journaled_accounts(connection)
    with sole_writer(settings.database_url):
        for name, rows in journal_write.prune_all(settings.database_url, names, before):
            typer.echo(f"{name}: {rows} rows pruned")
