"""A week of three accounts, the same each time, for the dashboard to show."""

import json
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from accountd.core.alerts import OutboxRow
from accountd.core.health import AccountHealth, Health
from accountd.core.states import State
from accountd.store.engine import writer_engine
from accountd.store.migrate import upgrade
from accountd.store.proven import Proven
from accountd.store.writer import Writer
from tests.store.samples import balance, changes, event, fill, finding, order, position, transfer

PRICES = {"BTCUSDT": Decimal("64120.50"), "ETHUSDT": Decimal("3075.20"), "SOLUSDT": Decimal("147.310")}
SIZES = {"BTCUSDT": Decimal("0.001"), "ETHUSDT": Decimal("0.010"), "SOLUSDT": Decimal("0.10")}
ACCOUNTS = ("main", "hedge", "desk")
DATASETS = ("orders", "algo_orders", "fills", "transfers", "balances", "positions")
DAYS = 7
HOUR = timedelta(hours=1)


def now():
    """Return the present to the second."""
    return datetime.now(UTC).replace(microsecond=0)


class Scene:
    """A record and how the daemon stands; `more` writes what happens while somebody looks."""

    def __init__(self, url, seed=7):
        self.url, self.chance, self.until = url, random.Random(seed), now()
        self.since = self.until - timedelta(days=DAYS)
        upgrade(url)
        self.writer = Writer(writer_engine(url), now)
        self.seq, self.number = dict.fromkeys(ACCOUNTS, 0), 4210
        for name in ACCOUNTS:
            self.writer.open_account(name, name, "binance-usdm", "live", self.since)
            self.writer.take_head(name)
            self._week(name)
        self._trouble()
        self.health = self._health()

    def close(self):
        """Close the record."""
        self.writer.close()

    def write(self, account, outbox=(), **rows):
        """Write one batch."""
        with self.writer.begin() as tx:
            tx.write([changes(first=self.seq[account], account=account, **rows)], outbox)
        self.seq[account] += 1

    def _price(self, symbol, at):
        swing = Decimal(self.chance.gauss(0, 1) / 400).quantize(Decimal("0.00001"))
        drift = Decimal((at - self.since) / timedelta(days=100)).quantize(Decimal("0.0001"))
        return (PRICES[symbol] * (1 + swing + drift)).quantize(PRICES[symbol])

    def _trade(self, at, symbol=None):
        """Return a filled order and its fill."""
        self.number += 1
        symbol = symbol or self.chance.choice(list(PRICES))
        side, quantity = self.chance.choice(("BUY", "SELL")), SIZES[symbol] * self.chance.randint(2, 60)
        price = self._price(symbol, at)
        pnl = (Decimal(self.chance.gauss(0.9, 6)) * quantity * price / 1000).quantize(Decimal("0.00000001"))
        fee = (quantity * price * Decimal("0.0002")).quantize(Decimal("0.00000001"))
        told = {
            "symbol": symbol, "side": side, "order_id": str(self.number),
            "client_order_id": f"bot-{self.number}",
        }  # fmt: skip
        filled = order(
            **told, status="FILLED", price=price, quantity=quantity, filled_quantity=quantity,
            average_price=price, created_at=at - timedelta(seconds=40), updated_at=at,
        )  # fmt: skip
        return filled, fill(
            **told, trade_id=str(900_000 + self.number), price=price, quantity=quantity, traded_at=at,
            quote_quantity=price * quantity, commission=fee, realized_pnl=pnl, received_at=at,
        )  # fmt: skip

    def _week(self, account):
        orders, fills, wallets, transfers = [], [], [], []
        total, at, n = Decimal(25_000 + 9000 * ACCOUNTS.index(account)), self.since, 0
        while at < self.until - timedelta(minutes=2):
            done, trade = self._trade(at)
            orders.append(done)
            fills.append(trade)
            n += 1
            total += trade.realized_pnl - trade.commission
            wallets.append(balance(str(total), n=n, as_of=at, free=total * Decimal("0.82")))
            at += timedelta(minutes=self.chance.randint(6, 55))
        for number in range(DAYS * 3):
            amount = Decimal(self.chance.gauss(-0.3, 1.4)).quantize(Decimal("0.00000001"))
            transfers.append(
                transfer(8000 + number, amount=amount, occurred_at=self.since + number * 8 * HOUR)
            )
        orders += self._standing()
        rows = {"orders": orders, "fills": fills, "transfers": transfers, "positions": self._positions()}
        made = changes(first=0, account=account, **rows)
        made.balances[("usdm", "USDT")] = wallets[-1]
        made.balance_history.extend(wallets)
        bnb = balance("1.28110400", asset="BNB", as_of=self.since)
        made.balances[("usdm", "BNB")] = bnb
        made.balance_history.append(bnb)
        with self.writer.begin() as tx:
            tx.write([made])
            tx.open_session(f"{account}-1", account, self.since)
            for dataset in DATASETS:
                proven = Proven(dataset, "usdm", "", self.since - HOUR, self.until - HOUR / 20)
                tx.prove(account, [proven], self.until)
        self.seq[account] = 1

    def _standing(self):
        found = []
        for number, (symbol, price) in enumerate(PRICES.items()):
            self.number += 1
            at = self.until - timedelta(minutes=17 * (number + 1))
            found.append(order(
                order_id=str(self.number), client_order_id=f"bot-{self.number}", symbol=symbol, created_at=at,
                updated_at=at, price=(price * Decimal("0.98")).quantize(price), quantity=SIZES[symbol] * 40,
                side="BUY", status="PARTIALLY_FILLED" if number == 1 else "NEW",
                filled_quantity=SIZES[symbol] * 12 if number == 1 else Decimal(0),
            ))  # fmt: skip
        return found

    def _positions(self):
        found = []
        for symbol, price in PRICES.items():
            quantity = SIZES[symbol] * self.chance.randint(-40, 40)
            pnl = Decimal(self.chance.gauss(0, 60)).quantize(Decimal("0.00000001"))
            told = {"symbol": symbol, "entry_price": price, "as_of": self.until, "unrealized_pnl": pnl}
            found.append(position(str(quantity), **told))
        return found

    def _trouble(self):
        """An order that never filled, gaps, a finding, and alerts of which one is dead."""
        at = self.until - 26 * HOUR
        lost = order(
            777, status="EXPIRED", time_in_force="GTX", symbol="ETHUSDT", side="SELL", created_at=at,
            updated_at=at + timedelta(milliseconds=41), price=Decimal("3075.20"), quantity=Decimal("0.500"),
            events=2, client_order_id="maker-only-1",
        )  # fmt: skip
        steps = [event(lost, 1, status="NEW", event_time=at),
                 event(lost, 2, execution_type="EXPIRED", event_time=lost.updated_at)]  # fmt: skip
        odd = finding(
            opened_at=at, kind="late_fill", severity="warning", subject="fill usdm BTCUSDT 904220",
            detail={"told_by": "rest", "session": "LIVE"},
        )  # fmt: skip
        alerts = [self.alert(number) for number in range(6)]
        alerts.append(
            self.alert(9, status="dead", attempts=7, reason="the receiver answered 500 seven times")
        )
        self.write("main", alerts, orders=[lost], order_events=steps, findings=[odd])
        with self.writer.begin() as tx:
            for account, hours, length in (("main", 50, 1.4), ("hedge", 90, 5.0), ("desk", 20, 0.6)):
                first = self.until - hours * HOUR
                for dataset in DATASETS:
                    tx.open_gap(account, dataset, "usdm", "", first, "connection lost", first)
                    tx.close_gaps(
                        account, dataset, "usdm", None, first + length * HOUR, first + (length + 0.1) * HOUR
                    )
            tx.open_gap(
                "desk", "fills", "usdm", "", self.until - 0.3 * HOUR, "stream refused: HTTP 503", self.until
            )

    def alert(self, number, **told):
        """Return an alert about a fill."""
        body = {
            "type": "fill",
            "data": {"account": "main", "symbol": "BTCUSDT", "trade_id": str(904_000 + number)},
        }
        return OutboxRow(**{
            "message_id": f"msg_{number:03}", "account_id": "main", "hook": "ops", "type": "fill",
            "body": json.dumps(body), "created_at": self.until - number * timedelta(minutes=9),
            "next_attempt_at": None, "status": "delivered",
        } | told)  # fmt: skip

    def _health(self):
        live = {"state": State.LIVE, "since": self.until - 20 * HOUR, "key_age": 812.0}
        return Health(accounts={
            "main": AccountHealth(**live, last_event_at=self.until - timedelta(seconds=4), blind_seconds=6.2),
            "hedge": AccountHealth(**live, last_event_at=self.until - HOUR / 120, blind_seconds=2.4),
            "desk": AccountHealth(
                state=State.CONNECTING, since=self.until - 0.3 * HOUR, blind_seconds=1080.0,
                last_event_at=self.until - 0.3 * HOUR,
                detail="stream refused: HTTP 503; next attempt in 12 s",
            ),
        })  # fmt: skip

    def more(self, account="main", symbol="BTCUSDT"):
        """Let one more order fill; return its number."""
        done, trade = self._trade(now(), symbol)
        self.write(account, orders=[done], fills=[trade])
        return done.order_id
