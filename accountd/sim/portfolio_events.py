"""The events of a portfolio margin account: those of each market as the one stream words them."""

from typing import Any

from accountd.sim.events import Event

# What the one stream leaves out of an order, and out of a position: everything is cross there.
NOT_IN_ORDERS = ("wt", "ot", "cp", "pP", "pm", "er", "si", "ss", "ma", "AP", "cr")
NOT_IN_POSITIONS = ("mt", "iw")


def worded(unit: str, event: Event) -> Event | None:
    """Return a futures event with its business unit, None if the stream does not have it."""
    name = event["e"]
    head = {"e": name, "fs": unit, "E": event["E"]} | ({"T": event["T"]} if "T" in event else {})
    if name == "ORDER_TRADE_UPDATE":
        return head | {"i": event.get("i", ""), "o": without(event["o"], NOT_IN_ORDERS)}
    if name == "ACCOUNT_UPDATE":
        body = event["a"]
        positions = [without(row, NOT_IN_POSITIONS) for row in body["P"]]
        return head | {"i": event.get("i", ""), "a": body | {"P": positions}}
    if name == "ALGO_UPDATE":
        return head | {"ao": event["o"]} if unit == "UM" else strategy(head, event["o"])
    if name == "ACCOUNT_CONFIG_UPDATE":
        return head | {"ac": event["ac"]}
    return risk(event["E"]) if name == "MARGIN_CALL" else None


def without(row: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Return a row without some of its fields."""
    return {key: value for key, value in row.items() if key not in names}


def strategy(head: Event, o: dict[str, Any]) -> Event:
    """Return a conditional order's event as the older service tells it; COIN-M still uses that."""
    body = {
        "s": o["s"],
        "c": o["caid"],
        "si": o["aid"],
        "S": o["S"],
        "st": o["o"],
        "f": o["f"],
        "q": o["q"],
        "p": o["p"],
        "sp": o["tp"],
        "os": o["X"],
        "T": head["T"],
        "ut": head["T"],
        "R": o["R"],
        "wt": o["wt"],
        "ps": o["ps"],
        "cp": o["cp"],
        "i": int(o["ai"] or 0),
        "V": "EXPIRE_TAKER",
        "gtd": 0,
    }
    return head | {"e": "CONDITIONAL_ORDER_TRADE_UPDATE", "so": body}


def risk(at_ms: int, level: str = "MARGIN_CALL") -> Event:
    """Return riskLevelChange."""
    figures = {"eq": "30.23416728", "ae": "30.23416728", "m": "15.11708371"}
    return {"e": "riskLevelChange", "E": at_ms, "u": "1.99999999", "s": level} | figures


def debt(event: Event, number: int) -> Event | None:
    """Return an event of the cross margin account's risk stream as this stream tells it."""
    if event["e"] == "USER_LIABILITY_CHANGE":
        told = {"e": "liabilityChange", "E": event["E"], "a": event["a"], "t": event["t"], "T": number}
        return told | {"p": event["p"], "i": event["i"], "l": event["p"]}
    return risk(event["E"]) if event.get("s") == "MARGIN_CALL" else None
