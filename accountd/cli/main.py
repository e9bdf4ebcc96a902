"""The program `accountd`: its commands, and what its exit codes mean."""

import os
import signal
import sys
from typing import Annotated, Any

import typer
from typer import core

from accountd import __version__
from accountd.cli import (
    alerts_mute,
    audit,
    backfill,
    check,
    data,
    db,
    demo,
    export,
    pnl,
    query,
    reconcile,
    replay,
    run,
    sim,
    status,
    verify,
)
from accountd.errors import AccountdError, SettingsError
from accountd.runtime import logs

BAD_ANSWER = 1
USAGE = 2
READER_GONE = 128 + signal.SIGPIPE


class Commands(core.TyperGroup):
    """Turns accountd's errors into lines on stderr and an exit code; a bug keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run one command."""
        try:
            answer = super().invoke(ctx)
            sys.stdout.flush()
            return answer
        except BrokenPipeError:
            # The reader has seen enough; what Python still holds for it goes nowhere.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(READER_GONE) from None
        except SettingsError as error:
            for line in error.lines or (error.message,):
                typer.echo(logs.mask(line), err=True)
            raise typer.Exit(USAGE) from None
        except AccountdError as error:
            typer.echo(logs.mask(error.message), err=True)
            raise typer.Exit(BAD_ANSWER) from None


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # its tracebacks print local variables, which hold secrets
    context_settings={"help_option_names": ["-h", "--help"]},
    help="A complete, exact SQL record of your exchange accounts, and an alert the moment something happens.",
    epilog="Exit codes: 0 good, 1 the answer is bad, 2 usage or settings.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"accountd {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Say where logs go before any command speaks: to stderr, warnings and worse."""
    logs.setup("warning")


app.command("demo")(demo.demo)
app.command("run")(run.run)
app.command("check")(check.check)
app.command("status")(status.status)
app.command("reconcile")(reconcile.reconcile)
app.command("backfill")(backfill.backfill)
app.command("orders")(data.orders)
app.command("fills")(data.fills)
app.command("balances")(data.balances)
app.command("positions")(data.positions)
app.command("transfers")(data.transfers)
app.command("pnl")(pnl.pnl)
app.command("export")(export.export)
app.command("query")(query.query)
app.command("audit")(audit.audit)
app.command("verify")(verify.verify)
app.command("replay")(replay.replay)
app.add_typer(alerts_mute.app, name="alerts")
app.add_typer(db.app, name="db")
app.command("sim")(sim.sim)

if __name__ == "__main__":
    app()
