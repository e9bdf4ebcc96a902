"""The JSON API: exact rows, pages that do not shift, and refusals that help."""

import pytest
from starlette.testclient import TestClient

from accountd.core.health import Health
from accountd.runtime.metrics import Metrics
from accountd.web import app
from accountd.web.params import read_time, write_time
from tests.store.samples import changes, fill
from tests.web.conftest import HOUR, T0

API = "/api/v1"


def data(browser, path):
    """Return the rows that a path tells."""
    reply = browser.get(API + path)
    assert reply.status_code == 200, reply.text
    return reply.json()["data"]


def test_accounts_tell_their_state_and_no_secret(browser):
    """Each account comes with how its session stands, and with nothing of its keys."""
    main, other = data(browser, "/accounts")
    assert (main["name"], main["state"], main["blind_seconds"]) == ("main", "LIVE", 12.5)
    assert (other["state"], other["detail"]) == ("CONNECTING", "the key was refused")
    assert not [name for name in main if "secret" in name or "api" in name]


def test_rows_are_exact(browser):
    """Decimals are strings with every digit, times are ISO 8601 with Z."""
    told = data(browser, "/fills?account=main&limit=1")[0]
    assert (told["price"], told["quantity"], told["commission"]) == ("60000.10", "0.010", "0.24000040")
    assert told["traded_at"] == write_time(T0 + 0.7 * HOUR)
    assert told["account"] == "main"
    assert told["is_maker"] is True


def test_pages_tell_each_row_once(watcher, record):
    """Following the cursor tells every fill of every account once, newest first, while new ones come in."""
    seen, address, seq = [], f"{API}/fills?limit=3", 2
    while True:
        reply = watcher.get(address).json()
        seen += [(row["traded_at"], row["account"], row["trade_id"]) for row in reply["data"]]
        if reply["next_cursor"] is None:
            break
        address = f"{API}/fills?limit=3&cursor={reply['next_cursor']}"
        with record.begin() as tx:
            tx.write([changes(first=seq, fills=[fill(100 + seq, traded_at=T0 + 4 * HOUR)])])
        seq += 1
    assert len(seen) == 8
    assert len(set(seen)) == 8
    assert [one[0] for one in seen] == sorted((one[0] for one in seen), reverse=True)


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("/orders", 4),
        ("/orders?open=true", 2),
        ("/orders?open=false", 2),
        ("/orders?status=CANCELED", 1),
        ("/orders?kind=algo", 1),
        ("/orders?symbol=%E5%B8%81%E5%AE%89USDT", 1),
        ("/orders?order_id=2", 1),
        ("/orders?client_order_id=c1", 1),
        ("/fills?account=other", 1),
        ("/fills?side=SELL", 0),
        ("/balances", 2),
        ("/balances?asset=BNB", 1),
        ("/positions?symbol=BTCUSDT", 1),
        ("/transfers?kind=funding_fee", 3),
        ("/gaps", 2),
        ("/gaps?open=true", 1),
        ("/findings?open=false", 1),
        ("/coverage", 1),
        ("/alerts", 3),
        ("/alerts?status=dead", 1),
        ("/alerts?hook=ops&type=fill&account=main", 3),
    ],
)
def test_filters(browser, path, count):
    """Each filter keeps what it says."""
    assert len(data(browser, path)) == count


def test_times_bound_a_list(browser):
    """`since` is inclusive and `until` exclusive."""
    since, until = write_time(T0 + 0.2 * HOUR), write_time(T0 + 0.4 * HOUR)
    rows = data(browser, f"/fills?account=main&since={since}&until={until}")
    assert [row["trade_id"] for row in rows] == ["3", "2"]


def test_balances_at_a_moment(browser):
    """A balance of the past is what was told last before that moment; before the first there is none."""

    def total(at):
        return [row["total"] for row in data(browser, f"/balances?asset=USDT&at={write_time(at)}")]

    assert total(T0 + HOUR / 2) == ["100.00000000"]
    assert total(T0 + HOUR) == ["99.5"]
    assert total(T0 - HOUR) == []
    assert [row["quantity"] for row in data(browser, f"/positions?at={write_time(T0 + HOUR)}")] == ["0.010"]


def test_order_with_its_life(browser):
    """One order is told with everything that happened to it, oldest first."""
    reply = browser.get(f"{API}/accounts/main/orders/usdm/BTCUSDT/order/2").json()
    assert reply["order"]["status"] == "CANCELED"
    assert [step["status"] for step in reply["timeline"]] == ["NEW", "CANCELED"]


