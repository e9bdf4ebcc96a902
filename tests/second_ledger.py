"""The ledger of the second exchange: an account's orders, trades, money, and the events that tell of them."""

import time
from bisect import bisect_right
from decimal import Decimal

EIGHT = Decimal("0.00000001")
FEE = Decimal("0.0004")
SYMBOLS = ("BTCUSDT", "ETHUSDT", "测试USDT")


class Ledger:
    """What is true. Every verb changes it and returns the events that a faithful stream tells."""

    def __init__(self, symbols=SYMBOLS):
        self.symbols = symbols
        self.wallet = {"USDT": Decimal(100_000), "BNB": Decimal(3)}
        self.positions = {}  # symbol -> (quantity, entry, at)
        self.orders = {}  # id -> versions of its row, the oldest first
        self.algos = {}
        self.trades = []
        self.income = []
        self.numbers = 1000
        self.skew = 0
        self.frozen = None
        self._last = 0
        self._states = [(0, dict(self.wallet), {})]

    def now(self):
        """Return the exchange's time in ms."""
        return self.frozen or int(time.time() * 1000) + self.skew

    def state(self, at):
        """Return wallet and positions as they were."""
        found = self._states[bisect_right(self._states, at, key=lambda one: one[0]) - 1]
        return found[1], found[2]

    def orders_at(self, at):
        """Return the rows of all orders as they were."""
        return _as_of(self.orders, at, "updateTime")

    def algos_at(self, at):
        """Return the rows of all conditional orders as they were."""
        return _as_of(self.algos, at, "updateTime")

    def truth(self):
        """Return everything in the form that the comparison of the tests takes."""
        last = [versions[-1] for versions in self.orders.values()]
        return {
            "fills": [
                {
                    "symbol": one["symbol"], "trade_id": one["id"], "order_id": one["orderId"],
                    "side": one["side"], "price": one["price"], "quantity": one["qty"],
                    "commission": one["commission"], "commission_asset": one["commissionAsset"],
                    "realized_pnl": one["realizedPnl"], "maker": one["maker"], "time_ms": one["time"],
                }
                for one in self.trades
            ],
            "orders": [
                {
                    "symbol": one["symbol"], "order_id": one["orderId"], "status": one["status"],
                    "filled": one["executedQty"], "quantity": one["origQty"], "price": one["price"],
                    "client_order_id": one["clientOrderId"],
                }
                for one in last
            ],
            "algo_orders": [
                {
                    "symbol": one["symbol"], "algo_id": one["algoId"], "status": one["algoStatus"],
                    "order_id": one["actualOrderId"],
                }
                for one in (versions[-1] for versions in self.algos.values())
            ],
            "balances": self.wallet,
            "positions": [
                {"symbol": name, "quantity": held[0]} for name, held in self.positions.items() if held[0]
            ],
            "transfers": [
                {"type": one["incomeType"], "tran_id": one["tranId"], "asset": one["asset"],
                 "amount": one["income"]}
                for one in self.income
            ],
        }  # fmt: skip

    # -- what happens

    def place(self, symbol, side="BUY", quantity="1", price="100", client=None, kind="LIMIT"):
        """Put an order on the book."""
        at, number = self.now(), self._number()
        row = {
            "orderId": number, "symbol": symbol, "status": "NEW", "side": side, "type": kind, "price": price,
            "origQty": quantity, "executedQty": "0", "avgPrice": "0", "cumQuote": "0", "time": at,
            "clientOrderId": client or f"c{number}", "timeInForce": "GTC", "updateTime": at,
            "positionSide": "BOTH", "reduceOnly": False, "stopPrice": "0",
        }  # fmt: skip
        self.orders[number] = [row]
        return [self._order_event(row, "NEW")]

    def fill(self, number, quantity=None, price=None, execution="TRADE"):
        """Execute an order, wholly or in part."""
        row = self.orders[number][-1]
        price = Decimal(price or row["price"])
        left = Decimal(row["origQty"]) - Decimal(row["executedQty"])
        done = Decimal(quantity or left)
        at, filled = self.now(), Decimal(row["executedQty"]) + done
        quote = Decimal(row["cumQuote"]) + done * price
        fresh = row | {
            "executedQty": str(filled), "cumQuote": str(quote), "avgPrice": str(quote / filled),
            "status": "FILLED" if done == left else "PARTIALLY_FILLED", "updateTime": at,
        }  # fmt: skip
        self.orders[number].append(fresh)
        profit = self._move(row["symbol"], done if row["side"] == "BUY" else -done, price, at)
        fee = (done * price * FEE).quantize(EIGHT)
        trade = {
            "id": self._number(), "symbol": row["symbol"], "orderId": number, "side": row["side"],
            "price": str(price), "qty": str(done), "quoteQty": str(done * price), "commission": str(fee),
            "commissionAsset": "USDT", "realizedPnl": str(profit), "time": at, "maker": False,
            "positionSide": "BOTH", "buyer": row["side"] == "BUY",
        }  # fmt: skip
        self.trades.append(trade)
        self._earn("COMMISSION", -fee, at, row["symbol"], trade["id"])
        if profit:
            self._earn("REALIZED_PNL", profit, at, row["symbol"], trade["id"])
        return [self._account_event("ORDER", at, row["symbol"]), self._order_event(fresh, execution, trade)]

    def burst(self, count, symbols=None):
        """Fill so many orders of one execution each."""
        told = []
        for n in range(count):
            symbol = (symbols or self.symbols)[n % len(symbols or self.symbols)]
            told += self.place(symbol, "BUY" if n % 3 else "SELL", "0.5", str(100 + n % 7), kind="MARKET")
            told += self.fill(self.numbers)
        return told

    def cancel(self, number, status="CANCELED"):
        """End an order."""
        fresh = self.orders[number][-1] | {"status": status, "updateTime": self.now()}
        self.orders[number].append(fresh)
        return [self._order_event(fresh, status)]

    def amend(self, number, price):
        """Give an order another price."""
        fresh = self.orders[number][-1] | {"price": price, "updateTime": self.now()}
        self.orders[number].append(fresh)
        return [self._order_event(fresh, "AMENDMENT")]

    def force(self, symbol, client="autoclose-1"):
        """Close a position by force: a liquidation, or an auto-deleveraging."""
        quantity = self.positions[symbol][0]
        side = "SELL" if quantity > 0 else "BUY"
        told = self.place(symbol, side, str(abs(quantity)), "90", f"{client}{self.numbers}", "LIMIT")
        told += self.fill(self.numbers, execution="CALCULATED")
        at = self.now()
        self._earn("INSURANCE_CLEAR", Decimal("-0.5"), at, symbol)
        return [*told, self._account_event("INSURANCE_CLEAR", at)]

    def fund(self, symbol, amount="-0.12345678"):
        """Charge funding."""
        at = self.now()
        self._earn("FUNDING_FEE", Decimal(amount), at, symbol)
        return [self._account_event("FUNDING_FEE", at)]

    def transfer(self, amount, asset="USDT"):
        """Move money in or out."""
        at = self.now()
        self._earn("TRANSFER", Decimal(amount), at, "", asset=asset)
        return [self._account_event("DEPOSIT" if Decimal(amount) > 0 else "WITHDRAW", at, asset=asset)]

    def algo(self, symbol, trigger="120"):
        """Place a conditional order."""
        at, number = self.now(), self._number()
        row = {
            "algoId": number, "clientAlgoId": f"a{number}", "algoType": "CONDITIONAL", "symbol": symbol,
            "orderType": "STOP_MARKET", "side": "BUY", "positionSide": "BOTH", "quantity": "0.5",
            "algoStatus": "NEW", "actualOrderId": "", "triggerPrice": trigger, "price": "0",
            "createTime": at, "updateTime": at, "timeInForce": "GTC", "reduceOnly": False,
        }  # fmt: skip
        self.algos[number] = [row]
        return [self._algo_event(row)]

    def algo_ends(self, number, status="CANCELED"):
        """End a conditional order."""
        row = self.algos[number][-1] | {"algoStatus": status, "updateTime": self.now()}
        self.algos[number].append(row)
        return [self._algo_event(row)]

    def trigger(self, number):
        """Fire a conditional order: a plain order of its own number is placed and filled."""
        row = self.algos[number][-1]
        told = self.place(row["symbol"], row["side"], row["quantity"], row["triggerPrice"], kind="MARKET")
        placed = self.numbers
        row = row | {"algoStatus": "TRIGGERED", "actualOrderId": str(placed), "updateTime": self.now()}
        self.algos[number].append(row)
        told.append(self._algo_event(row))
        told += self.fill(placed)
        return [*told, *self.algo_ends(number, "FINISHED")]

    # -- helpers

    def _number(self):
        self.numbers += 1
        return self.numbers

    def _move(self, symbol, quantity, price, at):
        held, entry, _ = self.positions.get(symbol, (Decimal(0), Decimal(0), 0))
        closed = min(abs(held), abs(quantity)) if held * quantity < 0 else Decimal(0)
        profit = ((price - entry) * closed * (1 if held > 0 else -1)).quantize(EIGHT)
        total = held + quantity
        if held * quantity >= 0:
            entry = (entry * abs(held) + price * abs(quantity)) / abs(total)
        elif held * total < 0:
            entry = price
        self.positions[symbol] = (total, entry.quantize(EIGHT) if total else Decimal(0), at)
        return profit

    def _earn(self, kind, amount, at, symbol="", trade="", asset="USDT"):
        self.wallet[asset] += amount
        self.income.append({
            "symbol": symbol, "incomeType": kind, "income": str(amount), "asset": asset, "info": kind,
            "time": at, "tranId": self._next_tran(), "tradeId": str(trade),
        })  # fmt: skip
        self._states.append((at, dict(self.wallet), dict(self.positions)))

    def _next_tran(self):
        self._last += 1
        return self._last

    def _account_event(self, reason, at, symbol=None, asset="USDT"):
        wallet = {"a": asset, "wb": str(self.wallet[asset]), "cw": "0", "bc": "0"}
        body = {"m": reason, "B": [wallet], "P": []}
        if symbol is not None:
            quantity, entry, _ = self.positions[symbol]
            body["P"] = [{"s": symbol, "pa": str(quantity), "ep": str(entry), "cr": "0", "up": "0",
                          "mt": "cross", "iw": "0", "ps": "BOTH"}]  # fmt: skip
        return {"e": "ACCOUNT_UPDATE", "E": self.now(), "T": at, "a": body}

    def _order_event(self, row, execution, trade=None):
        o = {
            "s": row["symbol"], "c": row["clientOrderId"], "S": row["side"], "o": row["type"], "f": "GTC",
            "q": row["origQty"], "p": row["price"], "ap": row["avgPrice"], "sp": "0", "x": execution,
            "X": row["status"], "i": row["orderId"], "l": "0", "z": row["executedQty"], "L": "0",
            "T": row["updateTime"], "t": 0, "m": False, "R": False, "ps": "BOTH", "rp": "0", "er": "0",
        }  # fmt: skip
        if trade is not None:
            o |= {"l": trade["qty"], "L": trade["price"], "t": trade["id"], "n": trade["commission"],
                  "N": "USDT", "rp": trade["realizedPnl"]}  # fmt: skip
        return {"e": "ORDER_TRADE_UPDATE", "E": self.now(), "T": row["updateTime"], "o": o}

    def _algo_event(self, row):
        o = {
            "caid": row["clientAlgoId"], "aid": row["algoId"], "at": "CONDITIONAL", "o": row["orderType"],
            "s": row["symbol"], "S": row["side"], "ps": "BOTH", "f": "GTC", "q": row["quantity"],
            "X": row["algoStatus"], "ai": row["actualOrderId"], "tp": row["triggerPrice"], "p": row["price"],
        }  # fmt: skip
        return {"e": "ALGO_UPDATE", "E": self.now(), "T": row["updateTime"], "o": o}


def _as_of(things, at, moment):
    rows = []
    for versions in things.values():
        known = [row for row in versions if row[moment] <= at]
        if known:
            rows.append(known[-1])
    return rows
