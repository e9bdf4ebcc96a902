"""What the web shows, and to whom."""

import re
from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

from accountd.core.health import AccountHealth, Health
from accountd.core.states import State
from accountd.runtime.metrics import Metrics
from accountd.store.engine import writer_engine
from accountd.store.migrate import upgrade
from accountd.store.writer import Writer
from accountd.web import app, guard

NOW = datetime(2026, 11, 23, tzinfo=UTC)
TOKEN = "a-token"
LOCAL = "http://127.0.0.1:8787"


def live():
    """Health of a daemon whose only account is LIVE."""
    return Health(accounts={"main": AccountHealth(state=State.LIVE, since=NOW, last_event_at=NOW)})


def client(health=None, base=LOCAL, **more):
    """Return a browser."""
    metrics = Metrics()
    built = app.build(health or live(), metrics.registry, before_scrape=metrics.observe, **more)
    return TestClient(built, base_url=base)


def test_healthz_only_says_that_the_process_is_alive():
    """/healthz is 200 whatever the accounts do."""
    with client(Health()) as browser:
        reply = browser.get("/healthz")
    assert (reply.status_code, reply.text) == (200, "alive\n")


def test_readyz_is_200_when_everything_is_live():
    """/readyz says that every account is LIVE."""
    with client() as browser:
        reply = browser.get("/readyz")
    assert reply.status_code == 200
    assert reply.json()["ready"] is True
    assert reply.json()["accounts"]["main"]["state"] == "LIVE"


def test_readyz_is_503_with_the_reasons():
    """/readyz names what is not ready."""
    health = live()
    health.account("other").detail = "the key was refused"
    health.writer_ok, health.writer_error = False, "disk full"
    with client(health) as browser:
        reply = browser.get("/readyz")
    assert reply.status_code == 503
    assert reply.json()["reasons"] == ["other: CONNECTING (the key was refused)", "writer: disk full"]


def test_metrics_are_those_of_now():
    """/metrics copies the health at the moment of the scrape."""
    health = live()
    with client(health) as browser:
        health.ring_depth = 7
        reply = browser.get("/metrics")
    assert "accountd_ring_depth 7.0" in reply.text
    assert reply.headers["content-type"].startswith("text/plain")


def test_page_shows_accounts_and_escapes():
    """The page names each account, and nothing that was told can become markup."""
    health = live()
    health.account("main").detail = "<script>alert(1)</script>"
    with client(health) as browser:
        text = browser.get("/").text
    assert "main" in text
    assert "<script>alert" not in text
    assert "&lt;script&gt;" in text


def test_page_shows_the_record(sqlite_url):
    """The page lists open gaps from the database."""
    upgrade(sqlite_url)
    writer = Writer(writer_engine(sqlite_url), lambda: NOW)
    writer.open_account("main", "main", "binance-usdm", "live", NOW)
    with writer.begin() as tx:
        tx.open_gap("main", "fills", "usdm", "", NOW, "connection lost", NOW)
    writer.close()
    with client(database_url=sqlite_url) as browser:
        text = browser.get("/").text
    assert "connection lost" in text


def test_metrics_count_what_is_open(sqlite_url):
    """/metrics counts open gaps in the record at the moment of the scrape."""
    upgrade(sqlite_url)
    writer = Writer(writer_engine(sqlite_url), lambda: NOW)
    writer.open_account("main", "main", "binance-usdm", "live", NOW)
    with client(database_url=sqlite_url) as browser:
        before = browser.get("/metrics").text
        with writer.begin() as tx:
            tx.open_gap("main", "fills", "usdm", "", NOW, "connection lost", NOW)
        after = browser.get("/metrics").text
    writer.close()
    assert "accountd_gaps_open 0.0" in before
    assert "accountd_gaps_open 1.0" in after


def test_metrics_stand_without_the_database(tmp_path):
    """A database that does not answer does not take the other metrics away."""
    with client(database_url=f"sqlite:///{tmp_path / 'none.db'}") as browser:
        assert browser.get("/metrics").status_code == 200


def test_page_stands_without_the_database(tmp_path):
    """A database that does not answer is said on the page instead of breaking it."""
    with client(database_url=f"sqlite:///{tmp_path / 'none.db'}") as browser:
        reply = browser.get("/")
    assert reply.status_code == 200
    assert "no database" in reply.text


def test_policy_allows_its_own_files_and_nothing_else():
    """The policy lets only this site's files through; the page has no script or style of its own."""
    with client() as browser:
        reply = browser.get("/")
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", reply.text)
    assert set(re.findall(r'(?:src|href)="(https?:|//)', reply.text)) == set()
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["x-frame-options"] == "DENY"
    assert reply.headers["cache-control"] == "no-store"