def test_profit_is_not_mixed(browser):
    """Profit is told per asset, with the fees that were paid."""
    [row] = [one for one in data(browser, "/pnl?by=symbol&account=main") if one["bucket"] == "BTCUSDT"]
    assert (row["realized_pnl"], row["asset"], row["fills"]) == ("-10.50000000", "USDT", 7)
    assert row["fees"] == {"USDT": "1.68000280"}


def test_equity_is_a_course(browser):
    """The course of a balance ends with what it is."""
    points = data(browser, "/equity?account=main&market=usdm&asset=USDT")
    assert points[-1]["total"] == "99.5"


def test_findings_and_alerts_are_parsed(browser):
    """What is kept as JSON is told as JSON."""
    assert data(browser, "/findings?open=true")[0]["detail"] == {"price": {"held": "1", "told": "2"}}
    assert data(browser, "/alerts?status=dead")[0]["body"]["data"] == {"trade_id": "3"}


def test_alerts_in_pages(browser):
    """Alerts go on after the last one told."""
    first = browser.get(f"{API}/alerts?limit=2").json()
    second = browser.get(f"{API}/alerts?limit=2&cursor={first['next_cursor']}").json()
    ids = [row["message_id"] for row in first["data"] + second["data"]]
    assert (ids, second["next_cursor"]) == (["m3", "m2", "m1"], None)


@pytest.mark.parametrize(
    ("path", "status", "parameter"),
    [
        ("/fills?limit=0", 400, "limit"),
        ("/fills?limit=1001", 400, "limit"),
        ("/fills?limit=1&limit=2", 400, "limit"),
        ("/fills?limit=%2B5", 400, "limit"),
        ("/fills?colour=red", 400, "colour"),
        ("/fills?side=buy", 400, "side"),
        ("/fills?since=yesterday", 400, "since"),
        ("/fills?since=2026-13-01", 400, "since"),
        ("/fills?since=2026-11-01T00:00:00", 400, "since"),
        ("/fills?symbol=%00", 400, "symbol"),
        ("/orders?open=yes", 400, "open"),
        ("/pnl?by=week", 400, "by"),
        ("/equity?account=main", 400, "market"),
        ("/fills?account=nobody", 404, "account"),
        ("/fills?cursor=AAAA", 404, "cursor"),
        ("/alerts?cursor=AAAA", 404, "cursor"),
        ("/events?after=AAAA", 404, "after"),
        ("/accounts/main/orders/usdm/BTCUSDT/order/999", 404, "order_id"),
        ("/accounts/main/orders/moon/BTCUSDT/order/1", 400, "market"),
    ],
)  # fmt: skip
def test_refusals_name_what_is_wrong(browser, path, status, parameter):
    """A refusal is problem+json that names the parameter, its value and what is allowed."""
    reply = browser.get(API + path)
    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"
    told = reply.json()
    assert told["parameter"] == parameter
    assert told["allowed"]
    assert told["status"] == status


def test_unknown_account_tells_which_there_are(browser):
    """Who mistypes an account is told the names."""
    assert browser.get(f"{API}/fills?account=mian").json()["allowed"] == "accounts: main, other"


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("POST", "/fills", 405)])
def test_refusals_of_paths(browser, method, path, status):
    """Also a path or a method that does not exist is refused as a problem."""
    reply = browser.request(method, API + path)
    assert (reply.status_code, reply.headers["content-type"]) == (status, "application/problem+json")


def test_without_a_database_it_says_so(tmp_path):
    """A database that does not answer is 503 with its reason and a time to come back."""
    built = app.build(Health(), Metrics().registry, database_url=f"sqlite:///{tmp_path / 'none.db'}")
    with TestClient(built, base_url="http://localhost") as browser:
        reply = browser.get(f"{API}/fills")
        page = browser.get("/fills")
    built.state.close()
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "5")
    assert "no database" in reply.json()["detail"]
    assert page.status_code == 503
    assert "no database" in page.text


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-11-23", "2026-11-23T00:00:00.000000Z"),
        ("2026-11-23T08:00:00Z", "2026-11-23T08:00:00.000000Z"),
        ("2026-11-23t08:00:00.1234567z", "2026-11-23T08:00:00.123456Z"),
        ("2026-11-23T08:00:00+08:00", "2026-11-23T00:00:00.000000Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999999Z"),
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00.000000Z"),
    ],
)
def test_times_that_are_understood(written, meant):
    """RFC 3339 and dates are read to the microsecond, at the edges too."""
    assert write_time(read_time(written)) == meant


def test_time_without_a_zone_is_refused():
    """A clock time without a zone is not guessed."""
    for written in ("2026-11-23T08:00:00", "08:00", "2026-11-23 08:00:00+25:00", ""):
        with pytest.raises(ValueError):
            read_time(written)
