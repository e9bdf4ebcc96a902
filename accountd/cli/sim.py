"""The command that serves the simulated exchange."""

import asyncio
from typing import Annotated

import typer

from accountd.cli.run import signals
from accountd.errors import SettingsError
from accountd.settings_values import read_listen
from accountd.sim import app
from accountd.sim.model import Credential
from accountd.sim.products import USDM, VENUES

Listen = Annotated[str, typer.Option("--listen", help="host:port; port 0 lets the system choose.")]
Seed = Annotated[int, typer.Option("--seed", help="The same seed trades the same.")]
Rate = Annotated[
    float, typer.Option("--rate", min=0, max=1000, help="Deeds of each account in a second; 0 is quiet.")
]
Accounts = Annotated[
    list[str] | None,
    typer.Option("--account", "-a", help="Name of an account; repeat for more. Default: main."),
]
History = Annotated[float, typer.Option("--history", min=0, max=90, help="Days of history before the start.")]
Products = Annotated[
    list[str] | None,
    typer.Option("--product", "-p", help=f"{', '.join(VENUES)}; repeat for more. Default: usdm."),
]


def sim(
    listen: Listen = "127.0.0.1:9787",
    seed: Seed = 7,
    rate: Rate = 5.0,
    account: Accounts = None,
    history: History = 0.0,
    product: Products = None,
) -> None:
    """Serve a simulated exchange and print the settings that point accountd at it."""
    try:
        place = read_listen(listen)
    except ValueError:
        place = None
    if place is None:
        raise SettingsError(f"--listen: {listen!r} is not allowed: host:port such as 127.0.0.1:9787")
    try:
        accounts, products = tuple(account or ["main"]), tuple(product or [USDM])
        asyncio.run(_serve(*place, seed, rate, accounts, history, products))
    except ValueError as refusal:
        raise SettingsError(f"--product: {refusal}") from None
    except OSError as refusal:
        raise SettingsError(f"--listen: {listen!r} is not usable: {refusal.strerror}") from None


async def _serve(
    host: str,
    port: int,
    seed: int,
    rate: float,
    accounts: tuple[str, ...],
    history: float,
    products: tuple[str, ...],
) -> None:
    stop = asyncio.Event()
    with signals(stop):
        await app.serve(
            host,
            port,
            seed,
            rate,
            accounts,
            history_days=history,
            products=products,
            on_ready=lambda rest, stream, keys: announce(rest, stream, keys, products),
            stop=stop,
        )


def announce(
    rest_url: str, stream_url: str, credentials: dict[str, Credential], products: tuple[str, ...] = (USDM,)
) -> None:
    """Print the settings of every account, ready for a `.env`; with several products one account each."""
    for name, credential in credentials.items():
        for product in products:
            own = name if len(products) == 1 else f"{name}_{product}"
            prefix = f"ACCOUNTD_ACCOUNTS__{own.upper()}__"
            typer.echo(f"{prefix}VENUE={VENUES[product]}")
            typer.echo(f"{prefix}API_KEY={credential.api_key}")
            typer.echo(f"{prefix}API_SECRET={credential.secret}")
            typer.echo(f"{prefix}REST_URL={rest_url}")
            typer.echo(f"{prefix}STREAM_URL={stream_url}")
            if product != USDM:
                typer.echo(f"{prefix}WS_API_URL={stream_url}")
