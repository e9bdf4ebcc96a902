"""The answers of /sapi about money and rights: deposits, withdrawals, transfers, dust, dividends, the key."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from accountd.sim import refusals
from accountd.sim.clock import DAY_MS
from accountd.sim.spot_model import Move
from accountd.sim.spot_query import SpotQuery

RIGHTS = {
    "ipRestrict": False,
    "createTime": 1_698_645_219_000,
    "enableReading": True,
    "enableWithdrawals": False,
    "enableInternalTransfer": False,
    "enableMargin": False,
    "enableFutures": False,
    "permitsUniversalTransfer": False,
    "enableVanillaOptions": False,
    "enableFixApiTrade": False,
    "enableFixReadOnly": True,
    "enableSpotAndMarginTrading": False,
    "enablePortfolioMarginTrading": False,
}
TRANSFER_TYPES = frozenset(
    {
        "MAIN_UMFUTURE",
        "MAIN_CMFUTURE",
        "MAIN_MARGIN",
        "UMFUTURE_MAIN",
        "UMFUTURE_MARGIN",
        "CMFUTURE_MAIN",
        "CMFUTURE_MARGIN",
        "MARGIN_MAIN",
        "MARGIN_UMFUTURE",
        "MARGIN_CMFUTURE",
        "ISOLATEDMARGIN_MARGIN",
        "ISOLATEDMARGIN_ISOLATEDMARGIN",
        "MARGIN_ISOLATEDMARGIN",
        "MAIN_FUNDING",
        "FUNDING_MAIN",
        "FUNDING_UMFUTURE",
        "UMFUTURE_FUNDING",
        "MARGIN_FUNDING",
        "FUNDING_MARGIN",
        "FUNDING_CMFUTURE",
        "CMFUTURE_FUNDING",
        "MAIN_OPTION",
        "OPTION_MAIN",
        "UMFUTURE_OPTION",
        "OPTION_UMFUTURE",
        "MARGIN_OPTION",
        "OPTION_MARGIN",
        "FUNDING_OPTION",
        "OPTION_FUNDING",
        "MAIN_PORTFOLIO_MARGIN",
        "PORTFOLIO_MARGIN_MAIN",
    }
)


def plain(value: Decimal) -> str:
    """Print an amount as these endpoints do, without trailing zeros."""
    text = f"{value:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def utc_text(moment_ms: int) -> str:
    """Print a time as the withdrawal history does."""
    return datetime.fromtimestamp(moment_ms // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def moves(query: SpotQuery, kind: str, span_days: int, default_days: int | None = None) -> list[Move]:
    """Return the moves of a kind in the request's window; Refused -1127 if it is too long."""
    window = query.window(span_days * DAY_MS)
    low, high = window or (query.now - (default_days or span_days) * DAY_MS, query.now)
    if window and not query.given("startTime"):
        low = high - span_days * DAY_MS
    high = min(high, query.seen, low + span_days * DAY_MS)
    coin = query.params.get("coin") or query.params.get("asset")
    rows = [m for m in query.wallet.moves if m.kind == kind and low <= m.time_ms <= high]
    return [m for m in rows if coin in (None, "", m.asset)]


def offset_page(query: SpotQuery, rows: list[Move]) -> list[Move]:
    """Cut to offset and limit, newest first."""
    start, limit = query.number("offset") or 0, query.limit(1000, 1000)
    return rows[::-1][start : start + limit]


def deposits(query: SpotQuery) -> Any:
    """Answer capital/deposit/hisrec: 90 days at most, newest first."""
    status = query.number("status")
    rows = moves(query, "deposit", 90) if status in (None, 1) else []
    return [
        {
            "id": str(7698005193668853760 + row.number),
            "amount": plain(row.amount),
            "coin": row.asset,
            "network": "BNB",
            "status": 1,
            "address": "bnb136ns6lfw4zs5hg4n85vdthaad7hq5m4gtkgf23",
            "addressTag": "101764890",
            "txId": row.detail["hash"],
            "insertTime": row.time_ms,
            "completeTime": row.time_ms,
            "transferType": 0,
            "confirmTimes": "1/1",
            "unlockConfirm": 0,
            "walletType": 0,
            "travelRuleStatus": 0,
        }
        for row in offset_page(query, rows)
    ]


