"""The SQL that people copy from the documentation runs on both databases."""

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from accountd.store.engine import reader_engine, reading, writer_engine
from accountd.store.migrate import upgrade
from accountd.store.select import run_select
from accountd.store.writer import Writer
from tests.store import samples

PAGE = (Path(__file__).parents[1] / "docs" / "how-to" / "sql.md").read_text(encoding="utf-8")
AT = datetime(2026, 10, 30, 8, tzinfo=UTC)


def recipes(dialect):
    """Return the recipes of a database by their headings."""
    found = {}
    for title, body in re.findall(r"^### (.*?)\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL):
        for only, sql in re.findall(r"```sql( \w+)?\n(.*?)```", body, re.DOTALL):
            if only.strip() in ("", dialect):
                found[title] = sql
    return found


@pytest.fixture
def record(database_url):
    """A record in which most recipes find something."""
    upgrade(database_url)
    writer = Writer(writer_engine(database_url), lambda: AT)
    writer.open_account("main", "main", "binance-usdm", "live", AT)
    writer.take_head("main")
    order = samples.order(10000100, client_order_id="bot-64", updated_at=AT, created_at=AT, missing_since=AT)
    ended = samples.order(3, status="EXPIRED", updated_at=AT)
    still = samples.order(4)
    fill = samples.fill(1, order_id="10000100", traded_at=AT, received_at=AT + timedelta(seconds=1))
    balance = samples.balance(as_of=AT + timedelta(hours=15, minutes=30))
    writer.write([samples.changes(
        orders=[order, ended, still], order_events=[samples.event(order)], fills=[fill],
        balances=[samples.balance(as_of=AT), samples.balance("99", n=2, as_of=balance.as_of)],
        positions=[samples.position(as_of=AT)],
        transfers=[samples.transfer(1, occurred_at=AT), samples.transfer(2, kind="deposit", occurred_at=AT)],
        findings=[samples.finding()],
    )])  # fmt: skip
    with writer.begin() as tx:
        tx.open_session("s1", "main", AT)
        tx.open_gap("main", "fills", "usdm", "", AT, "lost", AT)
    writer.close()
    return database_url


EMPTY = {"Which fills did the stream not tell?", "Which alerts never arrived?", "How quick are my alerts?"}


def test_every_recipe_runs_and_finds_its_rows(record):
    """At least twenty recipes run on each database through the door of `accountd query`."""
    asked = recipes("sqlite" if record.startswith("sqlite") else "postgres")
    assert len(asked) >= 20
    engine = reader_engine(record)
    nothing = set()
    for title, sql in asked.items():
        with reading(engine) as connection:
            if not list(run_select(connection, sql)[1]):
                nothing.add(title)
    engine.dispose()
    assert nothing == EMPTY


def test_the_same_recipes_are_there_for_both():
    """No recipe is for one database only."""
    assert recipes("sqlite").keys() == recipes("postgres").keys()


def test_the_python_example_runs(sqlite_url):
    """What the page shows for exact sums elsewhere works as it stands."""
    upgrade(sqlite_url)
    [code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    folder = Path(make_url(sqlite_url).database).parent
    env = {"PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, check=False)
    assert (done.stdout.strip(), done.stderr) == (b"[]", b"")


LARGE = "fills|orders|order_events|balance_history|position_history|transfers|journal|outbox|f|o|a|e|h|b"


def test_no_recipe_reads_a_large_table_whole(sqlite_url):
    """Each recipe finds its rows by an index, whatever SQLite knows of the table's size."""
    upgrade(sqlite_url)
    engine = reader_engine(sqlite_url)
    slow = {}
    with reading(engine) as connection:
        for title, sql in recipes("sqlite").items():
            plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}")]
            scans = [step for step in plan if re.match(rf"SCAN ({LARGE})( |$)", step)]
            if scans:
                slow[title] = plan
    engine.dispose()
    assert slow == {}
