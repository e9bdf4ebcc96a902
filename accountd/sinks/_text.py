"""Alerts as text for people: a title and a few lines of Markdown for each type."""

from __future__ import annotations

from typing import Any

import msgspec

BAD = "failure"
WARN = "warning"
GOOD = "success"
INFO = "info"
TONES = {
    "margin.call": BAD, "liquidation": BAD, "stream.down": BAD, "exchange.down": BAD, "database.down": BAD,
    "disk.low": WARN, "hook.dead": WARN, "key.rights": WARN, "key.expiring": WARN, "gap.opened": WARN,
    "finding.opened": WARN, "order.rejected": WARN, "stream.live": GOOD, "gap.closed": GOOD,
    "exchange.up": GOOD, "database.up": GOOD, "disk.ok": GOOD, "hook.alive": GOOD,
}  # fmt: skip
MOST = 20  # lines of a summary


def readable(body: bytes) -> tuple[str, str, str]:
    """Return the title, the text in Markdown, and how good or bad it is."""
    told = msgspec.json.decode(body)
    kind, data = str(told["type"]), told["data"]
    title, lines = _words(kind, data)
    where = " · ".join(str(word) for word in (data.get("account"), data.get("venue")) if word)
    when = str(told["timestamp"]).replace("T", " ").replace("Z", " UTC")
    footer = " · ".join(word for word in (where, when) if word)
    if data.get("replayed"):
        footer += " · history"
    return title, "\n".join([*lines, f"_{footer}_"]), TONES.get(kind, INFO)


def _words(kind: str, data: dict[str, Any]) -> tuple[str, list[str]]:
    if kind == "fill":
        return _fill(data)
    if kind.startswith("order.") or kind == "liquidation":
        return _order(kind, data)
    if kind == "summary":
        return _summary(data)
    if kind == "balance.changed":
        return f"{data['asset']} balance {data['total']}", _list(data, "before", "total", "reason")
    if kind == "position.changed":
        title = f"{data['symbol']} position {data['quantity']}"
        return title, _list(data, "before", "quantity", "entry_price", "leverage")
    if kind == "transfer":
        title = f"{str(data['kind']).replace('_', ' ').capitalize()} {data['amount']} {data['asset']}"
        return title, _list(data, "symbol", "transfer_id")
    return _condition(kind, data)


def _fill(data: dict[str, Any]) -> tuple[str, list[str]]:
    late = f" (late by {data['late_by']} s)" if data.get("late") and data.get("late_by") else ""
    title = f"{data['side']} {data['quantity']} {data['symbol']} at {data['price']}{late}"
    lines = [f"**{data['quote_quantity']}** in quote, {'maker' if data.get('is_maker') else 'taker'}"]
    if data.get("commission") is not None:
        lines.append(f"Commission {data['commission']} {data.get('commission_asset') or ''}".rstrip())
    if data.get("realized_pnl") not in (None, "0"):
        lines.append(f"Realised profit **{data['realized_pnl']}**")
    if data.get("order_status"):
        done = f"{data.get('filled_quantity')} of {data.get('order_quantity')}"
        lines.append(f"Order `{data['order_id']}` {data['order_status']}, {done}")
    return title, lines


def _order(kind: str, data: dict[str, Any]) -> tuple[str, list[str]]:
    word = "Liquidation" if kind == "liquidation" else f"Order {kind.removeprefix('order.')}"
    title = f"{word}: {data['side']} {data['order_quantity']} {data['symbol']}"
    price = data.get("average_price") or data.get("price") or data.get("stop_price")
    lines = [f"{data.get('order_type') or 'order'} `{data['order_id']}`" + (f" at {price}" if price else "")]
    if data.get("filled_quantity") not in (None, "0"):
        lines.append(f"Filled {data['filled_quantity']} of {data['order_quantity']}")
    if data.get("reason"):
        lines.append(f"Reason: {data['reason']}")
    return title, lines


def _summary(data: dict[str, Any]) -> tuple[str, list[str]]:
    lines = [f"- {count} × {kind}" for kind, count in data["types"].items()]
    for symbol, count in list(data.get("symbols", {}).items())[:MOST]:
        lines.append(f"- {symbol}: {count}")
    for alert in data.get("alerts", [])[:MOST]:
        lines.append(f"- {_words(alert['type'], alert['data'])[0]}")
    return f"{data['count']} alerts ({data['reason']})", lines


def _condition(kind: str, data: dict[str, Any]) -> tuple[str, list[str]]:
    who = data.get("subject") or data.get("account") or ""
    title = kind.replace(".", " ").capitalize() + (f": {who}" if who else "")
    if data.get("repeat"):
        title += " (still)"
    skipped = ("account", "venue", "subject", "repeat")
    return title, _list(data, *(name for name in data if name not in skipped))


def _list(data: dict[str, Any], *names: str) -> list[str]:
    shown = ((name, data.get(name)) for name in names)
    return [f"- {name.replace('_', ' ')}: {_plain(value)}" for name, value in shown if value is not None]


def _plain(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return f"`{msgspec.json.encode(value).decode()[:300]}`"
    return f"`{value}`"