def withdrawals(query: SpotQuery) -> Any:
    """Answer capital/withdraw/history: times as UTC text, `amount` without the fee."""
    status = query.number("status")
    rows = moves(query, "withdrawal", 90) if status in (None, 6) else []
    return [
        {
            "id": row.detail["id"],
            "amount": plain(-row.amount),
            "transactionFee": plain(row.fee),
            "coin": row.asset,
            "status": 6,
            "address": "0x94df8b352de7f46f64b01d3666bf6e936e44ce60",
            "txId": row.detail["hash"],
            "applyTime": utc_text(row.time_ms),
            "network": "ETH",
            "transferType": 0,
            "info": "",
            "confirmNo": 3,
            "walletType": 0,
            "txKey": "",
            "completeTime": utc_text(row.time_ms),
        }
        for row in offset_page(query, rows)
    ]


def transfers(query: SpotQuery) -> Any:
    """Answer asset/transfer of one direction: `type` is mandatory; pages of current and size."""
    kind = query.params.get("type", "")
    if not kind:
        raise refusals.missing("type")
    if kind not in TRANSFER_TYPES:
        raise refusals.bad_value("type")
    rows = [m for m in moves(query, "transfer", 183, 7) if m.detail["direction"] == kind]
    size, page = query.limit(10, 100, "size"), query.number("current") or 1
    chosen = rows[::-1][(page - 1) * size : page * size]
    told = [
        {
            "asset": row.asset,
            "amount": plain(abs(row.amount)),
            "type": kind,
            "status": "CONFIRMED",
            "tranId": row.number,
            "timestamp": row.time_ms,
        }
        for row in chosen
    ]
    return {"total": len(rows), "rows": told} if rows else {"total": 0}


def dust(query: SpotQuery) -> Any:
    """Answer asset/dribblet: the last hundred conversions."""
    rows = [m for m in query.wallet.moves if m.kind == "dust" and "charge" in m.detail]
    low, high = query.window(10_000 * DAY_MS) or (0, query.now)
    rows = [m for m in rows if low <= m.time_ms <= min(high, query.seen)][-100:]
    told = [
        {
            "operateTime": row.time_ms,
            "totalTransferedAmount": plain(Decimal(str(row.detail["got"]))),
            "totalServiceChargeAmount": plain(Decimal(str(row.detail["charge"]))),
            "transId": row.number,
            "userAssetDribbletDetails": [
                {
                    "transId": row.number,
                    "serviceChargeAmount": plain(Decimal(str(row.detail["charge"]))),
                    "amount": plain(-row.amount),
                    "operateTime": row.time_ms,
                    "transferedAmount": plain(Decimal(str(row.detail["got"]))),
                    "fromAsset": row.asset,
                }
            ],
        }
        for row in rows[::-1]
    ]
    return {"total": len(told), "userAssetDribblets": told}


def dividends(query: SpotQuery) -> Any:
    """Answer asset/assetDividend: 180 days at most, newest first, 500 at most."""
    rows, limit = moves(query, "dividend", 180), query.limit(20, 500)
    told = [
        {
            "id": row.detail["id"],
            "amount": plain(abs(row.amount)),
            "asset": row.asset,
            "divTime": row.time_ms,
            "enInfo": f"{row.asset} distribution",
            "tranId": row.number,
            "direction": 1 if row.amount > 0 else -1,
        }
        for row in rows[::-1][:limit]
    ]
    return {"rows": told, "total": len(rows)}


def system_status(query: SpotQuery) -> Any:
    """Answer system/status."""
    return {"status": 0, "msg": "normal"}


def account_status(query: SpotQuery) -> Any:
    """Answer account/status."""
    return {"data": "Normal"}


def account_info(query: SpotQuery) -> Any:
    """Answer account/info."""
    return {
        "vipLevel": 0,
        "isMarginEnabled": True,
        "isFutureEnabled": True,
        "isOptionsEnabled": False,
        "isPortfolioMarginRetailEnabled": False,
    }
