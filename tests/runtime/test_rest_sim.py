"""REST against the simulated exchange over real HTTP: every flow, and the same truth at both ends."""

from datetime import timedelta
from decimal import Decimal

import pytest

from accountd.config import Account
from accountd.core.told import Fill, Order, Transfer
from accountd.errors import KeyRefused
from accountd.runtime.budget import Budget, Priority
from accountd.runtime.clock import SystemClock
from accountd.runtime.rest import RestClient
from accountd.sim.app import build, credentials
from accountd.sim.server import SimServer
from accountd.venues import open_venue
from accountd.venues.doors import StreamOptions

VENUE = open_venue("binance-usdm")
(SECTION,) = VENUE.sections
DOOR = VENUE.doors(VENUE.hosts["live"], StreamOptions())[0]
LAG = timedelta(0)


def client(server, key, secret):
    """Return a client of the simulated exchange."""
    account = Account(venue="binance-usdm", api_key=key, api_secret=secret, rest_url=server.rest_url)
    return RestClient(account, VENUE, Budget(SystemClock(), 1.0), SystemClock())


async def told_by(rest, flow):
    """Run a flow; return its result and everything told."""
    rows = []

    async def record(page):
        rows.extend(page.told)
        assert VENUE.decode_page(page.kind, page.reply.body, page.as_of) == page.told

    return await rest.run(flow, Priority.SEAM, record), rows


async def test_every_flow_tells_the_exchange_s_truth():
    """Three days of trading are read back completely: orders, fills, income, balances, positions."""
    exchange = build(7, history_days=3, history_steps=150)
    truth = exchange.truth("main")
    key = credentials(exchange)["main"]
    async with SimServer(exchange, "127.0.0.1", 0) as server, client(server, key.api_key, key.secret) as rest:
        await rest.measure_offset()
        now = rest.clock.now()
        start = now - timedelta(days=4)
        state, rows = await told_by(rest, VENUE.snapshot(LAG))
        assert state.hedge_mode is False
        wallet = {row.asset: row.total for row in rows if type(row).__name__ == "Balance"}
        assert wallet["USDT"] == Decimal(truth["balances"]["USDT"])
        swept, income = await told_by(rest, SECTION.transfers(start, now))
        assert swept.unproven == []
        assert len({(row.kind, row.transfer_id) for row in income if isinstance(row, Transfer)}) == len(
            truth["transfers"]
        )
        fills, orders = set(), set()
        for symbol in sorted(swept.symbols):
            for flow in (SECTION.fills, SECTION.orders, SECTION.algo_orders):
                part, rows = await told_by(rest, flow(symbol, start, now))
                assert part.unproven == []
                fills |= {(row.symbol, row.trade_id) for row in rows if isinstance(row, Fill)}
                orders |= {row.order_id for row in rows if isinstance(row, Order) and row.kind == "order"}
        assert fills == {(row["symbol"], str(row["trade_id"])) for row in truth["fills"]}
        assert orders
        await told_by(rest, VENUE.canary(LAG))
        await told_by(rest, SECTION.open_orders(LAG))
        assert not await rest.run(SECTION.order(sorted(swept.symbols)[0], "999999999"), Priority.SEAM)
        assert (await rest.run(SECTION.exchange_info(), Priority.SEAM)).limits
        await rest.run(VENUE.rights(), Priority.SEAM)
        created = DOOR.parse(await rest.send(DOOR.create, Priority.KEEPALIVE))
        assert DOOR.parse(await rest.send(DOOR.keepalive(created), Priority.KEEPALIVE)) == created


async def test_a_wrong_secret_is_refused():
    """The exchange checks signatures, and the refusal is the key's."""
    exchange = build(7)
    api_key = credentials(exchange)["main"].api_key
    async with SimServer(exchange, "127.0.0.1", 0) as server, client(server, api_key, "wrong") as rest:
        with pytest.raises(KeyRefused):
            await rest.run(VENUE.canary(LAG), Priority.SEAM)
