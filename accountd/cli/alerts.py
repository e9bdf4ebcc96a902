"""The commands about alerts: what rang, what became of it, and sending it again."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from accountd.cli import alerts_record, moments, output, record
from accountd.cli.alerts_sample import send_sample
from accountd.errors import AccountdError, SettingsError, SinkError
from accountd.settings_values import read_duration
from accountd.store import controls, tables
from accountd.store.controls import Chosen

app = typer.Typer(no_args_is_help=True, help="What rang, what became of it, and sending it again.")

Hook = Annotated[str | None, typer.Option("--hook", help="Only this hook.")]
Kind = Annotated[str | None, typer.Option("--type", help="Only this type.")]
Account = Annotated[str | None, typer.Option("--account", "-a", help="Only this account.")]
Status = Annotated[str | None, typer.Option("--status", help="pending, delivered, suppressed or dead.")]
Since = Annotated[str | None, typer.Option("--since", help="From then on: ISO time, 2h, 7d, today.")]
Until = Annotated[str | None, typer.Option("--until", help="Before then; same words.")]
AsJson = Annotated[bool, typer.Option("--json", help="One array of objects, every column.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Comma-separated, every column.")]
SCREENFUL = 50
SHOWN = (
    "created_at", "hook", "type", "account_id", "status", "attempts", "delivered_at", "reason", "message_id",
)  # fmt: skip
HEADS = {"created_at": "rang (UTC)", "account_id": "account", "delivered_at": "delivered", "message_id": "id"}
STATES = ("pending", "delivered", "suppressed", "dead")


@app.command("list")
def list_(
    hook: Hook = None, kind: Kind = None, account: Account = None, status: Status = None,
    since: Since = None, until: Until = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="The newest N.")] = None,
    json: AsJson = False, csv: AsCsv = False,
) -> None:  # fmt: skip
    """List alerts and what became of each."""
    how = output.form(json, csv)
    chosen = _chosen((), hook, kind, account, status, since, until)
    most = limit or (SCREENFUL if how == "table" else None)
    with record.opened() as connection:
        rows = controls.listed(connection, chosen, most)
    columns = [column.name for column in tables.outbox.columns]
    full = limit is None and len(rows) == SCREENFUL
    output.write(how, columns, rows, shown=SHOWN, heads=HEADS,
                 note=lambda _: f"the newest {SCREENFUL}; --limit N shows more" if full else "")  # fmt: skip


@app.command()
def show(message_id: Annotated[str, typer.Argument(help="The id, or how it begins.")],
         json: AsJson = False) -> None:  # fmt: skip
    """Show one alert: its body and every attempt."""
    with record.opened() as connection:
        found = controls.found(connection, message_id)
        if len(found) != 1:
            raise AccountdError(f"{message_id}: {'several ids begin so' if found else 'no such message'}")
        (row,) = found
        attempts = controls.attempts(connection, row["message_id"])
    if json:
        output.write_json([{**row, "deliveries": [_plain(each) for each in attempts]}])
        return
    for name, value in row.items():
        if value is not None and name != "body":
            typer.echo(f"{name:<16} {output.human(value)}")
    typer.echo(f"body             {row['body']}")
    typer.echo("")
    columns = ("attempt", "started_at", "duration", "status_code", "error")
    output.write_table(columns, attempts, heads={"started_at": "at (UTC)", "duration": "microseconds"})


@app.command("test")
def test_(hook: Annotated[str, typer.Argument(help="The hook.")],
          kind: Annotated[str, typer.Option("--type", help="What to send: fill or test.")] = "test",
          ) -> None:  # fmt: skip
    """Send a sample to a hook and say how that went; nothing is written down."""
    settings = alerts_record.hook(hook)
    try:
        name, seconds = asyncio.run(send_sample(hook.lower(), settings, kind, datetime.now(UTC)))
    except SinkError as refusal:
        raise AccountdError(f"{hook.lower()}: not delivered: {refusal.message}") from None
    typer.echo(f"{hook.lower()}: delivered {name} in {seconds * 1000:.0f} ms")


@app.command()
def replay(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids; or choose by --since and the rest.")] = None,
    hook: Hook = None, kind: Kind = None, account: Account = None, status: Status = None,
    since: Since = None, until: Until = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many.")] = False,
) -> None:  # fmt: skip
    """Send alerts again: the same ids and bodies, marked as replayed."""
    chosen = _chosen(tuple(ids or ()), hook, kind, account, status, since, until)
    if not ids and since is None and status is None:
        raise SettingsError("what to replay: ids, --since, or --status dead")
    if dry_run:
        with record.opened() as connection:
            rows = [row for row in controls.listed(connection, chosen, None) if row["status"] != "pending"]
            numbers = {name: sum(row["hook"] == name for row in rows) for name in {r["hook"] for r in rows}}
    else:
        with alerts_record.changing() as connection:
            numbers = controls.replay(connection, chosen, datetime.now(UTC))
            off = controls.disabled(connection)
        for name in sorted(set(numbers) & set(off)):
            typer.echo(f"{name} is disabled ({off[name]}); accountd alerts enable {name}", err=True)
    if not numbers:
        raise AccountdError("nothing to replay")
    for name, number in sorted(numbers.items()):
        typer.echo(f"{name}: {number} {'would be sent' if dry_run else 'to be sent'} again")


@app.command()
def dead(json: AsJson = False) -> None:
    """Say what was given up, by hook and type; exit 1 if there is any."""
    with record.opened() as connection:
        rows = controls.dead(connection)
        off = controls.disabled(connection)
    columns = ("hook", "type", "dead", "first_at", "last_at", "reason")
    output.write("json" if json else "table", columns, rows)
    for name, reason in sorted(off.items()):
        typer.echo(f"{name} is disabled: {reason}", err=True)
    if rows or off:
        raise typer.Exit(1)


def _plain(row: Any) -> dict[str, Any]:
    return {name: output.plain(value) for name, value in row.items()}


def _chosen(ids: tuple[str, ...], hook: str | None, kind: str | None, account: str | None,
            status: str | None, since: str | None, until: str | None) -> Chosen:  # fmt: skip
    now = datetime.now(UTC)
    if status is not None and status.lower() not in STATES:
        raise SettingsError(f"--status: one of {', '.join(STATES)}")
    return Chosen(
        ids=ids, hook=hook.lower() if hook else None, type=kind, account=account.lower() if account else None,
        status=status.lower() if status else None, since=moments.read("--since", since, now),
        until=moments.read("--until", until, now),
    )  # fmt: skip


def duration(option: str, written: str) -> timedelta:
    """Read how long something is to last.

    Raises:
        SettingsError: nobody can tell.
    """
    try:
        return read_duration(written)
    except ValueError as refusal:
        raise SettingsError(f"{option}: {written!r} is not allowed: {refusal}") from None
