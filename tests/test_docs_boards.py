"""Datasette and Grafana take what the documentation gives them, and every query in it runs."""

import json
import re
from pathlib import Path

import pytest
from datasette.app import Datasette
from sqlalchemy.engine import make_url

from accountd.runtime.metrics import Metrics
from accountd.store import reference
from accountd.store.engine import reader_engine, reading
from accountd.store.migrate import upgrade
from accountd.store.select import run_select

DOCS = Path(__file__).parents[1] / "docs"
METADATA = (DOCS / "datasette.json").read_text(encoding="utf-8")
POSTGRES = json.loads((DOCS / "grafana-postgres.json").read_text(encoding="utf-8"))
PROMETHEUS = json.loads((DOCS / "grafana-prometheus.json").read_text(encoding="utf-8"))
# What Grafana's Postgres data source puts in for its macros.
MACROS = (
    (r"\$__timeFilter\(([\w.]+)\)", r"\1 BETWEEN '2026-10-01T00:00:00Z' AND '2026-11-01T00:00:00Z'"),
    (r"\$__timeGroupAlias\((\w+), '5m'\)", r'floor(extract(epoch from \1)/300)*300 AS "time"'),
    (r"\$__timeFrom\(\)", "'2026-10-01T00:00:00Z'"), (r"\$__timeTo\(\)", "'2026-11-01T00:00:00Z'"),
    (r"\$account", "main"),
)  # fmt: skip


async def test_datasette_shows_the_record(sqlite_url):
    """Datasette loads the metadata, shows the words, and runs every saved query."""
    upgrade(sqlite_url)
    told = json.loads(METADATA)
    shown = Datasette(files=[make_url(sqlite_url).database], metadata=told)
    try:
        await shown.invoke_startup()
        page = await shown.client.get("/accountd/fills")
        assert page.status_code == 200
        assert "Each execution, once" in page.text
        for name in told["databases"]["accountd"]["queries"]:
            answer = await shown.client.get(f"/accountd/{name}.json?account=main")
            assert answer.status_code == 200, (name, answer.text)
            assert answer.json()["ok"]
    finally:
        for database in shown.databases.values():
            database.close()
        shown.executor.shutdown()


def test_metadata_is_written_from_the_words(sqlite_url):
    """The metadata is what the words and the recipes make of it."""
    upgrade(sqlite_url)
    engine = reader_engine(sqlite_url)
    with reading(engine) as connection:
        columns = reference.view_columns(connection)
    engine.dispose()
    recipes = (DOCS / "how-to" / "sql.md").read_text(encoding="utf-8")
    assert reference.datasette(columns, recipes) == METADATA, (
        "run: python -m accountd.store.reference docs/reference"
    )


def targets(board):
    """Yield the panel and query of every target."""
    for panel in board["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target


@pytest.mark.parametrize("board", [POSTGRES, PROMETHEUS], ids=["postgres", "prometheus"])
def test_a_board_imports(board):
    """A board asks for its data source, and has what Grafana's import needs, with nothing twice."""
    assert board["__inputs"][0]["type"] == "datasource"
    assert {"title", "uid", "schemaVersion", "panels", "templating", "time"} <= board.keys()
    assert "id" not in board
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(numbers) == len(set(numbers)) > 10
    cells = [
        (x, y) for panel in board["panels"] for grid in [panel["gridPos"]]
        for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])
    ]  # fmt: skip
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert {target["datasource"]["uid"] for _, target in targets(board)} == {"${DS}"}


def test_every_query_of_the_board_runs(pg_url):
    """Each panel's SQL and each variable's runs on the schema, and changes nothing."""
    upgrade(pg_url)
    asked = [(title, target["rawSql"]) for title, target in targets(POSTGRES)]
    asked += [(one["name"], one["query"]) for one in POSTGRES["templating"]["list"]]
    engine = reader_engine(pg_url)
    for title, sql in asked:
        for macro, meant in MACROS:
            sql = re.sub(macro, meant, sql)
        assert "$" not in sql, title
        with reading(engine) as connection:
            columns, rows = run_select(connection, sql)
            assert columns, title
            assert list(rows) == []
    engine.dispose()


def test_every_metric_of_the_board_exists():
    """Each metric that a panel asks for is one of the daemon's, with the labels that it has."""
    there = set()
    for family in Metrics().registry.collect():
        ends = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""])
        there |= {family.name + end for end in ends}
    asked = [target["expr"] for _, target in targets(PROMETHEUS)]
    asked += [one["definition"] for one in PROMETHEUS["templating"]["list"]]
    assert {name for expr in asked for name in re.findall(r"accountd_\w+", expr)} <= there
