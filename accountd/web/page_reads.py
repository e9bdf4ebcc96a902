"""What each page shows, read in one look: a bounded number of rows, however large the record is."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from accountd.store import queries, query_feed
from accountd.store.query_filter import Filter
from accountd.web import why
from accountd.web.pictures import Pictures, Window
from accountd.web.problem import Problem
from accountd.web.record import Look

Row = Any
SOME = 12  # rows of a list on a page that has several
MANY = 50  # rows of a page that is one list
LANES = 20  # accounts whose coverage the overview shows
CHARTS = 4  # courses of balances on one page


def account_rows(look: Look, now: datetime) -> list[dict[str, Any]]:
    """Return every account: who it is, how its session stands, and what is open."""
    latest = {row["account_id"]: row for row in queries.sessions(look.conn)}
    concerns = query_feed.concerns_by_account(look.conn)
    return [
        _account(look, key, latest.get(key), concerns.get(key, {})) for key in look.rows
    ]  # fmt: skip


def _account(look: Look, key: str, session: Row | None, open_: Mapping[str, int]) -> dict[str, Any]:
    row = look.rows[key]
    health = look.health.accounts.get(row["name"])
    return {
        "account_id": key,
        "name": row["name"],
        "venue": row["venue"],
        "environment": row["environment"],
        "created_at": row["created_at"],
        "state": str(health.state) if health else "not followed",
        "since": health.since if health else None,
        "last_event_at": health.last_event_at if health else session["last_seen_at"] if session else None,
        "blind_seconds": health.blind_seconds if health else None,
        "key_age": health.key_age if health else None,
        "detail": health.detail if health else "",
        "gaps": open_.get("gaps", 0),
        "findings": open_.get("findings", 0),
    }


def unborn(look: Look) -> list[dict[str, Any]]:
    """Return the accounts that the daemon follows and the record does not know yet."""
    known = set(look.names.values())
    return [
        {
            "account_id": name, "name": name, "venue": "", "environment": "", "created_at": None,
            "state": str(health.state), "since": health.since, "last_event_at": health.last_event_at,
            "blind_seconds": health.blind_seconds, "key_age": health.key_age, "detail": health.detail,
            "gaps": 0, "findings": 0,
        }
        for name, health in sorted(look.health.accounts.items()) if name not in known
    ]  # fmt: skip


def overview(look: Look, pictures: Pictures, window: Window) -> dict[str, Any]:
    """Return what the first page shows."""
    accounts = account_rows(look, window.until) + unborn(look)
    newest = Filter(newest=True)
    balances, positions = _held(look, None)
    return {
        "accounts": accounts,
        "live": sum(one["state"] == "LIVE" for one in accounts),
        "concerns": queries.concerns(look.conn),
        "fills": queries.page(look.conn, "fills", newest, size=SOME).rows,
        "orders": queries.page(look.conn, "orders", Filter(newest=True, open=True), size=SOME).rows,
        "balances": balances[:SOME], "balances_more": max(0, len(balances) - SOME),
        "positions": positions[:SOME], "positions_more": max(0, len(positions) - SOME),
        "lanes": [pictures.account_lane(look, one, window) for one in list(look.rows)[:LANES]],
        "lanes_more": max(0, len(look.rows) - LANES),
        "equity": pictures.equity(look, _largest(balances)[:CHARTS], window),
        "pnl": pictures.pnl(None, window),
        "alerts": query_feed.alerts(look.conn, limit=8),
        "dead": query_feed.alerts(look.conn, limit=8, status="dead"),
        "conditions": query_feed.conditions_firing(look.conn, SOME),
        "gaps": queries.page(look.conn, "gaps", Filter(newest=True, open=True), size=SOME).rows,
        "findings": queries.page(look.conn, "findings", Filter(newest=True, open=True), size=SOME).rows,
    }  # fmt: skip


def account(look: Look, pictures: Pictures, window: Window, name: str) -> dict[str, Any]:
    """Return what the page of one account shows.

    Raises:
        Problem: there is no such account.
    """
    key = look.account_id(name)
    session = next(iter(queries.sessions(look.conn, key)), None)
    concerns = query_feed.concerns_by_account(look.conn)
    newest, opened = Filter(account=key, newest=True), Filter(account=key, newest=True, open=True)
    balances, positions = _held(look, key)
    return {
        "account": _account(look, key, session, concerns.get(key, {})),
        "sessions": query_feed.sessions_since(look.conn, key, window.since, SOME),
        "fills": queries.page(look.conn, "fills", newest, size=SOME).rows,
        "orders": queries.page(look.conn, "orders", opened, size=SOME).rows,
        "transfers": queries.page(look.conn, "transfers", newest, size=SOME).rows,
        "balances": balances, "balances_more": 0, "positions": positions, "positions_more": 0,
        "lanes": pictures.dataset_lanes(look, key, window),
        "equity": pictures.equity(look, _largest(balances)[:CHARTS], window),
        "pnl": pictures.pnl(key, window),
        "gaps": queries.page(look.conn, "gaps", newest, size=SOME).rows,
        "findings": queries.page(look.conn, "findings", opened, size=SOME).rows,
    }  # fmt: skip


def listed(look: Look, name: str, asked: Mapping[str, Any], after: str | None) -> dict[str, Any]:
    """Return one page of a list with the filters that a reader chose.

    Raises:
        Problem: there is no such account.
        QueryRefused: there is no such page.
    """
    told = {key: value for key, value in asked.items() if key != "account"}
    key = look.account_id(asked["account"]) if asked.get("account") else None
    page = queries.page(look.conn, name, Filter(account=key, newest=True, **told), after=after, size=MANY)
    return {"rows": page.rows, "next": page.next}


def alerts(look: Look, asked: Mapping[str, str], after: Sequence[Any] | None) -> dict[str, Any]:
    """Return one page of alerts with the attempts to deliver each, and what is wrong at this moment.

    Raises:
        Problem: there is no such account.
    """
    equal: dict[Any, str] = {key: value for key, value in asked.items() if key != "account"}
    if asked.get("account"):
        equal["account_id"] = look.account_id(asked["account"])
    rows = query_feed.alerts(look.conn, limit=MANY + 1, after=after, **equal)
    shown = rows[:MANY]
    tries: dict[str, list[Row]] = {}
    for attempt in query_feed.attempts(look.conn, [row["message_id"] for row in shown]):
        tries.setdefault(attempt["message_id"], []).append(attempt)
    more = (shown[-1]["created_at"], shown[-1]["message_id"]) if len(rows) > MANY else None
    return {
        "rows": shown, "attempts": tries, "after": more, "concerns": queries.concerns(look.conn),
        "conditions": query_feed.conditions_firing(look.conn, MANY),
    }  # fmt: skip


def order(look: Look, key: Mapping[str, str], now: datetime) -> dict[str, Any]:
    """Return one order, its life, and what that life means.

    Raises:
        Problem: there is no such order.
    """
    which: dict[str, Any] = {name: key[name] for name in ("market", "symbol", "kind", "order_id")}
    account_id = look.account_id(key["account"])
    found = [
        row
        for row in queries.orders(look.conn, Filter(account=account_id, **which))
        if row["order_id"] == key["order_id"]
    ]
    if not found:
        raise Problem.parameter("order_id", key["order_id"], "no such order in the record", status=404)
    steps = list(
        queries.timeline(look.conn, key["order_id"], account_id, key["market"], key["symbol"], key["kind"])
    )
    fills = [step for step in steps if step["what"] == "fill"]
    return {
        "order": found[0], "steps": steps, "fills": fills,
        "why": why.sentences(found[0], steps, now, _nearest(look, found[0], now)),
        "account": key["account"], "pauses": _pauses(steps),
    }  # fmt: skip


def _nearest(look: Look, order: Row, now: datetime) -> Row | None:
    """Return the recorded price that came nearest to an order that did not fill."""
    if order["filled_quantity"] or order["side"] not in ("BUY", "SELL") or order["created_at"] is None:
        return None
    until = now if order["status"] == "NEW" else order["updated_at"]
    return query_feed.nearest_price(
        look.conn, order["market"], order["symbol"], order["side"], order["created_at"], until
    )


def _pauses(steps: Sequence[Row]) -> list[float | None]:
    """Return, for each step, the seconds since the one before it."""
    told: list[float | None] = [None]
    for before, step in pairwise(steps):
        known = before["at"] is not None and step["at"] is not None
        told.append((step["at"] - before["at"]) / timedelta(seconds=1) if known else None)
    return told[: len(steps)]


def _held(look: Look, account_id: str | None) -> tuple[list[Row], list[Row]]:
    which = Filter(account=account_id)
    balances = [row for row in queries.balances(look.conn, which) if row["total"]]
    positions = [row for row in queries.positions(look.conn, which) if row["quantity"]]
    by = ("account_id", "market")
    balances.sort(key=lambda row: (*(row[name] for name in by), -abs(row["total"])))
    positions.sort(key=lambda row: (*(row[name] for name in by), row["symbol"], row["position_side"]))
    return balances, positions


def _largest(balances: Iterable[Row]) -> list[tuple[str, str, str]]:
    """Return (account, market, asset) of the balances whose course is worth a picture, cash first."""
    cash = ("USDT", "USDC", "FDUSD", "USD", "BTC", "ETH", "BNB")

    def rank(row: Row) -> tuple[int, Any]:
        return (cash.index(row["asset"]) if row["asset"] in cash else len(cash), -abs(row["total"]))

    return [(row["account_id"], row["market"], row["asset"]) for row in sorted(balances, key=rank)]
