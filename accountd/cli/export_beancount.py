"""The record as a double-entry ledger in Beancount's language: every transaction balances."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from accountd.core.money import money_text
from accountd.store.exact import exact_product

Row = Mapping[Any, Any]
COMMODITY = re.compile(r"[A-Z][A-Z0-9'._-]{0,22}[A-Z0-9]")
# Fills tell these already, one by one.
TOLD_BY_FILLS = ("realized_pnl", "commission")
INVERSE_OR_LINEAR = ("usdm", "coinm")
LOANS = ("loan", "borrow", "repay")
EQUITY = {"transfer": "Transfers", "deposit": "Deposits", "withdrawal": "Withdrawals", "dust": "Conversions"}


class Ledger:
    """Writes transactions, and at the end opens the accounts that they used."""

    def __init__(self) -> None:
        self._accounts: set[str] = set()

    def begin(self) -> Iterator[str]:
        """Yield the head of the file."""
        yield ";; Written by accountd. Prices are what was paid; lots are not tracked."
        yield 'option "title" "accountd"'
        yield ""

    def fill(self, row: Row) -> Iterator[str]:
        """Yield one execution: what changed hands, or the profit that it realised, and its fee."""
        account = (row["account_id"], row["market"])
        postings: list[str] = []
        if row["market"] in INVERSE_OR_LINEAR:
            if row["realized_pnl"] and row["pnl_asset"]:
                postings += self._pair(account, "Income", "Realized", row["pnl_asset"], row["realized_pnl"])
        else:
            postings += self._exchange(account, row)
        if row["commission"] and row["commission_asset"]:
            paid = row["commission"].copy_negate()
            postings += self._pair(account, "Expenses", "Fees", _held(row, row["commission_asset"]), paid)
        what = f"{row['side']} {money_text(row['quantity'])} {row['symbol']} @ {money_text(row['price'])}"
        told = {"trade": row["trade_id"], "order": row["order_id"], "time": _clock(row["traded_at"])}
        yield from self._transaction(row["traded_at"], what, told, postings)

    def transfer(self, row: Row) -> Iterator[str]:
        """Yield one movement of money against income, expenses or equity."""
        account, kind = (row["account_id"], row["market"]), row["kind"]
        if kind in TOLD_BY_FILLS:
            return
        if kind in LOANS:
            against = ("Liabilities", "Loans")
            yield from self._moved(row, account, against)
            return
        name = "".join(part.capitalize() for part in re.split(r"[^a-z0-9]+", kind.lower()) if part) or "Other"
        if kind in EQUITY or "transfer" in kind:
            against = ("Equity", EQUITY.get(kind, name))
        elif kind in ("withdrawal_fee", "interest"):
            against = ("Expenses", "Fees" if kind == "withdrawal_fee" else "Interest")
        else:
            against = ("Income", "Funding" if kind == "funding_fee" else name)
        yield from self._moved(row, account, against)

    def _moved(self, row: Row, account: tuple[str, str], against: tuple[str, str]) -> Iterator[str]:
        what = " ".join(word for word in (row["kind"], row["symbol"]) if word)
        told = {"transfer": row["transfer_id"], "time": _clock(row["occurred_at"])}
        postings = self._pair(account, *against, row["asset"], row["amount"])
        yield from self._transaction(row["occurred_at"], what, told, postings)

    def end(self) -> Iterator[str]:
        """Yield what opens the accounts; Beancount sorts by date, so it may come last."""
        for name in sorted(self._accounts):
            yield f"1970-01-01 open {name}"

    def _exchange(self, account: tuple[str, str], row: Row) -> list[str]:
        """Return the two legs of a trade on a market where something changes hands."""
        symbol, quote = row["symbol"], row["pnl_asset"]
        if not quote:
            return []  # nobody knows what it was priced in: the note of the transaction has to do
        base = symbol if row["market"] == "options" else symbol.removesuffix(quote)
        units, total = row["quantity"], row["quote_quantity"]
        got, paid = (units, total.copy_negate()) if row["side"] == "BUY" else (units.copy_negate(), total)
        if exact_product(row["quantity"], row["price"]) == total:
            price = f"@ {money_text(row['price'])}"
        else:
            price = f"@@ {money_text(total)}"
        of_base, of_quote = (self._account("Assets", account, _held(row, asset)) for asset in (base, quote))
        return [
            f"  {of_base}  {money_text(got)} {commodity(base)} {price} {commodity(quote)}",
            f"  {of_quote}  {money_text(paid)} {commodity(quote)}",
        ]

    def _pair(
        self, account: tuple[str, str], root: str, name: str, asset: str, amount: Decimal
    ) -> list[str]:
        """Return an amount that comes to the account, and where it comes from."""
        mine, other = self._account("Assets", account, asset), self._account(root, account, name)
        unit = commodity(asset)
        back = money_text(amount.copy_negate())
        return [f"  {mine}  {money_text(amount)} {unit}", f"  {other}  {back} {unit}"]

    def _account(self, root: str, account: tuple[str, str], name: str) -> str:
        found = ":".join([root, "Accountd", *(_component(part) for part in (*account, name))])
        self._accounts.add(found)
        return found

    def _transaction(
        self, at: datetime, what: str, told: Mapping[str, Any], postings: list[str]
    ) -> Iterator[str]:
        yield f"{at.astimezone(UTC).date().isoformat()} {'*' if postings else '!'} {_quoted(what)}"
        for name, value in told.items():
            if value:
                yield f"  {name}: {_quoted(str(value))}"
        yield from postings
        yield ""


def _held(row: Row, asset: str) -> str:
    """Return an asset as the balances name it: on isolated margin by pair, BTCUSDT:USDT."""
    return f"{row['symbol']}:{asset}" if row["market"] == "isolated" else asset


def commodity(asset: str) -> str:
    """Return an asset as a Beancount commodity: 1INCH becomes X-1INCH, BTCUSDT:USDT is USDT."""
    plain = asset.upper().rpartition(":")[2]
    word = re.sub(r"[^A-Z0-9'._-]", lambda match: f"{ord(match[0]):X}", plain)
    return word if COMMODITY.fullmatch(word) else f"X-{word}"[:23].rstrip("'._-") + "X" * (not word)


def _component(word: str) -> str:
    """Return a part of an account's name, which begins with a capital or a digit."""
    clean = re.sub(r"[^A-Za-z0-9]+", "-", word).strip("-") or "X"
    return clean[0].upper() + clean[1:]


def _clock(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
