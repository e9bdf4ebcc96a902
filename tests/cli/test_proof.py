"""The commands that judge a record: audit, verify, replay, and the journal's part of db."""

import json
import re
import shutil
import sqlite3
from datetime import timedelta
from html.parser import HTMLParser

import pytest

from accountd.cli import audit as command
from accountd.store.engine import writer_engine
from accountd.store.migrate import upgrade
from accountd.store.proven import Proven
from accountd.store.writer import Writer
from tests.cli.conftest import BORN
from tests.journals import KEY, signed, tamper, write

HOUR = timedelta(hours=1)
BAD = "<script>alert('x')</script>\"&"


def prove(url, account="main", skip=(), until=BORN + HOUR):
    """Write that every dataset is proven."""
    writer = Writer(writer_engine(url), lambda: BORN)
    try:
        with writer.begin() as tx:
            for dataset, market in command.expected()["binance-usdm"]:
                if dataset not in skip:
                    tx.prove(account, [Proven(dataset, market, "", BORN, until)], until)
    finally:
        writer.close()


def bookkeeping(url, *operations):
    """Run operations of the writer."""
    writer = Writer(writer_engine(url), lambda: BORN)
    try:
        with writer.begin() as tx:
            for operation in operations:
                operation(tx)
    finally:
        writer.close()


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A record of one account with 30 journal rows."""
    file = tmp_path_factory.mktemp("original") / "accountd.db"
    write(f"sqlite:///{file}", 30)
    return file


@pytest.fixture
def here(shell, sqlite_url, original, monkeypatch):
    """A shell beside a copy of that record."""
    shutil.copy(original, sqlite_url.removeprefix("sqlite:///"))
    return beside(shell, sqlite_url, monkeypatch)


@pytest.fixture(params=["sqlite", "postgres"])
def both(request, shell, monkeypatch):
    """The same, once of each kind of database."""
    if request.param == "sqlite":
        return request.getfixturevalue("here")
    url = request.getfixturevalue("pg_url")
    write(url, 30)
    return beside(shell, url, monkeypatch)


def beside(shell, url, monkeypatch):
    """Put a shell beside a record."""
    monkeypatch.setenv("ACCOUNTD_DATABASE_URL", url)
    shell.url = url
    return shell


def audited(shell, *words):
    """Run audit for programs; return its exit code and what it said."""
    done = shell("audit", "--json", *words)
    return done.exit_code, json.loads(done.stdout)


def test_an_account_that_was_never_synced_is_not_complete(here):
    """Without any proof each dataset has a hole; exit 1, in every form."""
    code, told = audited(here)
    assert (code, told["complete"]) == (1, False)
    (account,) = told["accounts"]
    assert {gap["reason"] for gap in account["gaps"]} == {"never proven"}
    assert {one["dataset"] for one in account["datasets"]} == {
        "orders", "algo_orders", "fills", "transfers", "balances", "positions",
    }  # fmt: skip
    assert here("audit").exit_code == 1


def test_a_proven_record_is_complete_until_a_gap_or_an_error_opens(both):
    """Exit 0 only when complete and tied; a warning changes nothing, closing and resolving heals."""
    prove(both.url)
    code, told = audited(both)
    assert (code, told["complete"], told["accounts"][0]["gaps"]) == (0, True, [])
    assert told["accounts"][0]["account"] == "main"
    assert "is complete" in both("audit").stdout
    bookkeeping(both.url, lambda tx: tx.open_finding("main", "k", "warning", "s", {"a": "1"}, BORN))
    code, told = audited(both)
    assert (code, told["accounts"][0]["findings"][0]["detail"]) == (0, {"a": "1"})
    bookkeeping(both.url, lambda tx: tx.open_finding("main", "k", "error", "s2", {}, BORN))
    code, told = audited(both)
    assert (code, told["complete"], told["accounts"][0]["tied"]) == (1, True, False)
    bookkeeping(both.url, lambda tx: tx.resolve_findings("main", "k", None, BORN))
    assert audited(both)[0] == 0
    bookkeeping(both.url, lambda tx: tx.open_gap("main", "fills", "usdm", "", BORN, "cut", BORN))
    code, told = audited(both)
    assert (code, told["complete"]) == (1, False)
    assert [gap["reason"] for gap in told["accounts"][0]["gaps"]] == ["cut"]
    assert "cut" in both("audit").stdout


def test_a_window_is_judged_by_itself(here):
    """--from and --to judge what lies between, all of which must be proven."""
    prove(here.url)
    assert audited(here, "--from", "2026-11-01T12:10:00Z", "--to", "2026-11-01T12:20:00Z")[0] == 0
    assert audited(here, "--from", "2026-10-31")[0] == 1
    assert here("audit", "--from", "now", "--to", "2h").exit_code == 2


def test_what_cannot_be_judged(here, tmp_path, monkeypatch):
    """An unknown account is a usage error; a record without accounts, or none at all, is not complete."""
    done = here("audit", "--account", "nobody")
    assert done.exit_code == 2
    assert "main" in done.stderr
    upgrade(f"sqlite:///{tmp_path / 'empty.db'}")
    monkeypatch.setenv("ACCOUNTD_DATABASE_URL", f"sqlite:///{tmp_path / 'empty.db'}")
    assert audited(here) == (1, {"complete": False, "accounts": []})
    assert here("audit", "--html", "x.html").exit_code == 1
    assert here("verify").exit_code == 0
    monkeypatch.setenv("ACCOUNTD_DATABASE_URL", f"sqlite:///{tmp_path / 'none.db'}")
    assert here("audit").exit_code == 1
    assert not (tmp_path / "none.db").exists()


class Page(HTMLParser):
    """Collects the tags and addresses of a page."""

    def __init__(self):
        super().__init__()
        self.tags, self.addresses = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "data", "action")]


def test_the_report_is_one_page_without_anything_from_outside(here, tmp_path):
    """It draws the time, holds no script and no address, and shows hostile text as text."""
    prove(here.url)
    bookkeeping(
        here.url,
        lambda tx: tx.open_finding("main", BAD, "error", BAD, {"why": BAD}, BORN),
        lambda tx: tx.open_gap("main", "fills", "usdm", BAD, BORN, BAD, BORN, BORN + HOUR / 2),
        lambda tx: tx.open_gap("main", "orders", "usdm", "", BORN, "closed one", BORN, BORN + HOUR / 2),
        lambda tx: tx.close_gaps("main", "orders", "usdm", "", BORN + HOUR, BORN),
    )
    signed(here.url)
    assert here("audit", "--html", str(tmp_path / "report.html")).exit_code == 1
    text = (tmp_path / "report.html").read_text()
    page = Page()
    page.feed(text)
    assert {"svg", "rect", "circle", "table", "title"} <= set(page.tags)
    assert not {"script", "img", "link", "iframe", "object"} & set(page.tags)
    assert page.addresses == []
    assert not re.search(r"url\(|@import", text)
    assert "&lt;script&gt;alert" in text
    assert "accountd.journal/main" in text
    assert "closed one" in text
    assert here("audit", "--html", str(tmp_path / "no" / "where.html")).exit_code == 2


def test_the_reports_template_is_whole():
    """Every place of the template is filled, also for a record without any account."""
    text = command.report.page([], {}, BORN, None, None)
    assert "$" not in text
    assert "no account yet" in text


def test_verify_names_the_first_bad_row(both, tmp_path):
    """Exit 0 for an untouched journal, 1 with account and seq for another; --tail looks only at the end."""
    done = both("verify")
    assert (done.exit_code, "30 of 30 rows" in done.stdout) == (0, True)
    made, note = signed(both.url)
    (tmp_path / "anchors").write_text(note)
    key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    told = json.loads(both("verify", "--json", "--anchors", str(tmp_path / "anchors")).stdout)
    assert (told["ok"], told["accounts"][0]["anchors"], told["accounts"][0]["proven"]) == (True, 1, made.size)
    assert both("verify", "--key", key).exit_code == 1
    assert both("verify", "--key", "nonsense").exit_code == 2
    assert both("verify", "--anchors", str(tmp_path / "missing")).exit_code == 2
    assert both("verify", "--account", "nobody").exit_code == 2
    tamper(both.url, "UPDATE journal SET kind = 'x' WHERE seq = 12")
    done = both("verify", "--account", "MAIN")
    assert done.exit_code == 1
    assert "account main, seq 12" in done.stdout
    assert json.loads(both("verify", "--json").stdout)["accounts"][0]["seq"] == 12
    assert KEY.public_key()


def test_replay_fills_only_an_empty_database(both, tmp_path):
    """It rebuilds, compares, and refuses a database with anything in it, itself, and what is no database."""
    copy = f"sqlite:///{tmp_path / 'copy.db'}"
    done = both("replay", "--into", copy, "--compare")
    assert (done.exit_code, "every row is the same" in done.stdout) == (0, True)
    tamper(both.url, "UPDATE balances SET reason = 'SOMETHING ELSE'", tables=("balances",))
    done = both("replay", "--into", f"sqlite:///{tmp_path / 'other.db'}", "--compare")
    assert (done.exit_code, "1 in balances" in done.stdout) == (1, True)
    for bad in (copy, both.url, "mysql://x", "nowhere"):
        assert both("replay", "--into", bad).exit_code == 2
    assert both("replay", "--into", copy, "--account", "nobody").exit_code == 2


def test_replay_says_from_where_it_cannot(here, tmp_path):
    """Pruned rows, and a journal that is not what was recorded, are named; nothing is written."""
    copy = tmp_path / "copy.db"
    tamper(here.url, "UPDATE journal SET kind = 'x' WHERE seq = 12")
    done = here("replay", "--into", f"sqlite:///{tmp_path / 'broken.db'}")
    assert (done.exit_code, "row 12" in done.stderr) == (1, True)
    done = here("db", "prune", "--older-than", "1s")
    assert (done.exit_code, done.stdout.strip()) == (0, "main: 30 rows pruned")
    done = here("replay", "--into", f"sqlite:///{copy}")
    assert (done.exit_code, "from row 1 on" in done.stderr) == (1, True)
    assert not copy.exists()
    assert here("db", "prune", "--older-than", "soon").exit_code == 2


def test_the_key_is_made_and_shown(shell, tmp_path, monkeypatch):
    """keygen makes a key once; key prints its public half, alone and for each account."""
    monkeypatch.setenv("ACCOUNTD_DATABASE_URL", f"sqlite:///{tmp_path / 'a.db'}")
    assert shell("db", "key").exit_code == 2
    made = shell("db", "keygen")
    assert (made.exit_code, (tmp_path / "a.db.key").is_file()) == (0, True)
    assert shell("db", "keygen").exit_code == 2
    assert shell("db", "key").stdout.strip() in made.stdout
    monkeypatch.setenv("ACCOUNTD_JOURNAL__KEY_FILE", str(tmp_path / "other.pem"))
    assert shell("db", "keygen").exit_code == 0
    assert (tmp_path / "other.pem").is_file()
    assert sqlite3.sqlite_version
