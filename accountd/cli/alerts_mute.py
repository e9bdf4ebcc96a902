"""The commands that keep alerts quiet for a while, and that use a hook again."""

import secrets
from datetime import UTC, datetime
from typing import Annotated

import typer

from accountd.cli import alerts_record, output, record
from accountd.cli.alerts import Account, AsJson, Hook, duration
from accountd.cli.alerts import app as app
from accountd.core.mutes import Mute
from accountd.errors import AccountdError
from accountd.store import controls

Symbol = Annotated[str | None, typer.Option("--symbol", "-s", help="Only symbols like this, such as BTC*.")]
Kind = Annotated[str | None, typer.Option("--type", help="Only types like this, such as order.*.")]


@app.command()
def mute(
    length: Annotated[str | None, typer.Argument(metavar="DURATION", help="How long, such as 2h.")] = None,
    hook: Hook = None, kind: Kind = None, account: Account = None, symbol: Symbol = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; alerts will say it.")] = None,
    json: AsJson = False,
) -> None:  # fmt: skip
    """Keep alerts quiet for a while, or list what is muted; they are kept and can be replayed."""
    now = datetime.now(UTC)
    if length is None:
        with record.opened() as connection:
            rows = [{name: getattr(one, name) for name in Mute.__struct_fields__}
                    for one in controls.muted(connection, now)]  # fmt: skip
        output.write("json" if json else "table", Mute.__struct_fields__, rows)
        return
    fresh = Mute(
        mute_id=secrets.token_hex(4), created_at=now, until=now + duration("DURATION", length),
        hook=hook.lower() if hook else None, type=kind, account=account.lower() if account else None,
        symbol=symbol.upper() if symbol else None, reason=reason,
    )  # fmt: skip
    with alerts_record.changing() as connection:
        controls.add_mute(connection, fresh)
    typer.echo(f"muted until {output.human(fresh.until)} UTC; accountd alerts unmute {fresh.mute_id} ends it")


@app.command()
def unmute(
    ids: Annotated[list[str] | None, typer.Argument(help="Which mutes; none means all.")] = None,
) -> None:
    """End mutes. What was suppressed meanwhile stays so until it is replayed."""
    with alerts_record.changing() as connection:
        number = controls.end_mutes(connection, ids or None, datetime.now(UTC))
    if not number:
        raise AccountdError("no such mute is in force")
    typer.echo(f"{number} ended")


@app.command()
def enable(hook: Annotated[str, typer.Argument(help="The hook.")]) -> None:
    """Use a hook again that answered 410."""
    with alerts_record.changing() as connection:
        was = controls.enable(connection, hook.lower(), datetime.now(UTC))
    if not was:
        raise AccountdError(f"{hook.lower()} is not disabled")
    typer.echo(f"{hook.lower()} is used again; accountd alerts replay --hook {hook.lower()} --since ... "
               "sends what it missed")  # fmt: skip
