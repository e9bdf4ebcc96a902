"""The daemon against the second spot exchange, and the record beside that exchange's ledger."""

from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

from accountd.store import tables
from tests.second_spot_exchange import SecondSpot
from tests.second_spot_keys import API_KEY, SECRET
from tests.second_spot_ledger import FINAL, text
from tests.world import Receiver, World, ms


class SecondWorld(World):
    """A world of the second exchange; ``account`` and the rest are settings, as in `World`."""

    def __init__(self, url, exchange: SecondSpot, folder: Path, *, account=None, **more):
        self.url, self.second, self.folder, self.more = url, exchange, folder, more
        self.account_more = account or {}
        self.accounts = ("main",)
        self.stack = AsyncExitStack()

    async def __aenter__(self):
        await self.stack.__aenter__()
        await self.stack.enter_async_context(self.second)
        self.hook = await self.stack.enter_async_context(Receiver())
        await self.start()
        return self

    def environ(self):
        """Return the settings; a key that has a file is named by it."""
        path = self.folder / "key.pem"
        if self.second.key.pem:
            path.write_bytes(self.second.key.pem)
        own = {
            "VENUE": "binance-us" if self.second.classic else "binance-spot", "API_KEY": API_KEY,
            "REST_URL": self.second.rest.url, "WS_API_URL": self.second.ws_url,
            "STREAM_URL": self.second.ws_url,
            **({"PRIVATE_KEY_FILE": str(path)} if self.second.key.pem else {"API_SECRET": SECRET}),
        }  # fmt: skip
        accounts, self.accounts = self.accounts, ()
        env = super().environ()
        self.accounts = accounts
        return env | {f"ACCOUNTD_ACCOUNTS__MAIN__{k}": v for k, v in (own | self.account_more).items()}

    def differences(self, account="main"):
        """Compare the record with the ledger; empty when they say the same."""
        found, ledger = {}, self.second.ledger
        mine = {
            table: self.rows(table)
            for table in (tables.fills, tables.orders, tables.balances, tables.transfers)
        }
        pairs = {
            "fills": (self.ledger_fills(), [record_fill(f) for f in mine[tables.fills]]),
            "orders": (
                [ledger_order(o) for o in ledger.orders.values()],
                [record_order(o) for o in mine[tables.orders]],
            ),
            "balances": (
                [(a, text(f), text(k), text(f + k)) for a, (f, k) in ledger.wallet.items()],
                [
                    (b["asset"], *(text(b[name]) for name in ("free", "locked", "total")))
                    for b in mine[tables.balances]
                ],
            ),
            "transfers": (self.ledger_moves(), [record_move(t) for t in mine[tables.transfers]]),
        }
        for what, (there, here) in pairs.items():
            missing, extra = Counter(there) - Counter(here), Counter(here) - Counter(there)
            if missing or extra:
                found[what] = {"missing": list(missing)[:3], "extra": list(extra)[:3], "n": len(missing)}
        return found

    def ledger_fills(self):
        """Return every execution of the ledger."""
        kept = (("", self.second.ledger.trades), ("alloc-", self.second.ledger.allocations))
        return [
            (
                t["symbol"], f"{name}{t['number']}", str(t["order"]), t["side"], text(t["price"]),
                text(t["quantity"]), text(t["price"] * t["quantity"]), text(t["fee"]), "BNB", t["maker"],
                t["at"],
            )
            for name, rows in kept for t in rows
        ]  # fmt: skip

    def ledger_moves(self):
        """Return every movement of the ledger that its REST shows."""
        ledger = self.second.ledger
        if self.second.rest.absent:
            return []
        moves = [("deposit", d["id"], d["asset"], text(d["amount"]), d["at"]) for d in ledger.deposits]
        for w in ledger.withdrawals:
            moves.append(("withdrawal", w["id"], w["asset"], text(-w["amount"]), w["at"]))
            moves.append(("withdrawal_fee", w["id"], w["asset"], text(-w["fee"]), w["at"]))
        return moves

    async def rang(self, seconds=60.0):
        """Wait until every fill rang, then check that each did under one id and one body."""
        due = {(fill[0], fill[1]) for fill in self.ledger_fills()}
        await self.until(lambda: set(self.hook.fills()) >= due, seconds)
        assert sorted(self.hook.fills()) == sorted(due)
        assert all(len(set(bodies)) == 1 for bodies in self.hook.bodies.values())


def record_fill(f):
    """Return what the record says of an execution."""
    return (
        f["symbol"], f["trade_id"], f["order_id"], f["side"], text(f["price"]), text(f["quantity"]),
        text(f["quote_quantity"]), text(f["commission"]), f["commission_asset"], f["is_maker"],
        ms(f["traded_at"]),
    )  # fmt: skip


def ledger_order(o):
    """Return what the ledger says of an order."""
    numbers = (text(o[name]) for name in ("q", "p", "z", "Z", "stop"))
    words = (o["side"], o["type"], o["tif"], o["client"])
    return (o["symbol"], str(o["id"]), o["status"], *numbers, *words, o["created"], o["expiry"])


def record_order(o):
    """Return what the record says of an order; only what ended early needs a reason."""
    told = ("quantity", "price", "filled_quantity", "filled_quote", "stop_price")
    numbers = (text(o[name]) for name in told)
    words = (o["side"], o["type"], o["time_in_force"], o["client_order_id"])
    reason = o.get("reason") if o["status"] in FINAL else None
    return (o["symbol"], o["order_id"], o["status"], *numbers, *words, ms(o["created_at"]), reason)


def record_move(t):
    """Return what the record says of a movement."""
    return t["kind"], t["transfer_id"], t["asset"], text(t["amount"]), ms(t["occurred_at"])
