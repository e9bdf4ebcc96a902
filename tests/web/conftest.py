"""A record with a little of everything, on both databases, and a browser that looks at it."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from starlette.testclient import TestClient

from accountd.core.alerts import OutboxRow
from accountd.core.health import AccountHealth, Health
from accountd.core.states import State
from accountd.runtime.metrics import Metrics
from accountd.store.engine import writer_engine
from accountd.store.migrate import upgrade
from accountd.store.proven import Proven
from accountd.store.writer import Writer
from accountd.web import app
from tests.store.samples import balance, changes, event, fill, finding, order, position, transfer

NOW = datetime.now(UTC).replace(microsecond=0)
T0 = NOW - timedelta(hours=5)
HOUR = timedelta(hours=1)
LOCAL = "http://127.0.0.1:8787"
EVIL = "<script>alert(1)</script>"


def alert(number, **told):
    """An alert about a fill."""
    told = {
        "message_id": f"m{number}", "account_id": "main", "hook": "ops", "type": "fill",
        "body": json.dumps({"type": "fill", "data": {"trade_id": str(number)}}),
        "created_at": T0 + number * HOUR,
        "next_attempt_at": None, "status": "delivered",
    } | told  # fmt: skip
    return OutboxRow(**told)


def fill_in(writer):
    """Write a little of everything for two accounts, one of which has a name that wants to be markup."""
    cancelled = order(
        2, status="CANCELED", created_at=T0, updated_at=T0 + HOUR, events=2, client_order_id=EVIL
    )
    orders = [
        order(1, status="PARTIALLY_FILLED", filled_quantity=Decimal("0.004"), updated_at=T0),
        cancelled, order(3, kind="algo", status="NEW", actual_order_id=None, updated_at=T0),
        order(4, symbol="币安USDT", status="FILLED", updated_at=T0 + 2 * HOUR),
    ]  # fmt: skip
    fills = [fill(n, order_id="1", traded_at=T0 + n * HOUR / 10) for n in range(1, 8)]
    dead = alert(3, status="dead", attempts=7, reason="410 Gone")
    with writer.begin() as tx:
        tx.write([changes(
            orders=orders, fills=fills,
            order_events=[event(cancelled, 1, status="NEW", event_time=T0), event(cancelled, 2)],
            balances=[balance(as_of=T0), balance("0.5", asset="BNB", as_of=T0)],
            positions=[position(as_of=T0)], transfers=[transfer(n, occurred_at=T0) for n in range(1, 4)],
            findings=[finding(opened_at=T0, subject=EVIL), finding(finding_id="f2", resolved_at=NOW)],
        )], [alert(1), alert(2, status="pending", next_attempt_at=NOW), dead])  # fmt: skip
        tx.write([changes(first=1, balances=[balance("99.5", n=2, as_of=T0 + HOUR)])])
        tx.write([changes(account="other", fills=[fill(1, traded_at=T0 + HOUR / 4)])])
        tx.open_session("s1", "main", T0)
        tx.open_gap("main", "fills", "usdm", "", T0, "connection lost", NOW)
        tx.open_gap("main", "orders", "usdm", "", T0, "connection lost", NOW)
        tx.close_gaps("main", "orders", "usdm", None, T0 + HOUR, NOW)
        tx.prove("main", [Proven("fills", "usdm", "", T0 - HOUR, T0 + HOUR)], NOW)


def two_accounts(url):
    """Return a writer with two accounts on a database that it migrates."""
    upgrade(url)
    made = Writer(writer_engine(url), lambda: NOW)
    for name in ("main", "other"):
        made.open_account(name, name, "binance-usdm", "live", T0)
        made.take_head(name)
    return made


def healthy():
    """A daemon whose first account is live and whose second one is not."""
    live = AccountHealth(state=State.LIVE, since=T0, last_event_at=NOW, blind_seconds=12.5, key_age=60.0)
    return Health(accounts={"main": live, "other": AccountHealth(detail="the key was refused")})


def build(url, health=None, **more):
    """Return the application that shows a database."""
    metrics = Metrics()
    return app.build(
        health or healthy(), metrics.registry, database_url=url, before_scrape=metrics.observe, **more
    )  # fmt: skip


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def still_url(request, tmp_path_factory):
    """The address of a record with a little of everything that nobody changes, once of each kind."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('web') / 'accountd.db'}"
    else:
        url = request.getfixturevalue("postgres").new_database()
    writer = two_accounts(url)
    fill_in(writer)
    writer.close()
    return url


@pytest.fixture(scope="session")
def browser(still_url):
    """Somebody on this machine who looks at the record that nobody changes."""
    built = build(still_url)
    with TestClient(built, base_url=LOCAL) as made:
        yield made
    built.state.close()


@pytest.fixture
def record(record_url):
    """A record of its own for a test that writes."""
    writer = two_accounts(record_url)
    fill_in(writer)
    yield writer
    writer.close()


@pytest.fixture
def watcher(record_url, record):
    """Somebody who looks at the record that the test writes."""
    built = build(record_url)
    with TestClient(built, base_url=LOCAL) as made:
        yield made
    built.state.close()
