"""The writer: what is written comes back, is fenced, and is all or nothing."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text

from accountd.core.alerts import OutboxRow
from accountd.core.changes import Wanted
from accountd.core.money import money_text
from accountd.errors import Fenced, RecordRefused, SettingsError
from accountd.store.engine import reading, writer_engine
from accountd.store.writer import Writer
from tests.store.conftest import NOW
from tests.store.samples import (
    T0,
    balance,
    changes,
    event,
    fill,
    finding,
    order,
    position,
    transfer,
)

EXACT = ["1E-8", "0E-7", "-0", "-0.00", "123456789012.12345678", "1E+3", "-1E-12", "0.10",
         "123456789012345678901234567890", "0.123456789012345678901234567891",
         "-99999999999999.9999999999999999"]  # fmt: skip


def rows(reader, sql):
    """Read rows as dictionaries."""
    with reading(reader) as conn:
        return [dict(row) for row in conn.execute(text(sql)).mappings()]


def test_everything_written_is_loaded_again(writer):
    """Orders with their events, fills and transfers come back equal, field by field."""
    o, f, t = order(), fill(), transfer()
    writer.write([changes(orders=[o], order_events=[event(o)], fills=[f], transfers=[t])])
    held = writer.load("main", Wanted(
        orders={("usdm", "BTCUSDT", "order", "1"), ("usdm", "BTCUSDT", "order", "none")},
        fills={("usdm", "BTCUSDT", "1"), ("usdm", "ETHUSDT", "1")},
        transfers={("usdm", "funding_fee", "1", "USDT")},
    ))  # fmt: skip
    assert held.orders == [o]
    assert held.order_events == [event(o)]
    assert held.fills == [f]
    assert held.transfers == [t]


def test_start_loads_balances_positions_and_open_orders(writer):
    """What a start needs is there; orders that are over or missing are not among the open ones."""
    done, lost = order(2, status="FILLED"), order(3, missing_since=T0)
    odd = order(4, kind="algo", status="TRIGGERED")
    b, p = balance(), position("-0.010")
    writer.write([changes(orders=[order(), done, lost, odd], balances=[b], positions=[p])])
    balances, positions, orders = writer.load_small("main")
    b.updated_at = p.updated_at = T0
    assert balances == [b]
    assert positions == [p]
    assert {o.order_id for o in orders} == {"1", "4"}


@pytest.mark.parametrize("value", EXACT)
def test_money_is_exact_both_ways(writer, value):
    """A decimal comes back with the same value and scale; a minus zero comes back as zero."""
    told = Decimal(value)
    writer.write([changes(orders=[order(price=told)], transfers=[transfer(amount=told)],
                          balances=[balance(total=value)])])  # fmt: skip
    held = writer.load("main", Wanted(orders={("usdm", "BTCUSDT", "order", "1")},
                                      transfers={("usdm", "funding_fee", "1", "USDT")}))  # fmt: skip
    total = writer.load_small("main")[0][0].total
    for found in (held.orders[0].price, held.transfers[0].amount, total):
        assert found == told
        assert str(money_text(found)) == money_text(told)
        assert not (found.is_zero() and found.is_signed())


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "sNaN"])
def test_money_that_is_no_number_is_refused(writer, value):
    """Infinity and NaN never reach a row."""
    with pytest.raises(ValueError):
        writer.write([changes(orders=[order(price=Decimal(value))])])


def test_fills_say_when_they_were_committed(writer, reader):
    """The writer's clock stamps committed_at, and write returns the same moment."""
    assert writer.write([changes(fills=[fill()])]) == NOW
    [row] = rows(reader, "SELECT committed_at, traded_at FROM fills")
    assert {str(row["committed_at"])} == {"2026-11-01 12:00:00.123456+00:00"}
    assert str(row["traded_at"]) == "2026-11-01 12:00:00.500000+00:00"


def test_raw_bytes_are_kept_as_received(writer, reader):
    """The journal keeps any bytes, also those that are no text."""
    told = changes()
    told.journal[0].raw = bytes(range(256))
    writer.write([told])
    [row] = rows(reader, "SELECT raw, digest, head, session_id FROM journal")
    assert (bytes(row["raw"]), bytes(row["digest"])) == (bytes(range(256)), b"d" * 32)


def test_a_newer_epoch_fences_the_older_writer(url, writer):
    """Whoever took the head first cannot write any more, and nothing of its batch stays."""
    other = Writer(writer_engine(url), lambda: NOW)
    assert other.take_head("main").epoch == 2
    with pytest.raises(Fenced):
        writer.write([changes(orders=[order()])])
    other.write([changes(fills=[fill()])])
    assert other.take_head("main").seq == 1
    assert other.load("main", Wanted(orders={("usdm", "BTCUSDT", "order", "1")})).orders == []
    other.close()


def test_a_batch_that_starts_elsewhere_is_fenced(writer):
    """Changes folded from an old head are refused."""
    writer.write([changes(count=3)])
    for count in (1, 200):  # in one statement, and by COPY
        with pytest.raises(Fenced):
            writer.write([changes(first=2, count=count)])
    writer.write([changes(first=3, count=0, orders=[order()])])


def test_accounts_are_written_together(writer):
    """Two accounts' changes go into one transaction; if one is fenced neither is written."""
    writer.open_account("alt", "alt", "binance-usdm", "live", NOW)
    writer.take_head("alt")
    with pytest.raises(Fenced):
        writer.write([changes(fills=[fill()]), changes(first=9, account="alt")])
    writer.write([changes(fills=[fill()]), changes(account="alt", fills=[fill()])])
    assert writer.take_head("alt").seq == writer.take_head("main").seq == 1


