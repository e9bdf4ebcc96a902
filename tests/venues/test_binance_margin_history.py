"""Binance margin over REST: money read in the windows that are allowed, pairs by name, likely symbols."""

from datetime import timedelta
from itertools import pairwise

from accountd.errors import BadRequest, KeyRefused, VenueUnavailable
from accountd.venues import open_venue
from accountd.venues.base import SymbolInfo, to_ms
from tests.venues.retelling import drive
from tests.venues.tape import AT, load

DAY = timedelta(days=1)


def _times(calls, path):
    return [
        (int(params["startTime"]), int(params["endTime"]))
        for call in calls
        if call.path.endswith(path) and "startTime" in (params := dict(call.params))
    ]


def _nothing(call):
    return [] if call.path.endswith("capital-flow") else {"rows": [], "total": 0}


def test_money_is_asked_in_the_windows_that_the_venue_allows():
    """Capital flow and loans a week at most, interest and transfers thirty days, without a hole between."""
    venue, start = open_venue("binance-margin"), AT - timedelta(days=80)
    swept, calls, _ = drive(venue.section.transfers(start, AT), _nothing)
    assert not swept.unproven
    widest = {"capital-flow": 7, "borrow-repay": 7, "interestHistory": 30, "transfer": 30}
    for path, days in widest.items():
        windows = sorted(set(_times(calls, path)))
        assert max(end - begin for begin, end in windows) < days * 86_400_000, path
        assert (windows[0][0], windows[-1][1]) == (to_ms(start), to_ms(AT))
        assert all(after[0] <= before[1] + 1 for before, after in pairwise(windows))
    kinds = {dict(call.params).get("type") for call in calls if call.path.endswith("borrow-repay")}
    assert kinds == {"BORROW", "REPAY"}


def test_pages_are_turned_until_one_is_not_full():
    """Histories of current and size are read to their last page."""
    row = load("rest.margin.interestHistory", "margin")["rows"][0]
    asked = []

    def answer(call):
        params = dict(call.params)
        if not call.path.endswith("interestHistory"):
            return _nothing(call)
        asked.append((int(params["current"]), params["size"]))
        count = 100 if int(params["current"]) < 3 else 7
        first = int(params["current"]) * 1000
        return {"rows": [row | {"txId": first + n} for n in range(count)], "total": 207}

    venue = open_venue("binance-margin")
    _, _, pages = drive(venue.section.transfers(AT - DAY, AT), answer)
    assert asked == [(1, "100"), (2, "100"), (3, "100")]
    assert sum(len(page.told) for page in pages) == 207


def test_a_refused_history_is_a_hole_and_stops_no_other():
    """What a key may not read stays open; the rest is read."""

    def answer(call):
        if call.path.endswith("capital-flow"):
            return KeyRefused("no", status=401, code=-2015)
        if call.path.endswith("interestHistory"):
            return VenueUnavailable("502", status=502)
        return _nothing(call)

    swept, calls, _ = drive(open_venue("binance-margin").section.transfers(AT - DAY, AT), answer)
    reasons = {hole.reason for hole in swept.unproven}
    assert reasons == {"the venue refuses capital_flow", "no answer about interest"}
    assert {call.kind for call in calls} >= {"moves", "loans", "repayments"}


def test_isolated_questions_name_their_pair():
    """Every question about a pair says so, in the parameter that the endpoint has for it."""
    venue = open_venue("binance-isolated-margin")
    row = load("rest.margin.isolated.account", "margin")
    opened = drive(venue.section.open_pairs(("ETHBTC",)), lambda call: (
        BadRequest("no", code=-1121) if call.params else row
    ))  # fmt: skip
    assert opened[0] == ("BTCUSDT",)
    assert [dict(call.params) for call in opened[1]] == [{}, {"symbols": "ETHBTC"}]
    _, calls, pages = drive(venue.section.transfers(AT - DAY, AT), _nothing)
    for call in calls:
        name = "symbol" if call.path.endswith("capital-flow") else "isolatedSymbol"
        assert dict(call.params)[name] == "BTCUSDT"
        assert call.kind.endswith("@BTCUSDT")
    assert all(venue.decode_page(page.kind, page.reply.body, AT) == page.told for page in pages)
    for flow in (venue.section.orders, venue.section.fills):
        _, calls, _ = drive(flow("BTCUSDT", AT - DAY, AT), lambda call: [])
        assert calls
        assert all(dict(call.params)["isIsolated"] == "TRUE" for call in calls)
        assert drive(flow("BNBUSDT", AT - DAY, AT), lambda call: [])[1] == []
    info = {
        name: SymbolInfo(symbol=name, status="", base_asset=name[:3], quote_asset="USDT")
        for name in ("BTCUSDT", "BNBUSDT")
    }
    assert venue.section.rank(info["BTCUSDT"], {"BTCUSDT:USDT"}) == 0
    assert venue.section.rank(info["BTCUSDT"], {"ETHUSDT:USDT"}) == 1
    assert venue.section.rank(info["BNBUSDT"], {"BTCUSDT:USDT"}) is None


def test_symbols_that_do_not_trade_on_margin_are_left_out():
    """Exchange info is spot's; only what margin trades is swept; what the capital flow names is likely."""
    venue = open_venue("binance-margin")
    info = load("rest.exchangeInfo", "spot")
    limit = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000}
    info["rateLimits"] = [limit]
    info["symbols"].append(info["symbols"][0] | {"symbol": "X", "isMarginTradingAllowed": False})
    told, _, _ = drive(venue.section.exchange_info(), lambda call: info)
    assert set(told.symbols) == {"ETHBTC"}
    flow = [load("rest.margin.capital-flow", "margin")[0] | {"asset": "ETH", "type": "BUY_INCOME"}]
    assert venue.section.rank(told.symbols["ETHBTC"], ()) == 2
    drive(venue.section.transfers(AT - DAY, AT), lambda call: (
        flow if call.path.endswith("capital-flow") else _nothing(call)
    ))  # fmt: skip
    assert venue.section.rank(told.symbols["ETHBTC"], ()) == 0
