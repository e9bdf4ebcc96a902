"""What somebody changed in the tables that are made from the journal, while the journal is as it was."""

import json

import pytest

from accountd.store import tables
from accountd.store.engine import reader_engine, reading
from accountd.store.rebuild import DERIVED
from tests.journals import tamper
from tests.world import World

MONEY = {
    "orders": "filled_quantity", "order_events": "filled_quantity", "fills": "price", "balances": "total",
    "balance_history": "total", "positions": "quantity", "position_history": "quantity",
    "transfers": "amount",
}  # fmt: skip
WRONG = "123456789.5"


def keys_of(url, table):
    """Return the keys of a table's rows, each as the comparison names it, in the order of the bytes."""
    t = tables.metadata.tables[table]
    names = [column.name for column in t.primary_key if column.name != "account_id"]
    engine = reader_engine(url)
    try:
        with reading(engine) as conn:
            found = conn.execute(t.select()).mappings().all()
    finally:
        engine.dispose()
    return names, sorted(tuple(row[name] for name in names) for row in found)


def row(names, key):
    """Return the condition that names a row, and its values."""
    return " AND ".join(f"{name} = :{name}" for name in names), dict(zip(names, key, strict=True))


@pytest.fixture
async def record(database_url, shell, monkeypatch):
    """A record that a daemon made, at rest, and a shell beside it."""
    async with World(database_url) as world:
        await world.trade(80)
        await world.agreed(30)
    monkeypatch.setenv("ACCOUNTD_DATABASE_URL", database_url)
    shell.url = database_url
    return shell


async def test_replay_names_every_row_that_was_changed_or_deleted(record, tmp_path):
    """`verify` says what it did not compare; `replay --compare` names table, row and column."""
    said = record("replay", "--into", f"sqlite:///{tmp_path / 'before.db'}", "--compare")
    assert (said.exit_code, "every row is the same" in said.stdout) == (0, True)
    judged = record("audit", "--json")
    changes, expected = [], []
    for table, column in MONEY.items():
        names, keys = keys_of(record.url, table)
        where, values = row(names, keys[0])
        changes.append((f"UPDATE {table} SET {column} = {WRONG!r} WHERE {where}", values))
        expected.append(f"{table} {keys[0]}: {column} {WRONG} / ")
        if len(keys) > 1:
            where, values = row(names, keys[-1])
            changes.append((f"DELETE FROM {table} WHERE {where}", values))
            expected.append(f"{table} {keys[-1]}: only in the replay")
    tamper(record.url, *changes, tables=tuple(MONEY))
    said = record("replay", "--into", f"sqlite:///{tmp_path / 'after.db'}", "--compare")
    assert said.exit_code == 1
    lines = [line.strip() for line in said.stdout.splitlines() if line.startswith("  ")]
    assert len(lines) == len(expected) >= len(MONEY) + 5
    for line, start in zip(lines, sorted(expected, key=lambda one: in_order(one, expected)), strict=True):
        assert line.startswith(start)
    done = record("verify")
    assert done.exit_code == 0
    assert "`accountd replay --into URL --compare`" in done.stdout.splitlines()[-1]
    assert json.loads(record("verify", "--json").stdout)["not_compared"] == list(DERIVED)
    after = record("audit", "--json")  # it judges what the daemon found, not the rows
    assert (after.exit_code, after.stdout) == (judged.exit_code, judged.stdout)


def in_order(line, lines):
    """Return where the comparison comes to a row: table by table."""
    return DERIVED.index(line.split(" ", 1)[0]), lines.index(line)


async def test_replay_names_a_row_that_was_made_up(record, tmp_path):
    """A fill that no journal row tells of is in the record only."""
    t = tables.fills
    columns = ", ".join(column.name for column in t.columns)
    with_id = ", ".join("'made-up'" if column.name == "trade_id" else column.name for column in t.columns)
    _, keys = keys_of(record.url, "fills")
    tamper(
        record.url, (f"INSERT INTO fills ({columns}) SELECT {with_id} FROM fills WHERE trade_id = :id AND "
                     "symbol = :symbol", {"id": keys[0][2], "symbol": keys[0][1]}), tables=("fills",),
    )  # fmt: skip
    said = record("replay", "--into", f"sqlite:///{tmp_path / 'copy.db'}", "--compare")
    assert said.exit_code == 1
    assert f"fills {(*keys[0][:2], 'made-up')}: only in the record" in said.stdout
    assert "1 in fills" in said.stdout
    assert record("verify").exit_code == 0
