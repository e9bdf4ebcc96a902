"""Every path of the API: what it takes, what it tells, and who answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from accountd.web import api_reads, shapes
from accountd.web import params as p
from accountd.web.params import Param
from accountd.web.record import Look

PREFIX = "/api/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One GET. `path` begins after the prefix; `inside` are the parameters of the path itself.

    A `patient` one may take a minute, one after the other, beside all others.
    """

    path: str
    name: str
    text: str
    reply: Mapping[str, Any]
    answer: Callable[[Look, dict[str, Any]], dict[str, Any]]
    params: Sequence[Param] = ()
    inside: Sequence[Param] = ()
    needs: Sequence[str] = ()
    patient: bool = False


def _paged(name: str, text: str, *params: Param, **words: Param) -> Operation:
    def answer(look: Look, asked: dict[str, Any]) -> dict[str, Any]:
        return api_reads.paged(name, look, asked)

    return Operation(
        path=f"/{name}",
        name=name,
        text=text,
        reply=shapes.pages(shapes.row_schema(name)),
        answer=answer,
        params=(p.ACCOUNT, *params, p.LIMIT, p.CURSOR),
    )


_ACCOUNT = shapes.row_schema("accounts")
_ACCOUNT = shapes.thing(
    **_ACCOUNT["properties"],
    state=shapes.nullable({"type": "string", "enum": ["CONNECTING", "SYNCING", "LIVE", "CLOSED"]}),
    since=shapes.nullable(shapes.TIME),
    last_event_at=shapes.nullable(shapes.TIME),
    blind_seconds=shapes.nullable(shapes.REAL),
    key_age_seconds=shapes.nullable(shapes.REAL),
    detail=shapes.TEXT,
)
_AMOUNTS = {"type": "object", "additionalProperties": shapes.MONEY}
_PNL = shapes.thing(
    account=shapes.TEXT,
    account_id=shapes.TEXT,
    market=shapes.TEXT,
    bucket=shapes.TEXT,
    asset=shapes.TEXT,
    fills=shapes.WHOLE,
    realized_pnl=shapes.nullable(shapes.MONEY),
    funding=shapes.MONEY,
    other=shapes.MONEY,
    fees=_AMOUNTS,
    fees_valued=shapes.MONEY,
    fees_unvalued=_AMOUNTS,
    net=shapes.MONEY,
)
_POINT = shapes.thing(
    at=shapes.TIME,
    total=shapes.MONEY,
    unrealized_pnl=shapes.nullable(shapes.MONEY),
    equity=shapes.nullable(shapes.MONEY),
)
_STEP = shapes.thing(
    at=shapes.nullable(shapes.TIME),
    what=shapes.TEXT,
    n=shapes.nullable(shapes.WHOLE),
    **{name: shapes.nullable(shapes.TEXT) for name in ("execution_type", "status")},
    **{
        name: shapes.nullable(shapes.MONEY) for name in ("price", "quantity", "filled_quantity", "commission")
    },
    **{
        name: shapes.nullable(shapes.TEXT)
        for name in ("trade_id", "commission_asset", "source", "reason", "linked_kind", "linked_order_id")
    },
    journal_seq=shapes.nullable(shapes.WHOLE),
)
_ORDER_KIND = p.one_of("kind", "Plain orders or orders that wait for a condition.", "order", "algo")
_TRANSFER_KIND = p.free("kind", "Only transfers of this kind.", "funding_fee")
_FINDING_KIND = p.free("kind", "Only findings of this kind.", "conflict")
_STATUS = p.one_of("status", "Only alerts in this state.", "pending", "delivered", "suppressed", "dead")
_BY = p.one_of("by", "What is added up.", "day", "month", "symbol", default="day")
_AT_PRESENT = "Rows of the past have no history of their own: `n` counts the changes until then."
_STANDING: dict[str, Any] = {
    name: shapes.whole_list(shapes.row_schema(name)) for name in ("balances", "positions")
}

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        path="/accounts",
        name="accounts",
        answer=api_reads.accounts,
        text="Every account with how its session stands; null where this process does not follow it.",
        reply=shapes.whole_list(_ACCOUNT),
    ),
    _paged(
        "orders",
        "Orders in their latest state, last changed first.",
        p.MARKET,
        p.SYMBOL,
        _ORDER_KIND,
        p.SIDE,
        p.STATUS,
        p.ORDER_ID,
        p.CLIENT_ORDER_ID,
        p.OPEN,
        p.SINCE,
        p.UNTIL,
    ),
    Operation(
        path="/accounts/{account}/orders/{market}/{symbol}/{kind}/{order_id}",
        name="order",
        text="One order and everything that happened to it, oldest first.",
        reply=shapes.thing(order=shapes.row_schema("orders"), timeline={"type": "array", "items": _STEP}),
        answer=api_reads.order,
        inside=(p.ACCOUNT, p.MARKET, p.SYMBOL, _ORDER_KIND, p.ORDER_ID),
    ),
    _paged(
        "fills",
        "Fills, last traded first.",
        p.MARKET,
        p.SYMBOL,
        p.SIDE,
        p.ORDER_ID,
        p.CLIENT_ORDER_ID,
        p.SINCE,
        p.UNTIL,
    ),
    Operation(
        path="/balances",
        name="balances",
        text="Balances as last told, or as they were. " + _AT_PRESENT,
        reply=_STANDING["balances"],
        answer=api_reads.balances,
        params=(p.ACCOUNT, p.MARKET, p.ASSET, p.AT),
    ),
    Operation(
        path="/positions",
        name="positions",
        reply=_STANDING["positions"],
        answer=api_reads.positions,
        text="Positions as last told, or as they were; a closed one has the quantity 0. " + _AT_PRESENT,
        params=(p.ACCOUNT, p.MARKET, p.SYMBOL, p.AT),
    ),
    _paged(
        "transfers",
        "Movements of money, latest first.",
        p.MARKET,
        _TRANSFER_KIND,
        p.ASSET,
        p.SINCE,
        p.UNTIL,
    ),
    Operation(
        path="/pnl",
        patient=True,
        name="pnl",
        reply=shapes.whole_list(_PNL),
        answer=api_reads.pnl,
        text="Profit by day, month or symbol since 30 days ago unless `since` says otherwise; different "
        "assets are never added.",
        params=(_BY, p.ACCOUNT, p.MARKET, p.SYMBOL, p.SINCE, p.UNTIL),
    ),
    Operation(
        path="/equity",
        name="equity",
        reply=shapes.whole_list(_POINT),
        answer=api_reads.equity,
        text="The course of one balance, thinned out to what a picture needs; the last 30 days unless asked "
        "otherwise.",
        params=(
            p.ACCOUNT,
            p.MARKET,
            p.ASSET,
            p.SINCE,
            p.UNTIL,
            p.whole("points", "How many at most.", 2, 1000, 300),
        ),
        needs=("account", "market", "asset"),
    ),
    _paged(
        "coverage", "Stretches of time that REST history has proven.", p.MARKET, p.SYMBOL, p.SINCE, p.UNTIL
    ),
    _paged("gaps", "Holes in the record, latest first.", p.MARKET, p.SYMBOL, p.OPEN, p.SINCE, p.UNTIL),
    _paged("findings", "What does not tie, latest first.", _FINDING_KIND, p.OPEN, p.SINCE, p.UNTIL),
    Operation(
        path="/alerts",
        name="alerts",
        text="Alerts, latest first.",
        answer=api_reads.alerts,
        reply=shapes.pages(shapes.row_schema("outbox")),
        params=(
            p.ACCOUNT,
            p.free("hook", "Only this hook.", "ops"),
            p.free("type", "Only this type.", "fill"),
            _STATUS,
            p.LIMIT,
            p.CURSOR,
        ),
    ),
)
