"""The ledger of the second spot exchange: what really happened, and the events that tell of it.

Written from the venue's pages alone, apart from accountd.sim: what both simulated exchanges misread alike
would be seen by neither.
"""

import random
import time
from decimal import Decimal as D

ASSETS = {"BTCUSDT": ("BTC", "USDT"), "ETHUSDT": ("ETH", "USDT"), "ETHBTC": ("ETH", "BTC")}
FINAL = ("FILLED", "CANCELED", "REJECTED", "EXPIRED", "EXPIRED_IN_MATCH")


def text(number):
    """Return an amount as the venue prints it."""
    return f"{number:.8f}"


class Ledger:
    """One account. ``push`` is told every event; rows keep all their versions, so that REST may lag."""

    def __init__(self, push, seed=7):
        self.push = push
        self.rng = random.Random(seed)
        self.wallet = {name: [D(1000), D(0)] for name in ("BTC", "ETH", "BNB")} | {"USDT": [D(10**7), D(0)]}
        self.orders = {}  # id: the order as it is
        self.versions = []  # (ms, id, a copy), in order
        self.wallets = [(0, self._copy())]
        self.trades = []
        self.allocations = []
        self.amendments = []
        self.prevented = []
        self.lists = []
        self.deposits = []
        self.withdrawals = []
        self.skew = 0  # ms that the exchange's clock is ahead of ours
        self.frozen = None  # the one millisecond in which everything happens
        self.execution = 60
        self.number = 4_293_000

    def now(self):
        """Return the exchange's clock in ms."""
        return time.time_ns() // 1_000_000 + self.skew

    def _at(self):
        return self.now() if self.frozen is None else self.frozen

    # -- what an owner does

    def place(self, symbol, side, quantity, price="0", kind="LIMIT", tif="GTC", **more):
        """Place an order and return it."""
        self.number += 1
        at = self._at()
        order = {
            "symbol": symbol, "id": self.number, "client": f"mine-{self.number}", "side": side, "type": kind,
            "tif": tif, "q": D(quantity), "p": D(price), "z": D(0), "Z": D(0), "status": "NEW",
            "created": at, "updated": at, "list": -1, "prevented": D(0), "sor": False, "stop": D(0),
            "expiry": None, "match": None, **more,
        }  # fmt: skip
        self.orders[order["id"]] = order
        self._lock(order, order["q"])
        self._report(order, "NEW")
        return order

    def fill(self, order, quantity, price=None, *, maker=True):
        """Fill a part of an order: a trade, or an allocation where the order was routed."""
        quantity, price = D(quantity), D(price) if price else order["p"]
        base, quote = ASSETS[order["symbol"]]
        self._lock(order, -quantity)
        sign = 1 if order["side"] == "BUY" else -1
        self.wallet[base][0] += sign * quantity
        self.wallet[quote][0] -= sign * quantity * price
        fee = D("0.00001234")
        self.wallet["BNB"][0] -= fee
        order["z"] += quantity
        order["Z"] += quantity * price
        order["status"] = "FILLED" if order["z"] + order["prevented"] == order["q"] else "PARTIALLY_FILLED"
        rows = self.allocations if order["sor"] else self.trades
        row = {
            "symbol": order["symbol"], "number": 700_000 + len(rows), "order": order["id"], "price": price,
            "quantity": quantity, "fee": fee, "at": self._at(), "side": order["side"],
            "maker": False if order["sor"] else maker,
        }  # fmt: skip
        rows.append(row)
        self._report(order, "TRADE", row)
        return row

    def finish(self, order, status="CANCELED", reason=None):
        """End an order before it is full."""
        self._lock(order, -(order["q"] - order["z"] - order["prevented"]))
        order["status"], order["expiry"] = status, reason
        self._report(order, {"EXPIRED_IN_MATCH": "TRADE_PREVENTION"}.get(status, status))

    def amend(self, order, quantity):
        """Make an order smaller; it keeps its place and gets another client id."""
        self._lock(order, D(quantity) - order["q"])
        before, order["q"], order["old"] = order["q"], D(quantity), order["client"]
        order["client"] = f"amended-{self.rng.randrange(10**9)}"
        self._report(order, "REPLACED")
        self.amendments.append({
            "order": order["id"], "symbol": order["symbol"], "execution": self.execution, "from": before,
            "to": order["q"], "old": order["old"], "new": order["client"], "at": order["updated"],
        })  # fmt: skip

    def prevent(self, order, quantity):
        """Take a part off an order that would have met one of its own."""
        self._lock(order, -D(quantity))
        order["prevented"] += D(quantity)
        order["match"] = {"number": self.execution + 5_000, "last": D(quantity)}
        done = order["z"] + order["prevented"] == order["q"]
        order["status"] = "EXPIRED_IN_MATCH" if done else order["status"]
        self._report(order, "TRADE_PREVENTION")
        self.prevented.append({
            "order": order["id"], "symbol": order["symbol"], "number": order["match"]["number"],
            "price": order["p"], "quantity": D(quantity), "at": order["updated"],
        })  # fmt: skip

    def oco(self, symbol, quantity, above, below):
        """Place two orders of which one cancels the other; return both."""
        number, at = 40 + len(self.lists), self._at()
        legs = [
            self.place(symbol, "SELL", quantity, above, "LIMIT_MAKER", list=number),
            self.place(symbol, "SELL", quantity, below, "STOP_LOSS_LIMIT", list=number, stop=D(below)),
        ]
        self.lists.append({"number": number, "symbol": symbol, "at": at, "legs": [leg["id"] for leg in legs]})
        self.push({
            "e": "listStatus", "E": at, "s": symbol, "g": number, "c": "OCO", "l": "EXEC_STARTED",
            "L": "EXECUTING", "r": "NONE", "C": "list", "T": at,
            "O": [{"s": symbol, "i": leg["id"], "c": leg["client"]} for leg in legs],
        })  # fmt: skip
        return legs

    def deposit(self, asset, amount):
        """Money comes in."""
        self.wallet.setdefault(asset, [D(0), D(0)])[0] += D(amount)
        row = {"id": f"d{len(self.deposits)}", "asset": asset, "amount": D(amount), "at": self._at()}
        self.deposits.append(row)
        self._moved(asset, D(amount))

    def withdraw(self, asset, amount, fee):
        """Money goes out, and a fee with it."""
        self.wallet[asset][0] -= D(amount) + D(fee)
        at = self._at() // 1000 * 1000
        name = f"w{len(self.withdrawals)}"
        self.withdrawals.append({"id": name, "asset": asset, "amount": D(amount), "fee": D(fee), "at": at})
        self._moved(asset, -D(amount) - D(fee))

    def lock_outside(self, asset, amount):
        """Something outside takes a part of a balance as its collateral; no balance is told."""
        self.wallet[asset][0] -= D(amount)
        self.wallet[asset][1] += D(amount)
        self._kept()
        at = self._at()
        self.push({"e": "externalLockUpdate", "E": at, "a": asset, "d": text(D(amount)), "T": at})

    # -- how it is told

    def _lock(self, order, quantity):
        if order["type"] == "MARKET" or order["p"] == 0:
            return
        base, quote = ASSETS[order["symbol"]]
        asset, amount = (quote, quantity * order["p"]) if order["side"] == "BUY" else (base, quantity)
        self.wallet[asset][0] -= amount
        self.wallet[asset][1] += amount

    def _copy(self):
        return {asset: tuple(pair) for asset, pair in self.wallet.items()}

    def _kept(self):
        self.wallets.append((self._at(), self._copy()))

    def _moved(self, asset, amount):
        self._kept()
        at = self._at()
        self.push(self.position([asset], at))
        self.push({"e": "balanceUpdate", "E": at, "a": asset, "d": text(amount), "T": at})

    def position(self, assets, at=None):
        """Return the event that tells some balances, absolute."""
        at = at or self._at()
        rows = [{"a": a, "f": text(self.wallet[a][0]), "l": text(self.wallet[a][1])} for a in assets]
        return {"e": "outboundAccountPosition", "E": at, "u": at, "B": rows}

    def _report(self, o, execution, row=None):
        at = o["updated"] = row["at"] if row else self._at()
        self.execution += self.rng.choice((1, 2, 3))
        self.versions.append((at, o["id"], dict(o)))
        self._kept()
        old = {"CANCELED": o["client"], "REPLACED": o.get("old")}.get(execution, "")
        told = {
            "e": "executionReport", "E": at, "s": o["symbol"], "S": o["side"], "o": o["type"], "f": o["tif"],
            "c": "web_cancel" if execution == "CANCELED" else o["client"], "C": old,
            "q": text(o["q"]), "p": text(o["p"]), "P": text(o["stop"]), "F": text(D(0)), "g": o["list"],
            "x": execution, "X": o["status"], "r": "NONE", "i": o["id"], "z": text(o["z"]), "Z": text(o["Z"]),
            "l": text(row["quantity"] if row else D(0)), "L": text(row["price"] if row else D(0)),
            "n": text(row["fee"]) if row else "0", "N": "BNB" if row else None, "T": at,
            "t": row["number"] if row and not o["sor"] else -1, "I": self.execution, "M": False,
            "m": bool(row and row["maker"]), "w": o["status"] not in FINAL, "O": o["created"],
            "Q": text(D(0)), "V": "EXPIRE_MAKER",
            "Y": text(row["quantity"] * row["price"] if row else D(0)), "W": o["created"],
        }  # fmt: skip
        if o["sor"]:
            told |= {"uS": True, "k": "SOR"}
            told |= {"b": "ONE_PARTY_TRADE_REPORT", "a": row["number"]} if row else {}
        if o["prevented"]:
            told |= {"v": o["match"]["number"], "A": text(o["prevented"]), "u": 1, "U": 37, "Cs": o["symbol"]}
            told |= {"B": text(o["match"]["last"])} if execution == "TRADE_PREVENTION" else {}
        if o["expiry"]:
            told["eR"] = o["expiry"]
        told["unheardOf"] = {"x": [1, 2]}
        self.push(self._mixed(told))
        base, quote = ASSETS[o["symbol"]]
        self.push(self.position([base, quote, "BNB"], at))

    def _mixed(self, told):
        """Return the same event with its fields in another order: none is promised."""
        names = list(told)
        self.rng.shuffle(names)
        return {name: told[name] for name in names}