def test_a_fill_that_is_there_is_a_bug(writer):
    """A second row for a fill surfaces as an error and rolls the whole batch back."""
    writer.write([changes(fills=[fill()])])
    with pytest.raises(RecordRefused) as caught:
        writer.write([changes(first=1, fills=[fill()], transfers=[transfer()])])
    assert caught.value.permanent
    assert writer.take_head("main").seq == 1
    assert not writer.load("main", Wanted(transfers={("usdm", "funding_fee", "1", "USDT")})).transfers


def test_orders_and_balances_are_replaced(writer):
    """An order, balance or position told again replaces what was held; history keeps both balances."""
    writer.write([changes(orders=[order()], balances=[balance()], positions=[position()])])
    later = order(status="FILLED", filled_quantity=Decimal("0.010"), events=2, reduce_only=None)
    writer.write(
        [changes(first=1, orders=[later], balances=[balance("90.5", n=2)], positions=[position("0", n=2)])]
    )
    assert writer.load("main", Wanted(orders={("usdm", "BTCUSDT", "order", "1")})).orders == [later]
    balances, positions, orders = writer.load_small("main")
    assert [b.total for b in balances] == [Decimal("90.5")]
    assert [(p.quantity, p.n) for p in positions] == [(Decimal(0), 2)]
    assert orders == []


def test_a_fill_learns_its_client_order_id_once(writer):
    """A client order id fills an empty one and never replaces one."""
    writer.write([changes(fills=[fill(1, client_order_id=None), fill(2)])])
    names = {("usdm", "BTCUSDT", "1"): "late", ("usdm", "BTCUSDT", "2"): "other"}
    writer.write([changes(first=1, fill_client_ids=names)])
    held = writer.load("main", Wanted(fills={("usdm", "BTCUSDT", "1"), ("usdm", "BTCUSDT", "2")})).fills
    assert {f.trade_id: f.client_order_id for f in held} == {"1": "late", "2": "c2"}


def test_a_finding_opens_once(writer, reader):
    """A finding told again keeps the time it opened and takes the new detail."""
    writer.write([changes(findings=[finding()])])
    again = finding(opened_at=T0 + timedelta(hours=1), detail={"n": 2}, severity="warning")
    writer.write([changes(first=1, findings=[again])])
    [row] = rows(reader, "SELECT opened_at, detail, severity, resolved_at FROM findings")
    assert str(row["opened_at"]) == "2026-11-01 12:00:00.500000+00:00"
    assert (json.loads(row["detail"]), row["severity"], row["resolved_at"]) == ({"n": 2}, "warning", None)


def test_an_alert_is_written_once(writer, reader):
    """A message id that is there keeps its row, whatever became of it."""
    alert = OutboxRow(message_id="m1", account_id="main", hook="ops", type="fill", body="{}", created_at=T0,
                      next_attempt_at=T0)  # fmt: skip
    again = OutboxRow(message_id="m1", account_id="main", hook="ops", type="fill", body="other",
                      created_at=NOW, next_attempt_at=NOW)  # fmt: skip
    writer.write([changes()], [alert, again])
    writer.write([changes(first=1)], [again])
    assert [row["body"] for row in rows(reader, "SELECT body FROM outbox")] == ["{}"]


def test_text_with_a_nul_is_told_on_both(writer):
    """A client order id with a NUL character stops no batch."""
    writer.write([changes(orders=[order(client_order_id="a\x00b")])])
    held = writer.load("main", Wanted(orders={("usdm", "BTCUSDT", "order", "1")})).orders
    assert held[0].client_order_id in ("a\x00b", "a\ufffdb")


def test_a_transaction_rolls_back_whole(writer):
    """An exception inside the block leaves nothing behind, and the writer goes on."""
    with pytest.raises(KeyError), writer.begin() as tx:
        tx.write([changes(fills=[fill()])])
        raise KeyError("fold")
    assert writer.take_head("main").seq == 0
    with writer.begin() as tx:
        assert tx.load("main", Wanted(fills={("usdm", "BTCUSDT", "1")})).fills == []
        tx.write([changes(fills=[fill()])])
        tx.run(lambda t: t.open_session("s1", "main", T0))
    assert writer.take_head("main").seq == 1


def test_an_account_keeps_its_venue_and_first_start(writer):
    """A second start finds the first one's time; another venue under the name is refused, naming both."""
    again = writer.open_account("main", "main", "binance-usdm", "live", NOW + timedelta(days=1))
    assert (again.is_new, again.created_at) == (False, NOW)
    with pytest.raises(SettingsError, match=r"binance-usdm \(live\).*binance-usdm \(testnet\)"):
        writer.open_account("main", "main", "binance-usdm", "testnet", NOW)


def test_many_rows_go_in_one_batch(writer, reader):
    """A burst of 1,000 fills is one transaction and every row is there."""
    many = range(1, 1001)
    orders = [order(n) for n in many]
    told = changes(
        count=1000, orders=orders, fills=[fill(n) for n in many], order_events=[event(o) for o in orders]
    )
    writer.write([told])
    assert rows(reader, "SELECT COUNT(*) AS n FROM fills") == [{"n": 1000}]
    wanted = Wanted(orders=set(told.orders), fills=set(told.fills))
    held = writer.load("main", wanted)
    assert (len(held.orders), len(held.fills), len(held.order_events)) == (1000, 1000, 1000)
