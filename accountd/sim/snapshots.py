"""REST bodies of balances, positions and account settings exactly as the official samples show them."""

from decimal import Decimal
from typing import Any

from accountd.sim.accounting import (
    average_text,
    booked,
    break_even,
    initial_margin,
    maintenance_margin,
    money,
    places,
    plain,
    quantity_text,
    unrealized,
)
from accountd.sim.exchange import Exchange
from accountd.sim.model import ZERO, Account, Order, Position, Wallet

Body = dict[str, Any]
MAX_NOTIONAL = "100000000"


class Snapshot:
    """An account as REST shows it, now (`as_of_ms` None) or as a lagging replica saw it."""

    def __init__(self, exchange: Exchange, account: Account, as_of_ms: int | None = None) -> None:
        self.exchange, self.account, self.as_of_ms = exchange, account, as_of_ms
        wallets = [v.at(as_of_ms) for v in account.wallets.values()]
        self.wallets = {w.asset: w for w in wallets if w}
        self.positions = self._positions()
        self.open_orders = self._open_orders()

    def _positions(self) -> dict[tuple[str, str], Position]:
        found = {}
        for symbol in self.exchange.symbols:
            for side in ("BOTH", "LONG", "SHORT") if self.account.hedge else ("BOTH",):
                versions = self.account.positions.get((symbol, side))
                held = versions.at(self.as_of_ms) if versions else None
                found[symbol, side] = held or Position(symbol, side)
        return found

    def _open_orders(self) -> list[Order]:
        if self.as_of_ms is None:
            return self.exchange.open_orders(self.account)
        books = self.account.books.values()
        told = [v.at(self.as_of_ms) for book in books for v in book.orders.values()]
        return [order for order in told if order and order.open]

    def shown(self) -> list[Position]:
        """Return the positions that hold something or have open orders: all that v3 shows."""
        ordered = {(o.symbol, o.position_side) for o in self.open_orders}
        return [p for key, p in self.positions.items() if p.quantity or key in ordered]

    def _mark(self, position: Position) -> Decimal:
        return self.exchange.marks[position.symbol]

    def _quote(self, symbol: str) -> str:
        return self.exchange.symbols[symbol].quote

    def _margins(self, position: Position) -> tuple[Decimal, Decimal, Decimal]:
        """Return position margin, open-order margin and maintenance margin, in quote."""
        notional = position.quantity * self._mark(position)
        key = (position.symbol, position.side)
        orders = [o for o in self.open_orders if (o.symbol, o.position_side) == key and not o.reduce_only]
        waiting = sum((o.remaining * o.price for o in orders), ZERO)
        bound = initial_margin(self.account, position.symbol, notional)
        return (
            booked(bound),
            booked(initial_margin(self.account, position.symbol, waiting)),
            booked(maintenance_margin(notional)),
        )

    def _asset_sums(self, asset: str) -> tuple[Decimal, Decimal, Decimal, Decimal]:
        """Return open profit, position, open-order and maintenance margin of an asset."""
        profit = bound = waiting = maintenance = ZERO
        for position in self.shown():
            if self._quote(position.symbol) == asset:
                margins = self._margins(position)
                profit += booked(unrealized(position, self._mark(position)))
                bound, waiting, maintenance = (
                    bound + margins[0],
                    waiting + margins[1],
                    maintenance + margins[2],
                )
        return profit, bound, waiting, maintenance

    def asset_row(self, wallet: Wallet) -> Body:
        """Build a row of v3/account.assets."""
        profit, bound, waiting, maintenance = self._asset_sums(wallet.asset)
        available = max(ZERO, wallet.balance + min(ZERO, profit) - bound - waiting)
        return {
            "asset": wallet.asset,
            "walletBalance": money(wallet.balance),
            "unrealizedProfit": money(profit),
            "marginBalance": money(wallet.balance + profit),
            "maintMargin": money(maintenance),
            "initialMargin": money(bound + waiting),
            "positionInitialMargin": money(bound),
            "openOrderInitialMargin": money(waiting),
            "crossWalletBalance": money(wallet.balance),
            "crossUnPnl": money(profit),
            "availableBalance": money(available),
            "maxWithdrawAmount": money(available),
            "updateTime": wallet.updated_ms,
        }

    def account_v3(self) -> Body:
        """Build v3/account."""
        rows = [self.asset_row(wallet) for wallet in self.wallets.values()]
        return self._totals(rows) | {
            "assets": rows,
            "positions": [self._position_in_account(p) for p in self.shown()],
        }

    def _totals(self, rows: list[Body]) -> Body:
        names = {
            "totalInitialMargin": "initialMargin",
            "totalMaintMargin": "maintMargin",
            "totalWalletBalance": "walletBalance",
            "totalUnrealizedProfit": "unrealizedProfit",
            "totalMarginBalance": "marginBalance",
            "totalPositionInitialMargin": "positionInitialMargin",
            "totalOpenOrderInitialMargin": "openOrderInitialMargin",
            "totalCrossWalletBalance": "crossWalletBalance",
            "totalCrossUnPnl": "crossUnPnl",
            "availableBalance": "availableBalance",
            "maxWithdrawAmount": "maxWithdrawAmount",
        }
        usdt = [row for row in rows if row["asset"] == "USDT"]
        return {total: money(sum((Decimal(r[name]) for r in usdt), ZERO)) for total, name in names.items()}

    def _position_in_account(self, position: Position) -> Body:
        symbol = self.exchange.symbols[position.symbol]
        bound, waiting, maintenance = self._margins(position)
        return {
            "symbol": position.symbol,
            "positionSide": position.side,
            "positionAmt": places(position.quantity, symbol.quantity_places),
            "unrealizedProfit": money(unrealized(position, self._mark(position))),
            "isolatedMargin": "0.00000000",
            "notional": plain(position.quantity * self._mark(position)),
            "isolatedWallet": "0",
            "initialMargin": plain(bound + waiting),
            "maintMargin": plain(maintenance),
            "updateTime": position.updated_ms,
        }

    def account_v2(self) -> Body:
        """Build v2/account, which lists every symbol."""
        head = {"feeTier": 0, "feeBurn": bool(self.account.fee_asset)} | {
            "canTrade": True,
            "canDeposit": True,
            "canWithdraw": True,
            "updateTime": 0,
            "multiAssetsMargin": False,
            "tradeGroupId": -1,
        }
        rows = [self.asset_row(w) | {"marginAvailable": True} for w in self.wallets.values()]
        positions = [self._position_in_account_v2(p) for p in self.positions.values()]
        return head | self._totals(rows) | {"assets": rows, "positions": positions}

    def _position_in_account_v2(self, position: Position) -> Body:
        symbol = self.exchange.symbols[position.symbol]
        bound, waiting, maintenance = self._margins(position)
        bid, ask = self.exchange.notionals(self.account, position.symbol)
        return {
            "symbol": position.symbol,
            "initialMargin": plain(bound + waiting),
            "maintMargin": plain(maintenance),
            "unrealizedProfit": money(unrealized(position, self._mark(position))),
            "positionInitialMargin": plain(bound),
            "openOrderInitialMargin": plain(waiting),
            "leverage": str(self.account.leverage.get(position.symbol, 20)),
            "isolated": False,
            "entryPrice": average_text(position.entry, symbol),
            "maxNotional": MAX_NOTIONAL,
            "bidNotional": bid,
            "askNotional": ask,
            "positionSide": position.side,
            "positionAmt": quantity_text(position.quantity, symbol),
            "updateTime": position.updated_ms,
        }

    def balances(self) -> list[Body]:
        """Build v2/balance and v3/balance."""
        rows = []
        for wallet in self.wallets.values():
            row = self.asset_row(wallet)
            names = ("crossWalletBalance", "crossUnPnl", "availableBalance", "maxWithdrawAmount")
            head = {
                "accountAlias": self.account.alias,
                "asset": wallet.asset,
                "balance": row["walletBalance"],
            }
            tail = {"marginAvailable": True, "updateTime": wallet.updated_ms}
            rows.append(head | {name: row[name] for name in names} | tail)
        return rows

    def risk_v3(self, position: Position) -> Body:
        """Build a row of v3/positionRisk."""
        symbol = self.exchange.symbols[position.symbol]
        bound, waiting, maintenance = self._margins(position)
        bid, ask = self.exchange.notionals(self.account, position.symbol)
        return {
            "symbol": position.symbol,
            "positionSide": position.side,
            "positionAmt": places(position.quantity, symbol.quantity_places),
            "entryPrice": plain(position.entry) if position.quantity else "0.0",
            "breakEvenPrice": plain(break_even(position).quantize(Decimal("0.000000000001"))),
            "markPrice": money(self._mark(position)),
            "unRealizedProfit": money(unrealized(position, self._mark(position))),
            "liquidationPrice": "0",
            "isolatedMargin": "0",
            "notional": money(position.quantity * self._mark(position)),
            "marginAsset": symbol.quote,
            "isolatedWallet": "0",
            "initialMargin": plain(bound + waiting),
            "maintMargin": plain(maintenance),
            "positionInitialMargin": plain(bound),
            "openOrderInitialMargin": plain(waiting),
            "adl": 2 if position.quantity else 0,
            "bidNotional": bid,
            "askNotional": ask,
            "updateTime": position.updated_ms,
        }

    def risk_v2(self, position: Position) -> Body:
        """Build a row of v2/positionRisk."""
        symbol = self.exchange.symbols[position.symbol]
        return {
            "entryPrice": average_text(position.entry, symbol),
            "breakEvenPrice": plain(break_even(position).quantize(Decimal("0.00000001"))),
            "marginType": "cross",
            "isAutoAddMargin": "false",
            "isolatedMargin": "0.00000000",
            "leverage": str(self.account.leverage.get(position.symbol, 20)),
            "liquidationPrice": "0",
            "markPrice": money(self._mark(position)),
            "maxNotionalValue": MAX_NOTIONAL,
            "positionAmt": places(position.quantity, symbol.quantity_places),
            "notional": plain(position.quantity * self._mark(position)),
            "isolatedWallet": "0",
            "symbol": position.symbol,
            "unRealizedProfit": money(unrealized(position, self._mark(position))),
            "positionSide": position.side,
            "updateTime": position.updated_ms,
        }

    def config(self) -> Body:
        """Build accountConfig."""
        return {
            "feeTier": 0,
            "canTrade": True,
            "canDeposit": True,
            "canWithdraw": True,
            "dualSidePosition": self.account.hedge,
            "updateTime": 0,
            "multiAssetsMargin": False,
            "tradeGroupId": -1,
        }

    def symbol_config(self, symbol: str) -> Body:
        """Build a row of symbolConfig."""
        return {
            "symbol": symbol,
            "marginType": "CROSSED",
            "isAutoAddMargin": False,
            "leverage": self.account.leverage.get(symbol, 20),
            "maxNotionalValue": MAX_NOTIONAL,
        }
