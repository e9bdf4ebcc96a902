"""What each path of the API reads and tells: rows of the record, exactly as they are kept."""

from datetime import UTC, datetime, timedelta
from typing import Any

from accountd.errors import QueryRefused
from accountd.store import queries, query_feed
from accountd.store.query_filter import Filter
from accountd.web import params, shapes
from accountd.web.problem import Problem
from accountd.web.record import Look

Asked = dict[str, Any]
_FILTERS = (
    "market",
    "symbol",
    "side",
    "status",
    "kind",
    "order_id",
    "client_order_id",
    "since",
    "until",
    "open",
)
PICTURE_DAYS = 30
POINTS = 300


def filtered(look: Look, asked: Asked, **more: Any) -> Filter:
    """Return the filter that the parameters ask for, newest first.

    Raises:
        Problem: the account does not exist.
    """
    told = {name: asked[name] for name in _FILTERS if name in asked} | more
    if "asset" in asked:
        told["symbol"] = asked["asset"]
    account = look.account_id(asked["account"]) if "account" in asked else None
    return Filter(account=account, newest=True, **told)


def paged(name: str, look: Look, asked: Asked) -> dict[str, Any]:
    """Return one page of a table.

    Raises:
        Problem: the account or the cursor does not exist.
    """
    size, cursor = asked.get("limit", params.ROWS), asked.get("cursor")
    try:
        page = queries.page(look.conn, name, filtered(look, asked), after=cursor, size=size)
    except QueryRefused:
        raise Problem.parameter("cursor", str(cursor), params.CURSOR.allowed, status=404) from None
    rows = [shapes.row_json(name, row, look.names) for row in page.rows]
    return {"data": rows, "next_cursor": page.next}


def accounts(look: Look, asked: Asked) -> dict[str, Any]:
    """Return every account of the record with how its session stands."""
    return {"data": [account_json(look, key) for key in look.rows]}


def account_json(look: Look, account_id: str) -> dict[str, Any]:
    """Return one account: what the record knows, and how the daemon that serves this does with it."""
    row = look.rows[account_id]
    told = shapes.row_json("accounts", row, look.names)
    health = look.health.accounts.get(row["name"])
    return told | {
        "state": str(health.state) if health else None,
        "since": shapes.plain(health.since) if health else None,
        "last_event_at": shapes.plain(health.last_event_at) if health else None,
        "blind_seconds": round(health.blind_seconds, 3) if health else None,
        "key_age_seconds": round(health.key_age, 3) if health and health.key_age is not None else None,
        "detail": health.detail if health else "",
    }


def balances(look: Look, asked: Asked) -> dict[str, Any]:
    """Return the balances as last told, or as they were at a moment."""
    return _standing("balances", look, asked)


def positions(look: Look, asked: Asked) -> dict[str, Any]:
    """Return the positions as last told, or as they were at a moment."""
    return _standing("positions", look, asked)


def _standing(name: str, look: Look, asked: Asked) -> dict[str, Any]:
    which, at = filtered(look, asked), asked.get("at")
    if at is not None:
        found = query_feed.standing_at(look.conn, name, which, at)
    else:
        found = list((queries.balances if name == "balances" else queries.positions)(look.conn, which))
    return {"data": [shapes.row_json(name, row, look.names) for row in found]}


def pnl(look: Look, asked: Asked) -> dict[str, Any]:
    """Return profit by day, month or symbol; amounts of different assets are never added."""
    since = asked.get("since", datetime.now(UTC) - timedelta(days=PICTURE_DAYS))
    which = filtered(look, asked | {"since": since})
    rows = [
        {
            "account": look.names.get(row.account_id, row.account_id),
            "account_id": row.account_id,
            "market": row.market,
            "bucket": row.bucket,
            "asset": row.asset,
            "fills": row.fills,
            "realized_pnl": shapes.plain(row.realized_pnl),
            "funding": shapes.plain(row.funding),
            "other": shapes.plain(row.other),
            "fees": {asset: shapes.plain(paid) for asset, paid in row.fees.items()},
            "fees_valued": shapes.plain(row.fees_valued),
            "fees_unvalued": {asset: shapes.plain(paid) for asset, paid in row.fees_unvalued.items()},
            "net": shapes.plain(row.net),
        }
        for row in queries.pnl(look.conn, asked.get("by", "day"), which)
    ]
    return {"data": rows}


def equity(look: Look, asked: Asked) -> dict[str, Any]:
    """Return the course of one balance, thinned out to what a picture needs."""
    account, until = look.account_id(asked["account"]), asked.get("until", datetime.now(UTC))
    since = asked.get("since", until - timedelta(days=PICTURE_DAYS))
    points = queries.equity(
        look.conn, account, asked["market"], asked["asset"], since, until, asked.get("points", POINTS)
    )
    names = ("at", "total", "unrealized_pnl", "equity")
    return {"data": [{name: shapes.plain(getattr(point, name)) for name in names} for point in points]}


def order(look: Look, asked: Asked) -> dict[str, Any]:
    """Return one order and everything that happened to it.

    Raises:
        Problem: there is no such order.
    """
    account = look.account_id(asked["account"])
    key = {name: asked[name] for name in ("market", "symbol", "kind")}
    which = Filter(account=account, order_id=asked["order_id"], **key)
    # The filter also finds an algo order by the plain order that it placed.
    found = [row for row in queries.orders(look.conn, which) if row["order_id"] == asked["order_id"]]
    if not found:
        raise Problem.parameter("order_id", asked["order_id"], "no such order in the record", status=404)
    steps = queries.timeline(look.conn, asked["order_id"], account, **key)
    return {
        "order": shapes.row_json("orders", found[0], look.names),
        "timeline": [{name: shapes.plain(row[name]) for name in STEP} for row in steps],
    }


def alerts(look: Look, asked: Asked) -> dict[str, Any]:
    """Return alerts, newest first, with the reason of those that were not delivered."""
    size = asked.get("limit", params.ROWS)
    after = params.read_cursor(asked["cursor"]) if "cursor" in asked else None
    which: dict[Any, str] = {name: asked[name] for name in ("hook", "type", "status") if name in asked}
    if "account" in asked:
        which["account_id"] = look.account_id(asked["account"])
    rows = query_feed.alerts(look.conn, limit=size + 1, after=after, **which)
    more = None
    if len(rows) > size:
        more = params.write_cursor((rows[size - 1]["created_at"], rows[size - 1]["message_id"]))
    return {"data": [shapes.row_json("outbox", row, look.names) for row in rows[:size]], "next_cursor": more}


STEP = ("at", "what", "n", "execution_type", "status", "price", "quantity", "filled_quantity", "trade_id",
        "commission", "commission_asset", "source", "journal_seq", "reason", "linked_kind",
        "linked_order_id")  # fmt: skip