def test_static_files_last_and_change_their_address():
    """A file of the page may be kept for ever, because its address tells its content."""
    with client() as browser:
        address = re.search(r'href="(/static/accountd\.css\?v=[0-9a-f]+)"', browser.get("/").text)[1]
        reply = browser.get(address)
        assert browser.get("/static/../app.py").status_code == 404
    assert reply.status_code == 200
    assert "immutable" in reply.headers["cache-control"]


@pytest.mark.parametrize(
    "path",
    ["/", "/readyz", "/metrics", "/nothing", "/api/v1/fills", "/api/v1/openapi.json", "/live", "/orders"],
)
def test_token_is_required(path):
    """With a token no data is told without it, nor with it in the address."""
    with client(token=TOKEN, base="http://accountd.example") as browser:
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {TOKEN}"}):
            assert browser.get(path, headers=headers).status_code == 401
        assert browser.get(f"{path}?token={TOKEN}").status_code == 401
        assert browser.get("/healthz").status_code == 200


def test_token_opens():
    """With the token in its header the page is served, under whatever name it is reached."""
    with client(token=TOKEN, base="http://accountd.example") as browser:
        assert browser.get("/readyz", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_browser_logs_in_with_a_form():
    """Who opens a page without the token gets a form, and for the token a cookie that no script can read."""
    with client(token=TOKEN, base="http://accountd.example") as browser:
        door = browser.get("/fills", headers={"accept": "text/html"})
        assert door.status_code == 401
        assert 'name="next" value="/fills"' in door.text
        reply = browser.post("/login", data={"token": TOKEN, "next": "/fills"}, follow_redirects=False)
        cookie = reply.headers["set-cookie"]
        assert (reply.status_code, reply.headers["location"]) == (303, "/fills")
        assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Secure" not in cookie
        assert TOKEN not in cookie
        assert browser.get("/readyz").status_code == 200


def test_login_refuses_what_is_not_the_token():
    """A wrong token gives no cookie, a form of another site none, and too much is not even read."""
    with client(token=TOKEN, base="http://accountd.example") as browser:
        wrong = browser.post("/login", data={"token": "wrong", "next": "/"})
        assert wrong.status_code == 401 and "set-cookie" not in wrong.headers
        strange = {"origin": "http://evil.example"}
        assert browser.post("/login", data={"token": TOKEN}, headers=strange).status_code == 403
        assert browser.post("/login", data={"token": "x" * 5000}).status_code == 413


@pytest.mark.parametrize(
    "where", ["//evil.example", "https://evil.example", "/\\evil.example", "", "/a\r\nb"]
)
def test_login_leads_nowhere_else(where):
    """After the form a browser stays on this site, wherever it was asked to go."""
    with client(token=TOKEN, base="http://accountd.example") as browser:
        reply = browser.post("/login", data={"token": TOKEN, "next": where}, follow_redirects=False)
    assert reply.headers["location"] == "/"


def test_cookie_is_secure_behind_tls():
    """A proxy that says https makes the cookie one that is never sent without it."""
    with client(token=TOKEN, base="http://accountd.example") as browser:
        reply = browser.post(
            "/login", data={"token": TOKEN}, headers={"x-forwarded-proto": "https"}, follow_redirects=False
        )
    assert "Secure" in reply.headers["set-cookie"]


def test_cookie_is_sealed_and_ends():
    """A cookie is good for the token it was made with, unchanged, until its time."""
    value = guard.cookie_value(TOKEN, 1000)
    assert guard.cookie_good(TOKEN, value, 999)
    assert not guard.cookie_good(TOKEN, value, 1000)
    assert not guard.cookie_good("another", value, 999)
    assert not guard.cookie_good(TOKEN, value.replace("1000", "9000"), 999)
    for broken in ("", "1000", "1000.", "x.y", "1000.é", "٣.a"):
        assert not guard.cookie_good(TOKEN, broken, 999)


def test_strange_host_is_refused_without_a_token():
    """On loopback a request that names another host is refused: it comes from a stranger's page."""
    with client(base="http://evil.example") as browser:
        assert browser.get("/readyz").status_code == 400
    with client(base="http://localhost:8787") as browser:
        assert browser.get("/readyz").status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:1", "[::1]:8787", "LOCALHOST:8787"])
def test_local_names_are_served(host):
    """Every name of this machine is served, with any port."""
    with client() as browser:
        assert browser.get("/readyz", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["", "localhost.evil.example", "evil.example:8787", "127.0.0.1.evil", "a@localhost"]
)
def test_other_names_are_not(host):
    """A name that only looks like this machine is refused."""
    with client() as browser:
        assert browser.get("/readyz", headers={"host": host}).status_code == 400


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/readyz", "/", "/api/v1/fills", "/orders"])
def test_nothing_can_be_changed(method, path):
    """The web is read-only."""
    with client() as browser:
        assert browser.request(method, path).status_code == 405
