"""Both sides of the demo's verdict are read into the same words."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from accountd.cli import demo_ledger
from accountd.cli.demo_verdict import Rung, compare
from accountd.sim.app import build
from accountd.store.engine import reader_engine, reading, writer_engine
from accountd.store.migrate import upgrade
from accountd.store.writer import Writer
from tests.store import samples

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(ms):
    """Return a moment of the venue."""
    return EPOCH + timedelta(milliseconds=ms)


def traded():
    """An exchange on which one market order was filled; the truth about it."""
    exchange = build(seed=3, accounts=("demo",))
    exchange.place("demo", "BTCUSDT", "BUY", Decimal("0.010"))
    return exchange.truth("demo")


def recorded(truth):
    """What a record of that truth changes."""
    orders = [
        samples.order(
            o["order_id"], status=o["status"], side=o["side"], quantity=Decimal(o["quantity"]),
            filled_quantity=Decimal(o["filled"]),
        )
        for o in truth["orders"]
    ]  # fmt: skip
    fills = [
        samples.fill(
            f["trade_id"], order_id=str(f["order_id"]), side=f["side"], price=Decimal(f["price"]),
            quantity=Decimal(f["quantity"]), quote_quantity=Decimal(f["price"]) * Decimal(f["quantity"]),
            commission=Decimal(f["commission"]), commission_asset=f["commission_asset"],
            realized_pnl=Decimal(f["realized_pnl"]), is_maker=f["maker"], traded_at=moment(f["time_ms"]),
        )
        for f in truth["fills"]
    ]  # fmt: skip
    transfers = [
        samples.transfer(
            i["tran_id"], kind=i["type"].lower(), asset=i["asset"], amount=Decimal(i["amount"]),
            symbol=i["symbol"] or None, occurred_at=moment(i["time_ms"]),
        )
        for i in truth["transfers"]
    ]  # fmt: skip
    return samples.changes(
        account="demo", orders=orders, fills=fills, transfers=transfers,
        balances=[samples.balance(total, asset=asset) for asset, total in truth["balances"].items()],
        positions=[samples.position(p["quantity"], symbol=p["symbol"]) for p in truth["positions"]],
    )  # fmt: skip


def test_a_true_record_is_exact_and_a_changed_one_is_not(sqlite_url):
    """The exchange's truth, written down faithfully, compares as exact; without its fill it does not."""
    truth = traded()
    upgrade(sqlite_url)
    writer = Writer(writer_engine(sqlite_url), lambda: samples.T0)
    writer.open_account("demo", "demo", "binance-usdm", "live", samples.T0)
    writer.take_head("demo")
    writer.write([recorded(truth)])
    writer.close()
    reader = reader_engine(sqlite_url)
    with reading(reader) as connection:
        held = demo_ledger.of_record(connection)
    reader.dispose()
    there = demo_ledger.of_exchange(truth)
    rung = Rung(ids=["msg_1"], fills=[key for key, _ in there.fills])
    assert compare(there, held, rung, closed_gaps=1).lines == compare(there, there, rung, closed_gaps=1).lines
    assert compare(there, held, rung, closed_gaps=1).exact
    truth["fills"].clear()
    assert not compare(demo_ledger.of_exchange(truth), held, rung, closed_gaps=1).exact
