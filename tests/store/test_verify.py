"""A journal shows what was done to it: each kind of tampering is found, and the first bad row is named."""

import shutil

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accountd.core.checkpoint import parse
from accountd.store.engine import reader_engine, reading, writer_engine
from accountd.store.journal_write import mend_head, prune_all
from accountd.store.verify import Journals
from tests.journals import KEY, PUBLIC, T0, rewritten, signed, tamper, verdict, write, write_old

ROWS = 40


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def original(request, tmp_path_factory):
    """A journal of 40 rows with checkpoints after 15 and 30, once of each kind."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('original') / 'accountd.db'}"
    else:
        url = request.getfixturevalue("postgres").new_database()
    write(url, ROWS, ("main", "other"))
    signed(url, size=15)
    signed(url, size=30)
    return url


@pytest.fixture
def journal_url(request, original, tmp_path):
    """A copy of that journal, to be tampered with."""
    if original.startswith("sqlite"):
        copy = shutil.copy(original.removeprefix("sqlite:///"), tmp_path / "accountd.db")
        yield f"sqlite:///{copy}"
        return
    postgres = request.getfixturevalue("postgres")
    url = postgres.new_database(copy_of=original)
    yield url
    postgres.drop_database(url)


def test_an_untouched_journal_verifies(journal_url):
    """Nothing is found where nothing was done, from the first row and from the tail, signed or not."""
    found = verdict(journal_url)
    assert (found.ok, found.rows, found.followed, found.checkpoints) == (True, ROWS, ROWS, 2)
    assert verdict(journal_url, tail=True).ok
    assert verdict(journal_url, publics=()).ok
    assert verdict(journal_url, "other").warnings


BYTES = "UPDATE journal SET {0} = :value WHERE account_id = 'main' AND seq = 23"
MOMENT = "2026-11-01 12:00:23.123457+00:00"
CHANGED = {
    "raw": b'{"n":24}', "salt": b"s" * 32, "digest": b"d" * 32, "head": b"h" * 32, "kind": "ACCOUNT_UPDATF",
    "source": "local", "session_id": "s2", "loaded_seq": 1, "received_at": MOMENT, "event_time": MOMENT,
    "live_since": MOMENT,
}  # fmt: skip


def test_a_change_of_any_column_is_found(journal_url):
    """A bit flipped in the bytes or in any column, a time moved by a microsecond: that row is named."""
    with reading(engine := reader_engine(journal_url)) as conn:
        columns = ", ".join(CHANGED)
        sql = f"SELECT {columns} FROM journal WHERE account_id = 'main' AND seq = 23"
        before = dict(zip(CHANGED, conn.exec_driver_sql(sql).one(), strict=True))
    engine.dispose()
    for column, value in CHANGED.items():
        tamper(journal_url, (BYTES.format(column), {"value": value}))
        assert verdict(journal_url).broken.seq == 23, column
        tamper(journal_url, (BYTES.format(column), {"value": before[column]}))
    assert verdict(journal_url).ok


def test_a_time_that_is_no_time_is_found(sqlite_url):
    """Text that is no time does not stop the look, it names the row."""
    write(sqlite_url, ROWS)
    tamper(sqlite_url, "UPDATE journal SET received_at = 'yesterday' WHERE seq = 9")
    assert verdict(sqlite_url).broken.seq == 9


DELETED = "DELETE FROM journal WHERE account_id = 'main' AND seq = 23"
MOVED = "UPDATE journal SET seq = {1} WHERE account_id = 'main' AND seq = {0}"
CLOSED_UP = [MOVED.format(n, n - 1) for n in range(24, 41)]
PUSHED = [MOVED.format(n, n + 1) for n in range(40, 23, -1)]
SWAPPED = [MOVED.format(a, b) for a, b in ((23, 99), (24, 23), (99, 24))]
INSERTED = (
    "INSERT INTO journal (account_id, seq, source, kind, received_at, raw, salt, digest, head) "
    "SELECT account_id, {0}, source, kind, received_at, raw, salt, digest, head FROM journal "
    "WHERE account_id = 'main' AND seq = 23"
)
GONE = "DELETE FROM journal WHERE account_id = 'main' AND seq > 27"
BEHIND = (
    "UPDATE heads SET seq = 27, head = (SELECT head FROM journal WHERE account_id = 'main' AND seq = 27) "
    "WHERE account_id = 'main'"
)
LATE = "DELETE FROM checkpoints WHERE account_id = 'main' AND size > 27"


MOVES = {
    "delete": ([DELETED], 23),
    "delete and close up": ([DELETED, *CLOSED_UP], 23),
    "swap": (SWAPPED, 23),
    "insert": ([*PUSHED, INSERTED.format(24)], 24),
    "append": ([INSERTED.format(41)], 41),
    "renumber": (["UPDATE journal SET seq = 50 WHERE account_id = 'main' AND seq = 40"], 40),
    "truncate": ([GONE], 28),
    "truncate with its head": ([GONE, BEHIND], 28),
    "head back": (["UPDATE heads SET seq = 39 WHERE account_id = 'main'"], 39),
    "head on": (["UPDATE heads SET seq = 41 WHERE account_id = 'main'"], 41),
    "no head": (["DELETE FROM heads WHERE account_id = 'main'"], 41),
    "nothing left": (
        ["DELETE FROM journal WHERE account_id = 'main'", "DELETE FROM heads WHERE account_id = 'main'"], 1,
    ),
}  # fmt: skip
ON_POSTGRES = ("delete and close up", "swap", "insert", "truncate with its head")


@pytest.mark.parametrize(
    ("original", "move"),
    [*(("sqlite", move) for move in MOVES), *(("postgres", move) for move in ON_POSTGRES)],
    indirect=["original"],
)
def test_moved_rows_are_found(journal_url, move):
    """Rows deleted, inserted, swapped, renumbered or cut off name the first that is wrong."""
    statements, seq = MOVES[move]
    tamper(journal_url, *statements)
    assert verdict(journal_url).broken.seq == seq
    assert verdict(journal_url, "other").ok


def test_a_truncation_with_its_checkpoints_is_found_by_the_record_and_by_an_anchor(journal_url):
    """Without checkpoints it shows in rows that came from the lost ones, and in a note kept elsewhere."""
    anchor = signed(journal_url)
    both = ("journal", "checkpoints")
    tamper(journal_url, GONE, BEHIND, LATE, tables=both)
    assert verdict(journal_url).broken.seq == 28
    derived = ("balance_history",)
    tamper(journal_url, "DELETE FROM balance_history WHERE journal_seq > 27", tables=derived)
    assert verdict(journal_url).ok  # the limit of what a database can prove about itself
    found = verdict(journal_url, anchors={"main": [anchor]})
    assert (found.broken.seq, found.ok) == (28, False)
    assert not verdict(journal_url, tail=True, anchors={"main": [anchor]}).ok


@pytest.mark.parametrize("tail", [False, True])
def test_a_rewritten_chain_is_found_by_its_checkpoints(journal_url, tail):
    """A chain that fits again does not fit what was signed; the rows between two checkpoints are named."""
    tamper(journal_url, *rewritten(journal_url, 23), tables=("journal", "heads"))
    assert verdict(journal_url, "other").ok
    broken = verdict(journal_url, tail=tail).broken
    assert broken is not None
    if not tail:
        assert (broken.seq, broken.until) == (16, 30)


def test_a_rewritten_chain_with_checkpoints_of_another_key_is_found(journal_url):
    """Who rewrites chain and checkpoints needs the key; who has neither key nor anchor believes them."""
    anchor = signed(journal_url, size=30)
    tamper(journal_url, *rewritten(journal_url, 23))
    tamper(journal_url, "DELETE FROM checkpoints", tables=("checkpoints",))
    other = Ed25519PrivateKey.from_private_bytes(b"x" * 32)
    signed(journal_url, size=30, key=other)
    assert verdict(journal_url, publics=()).ok
    assert "not signed" in verdict(journal_url).broken.reason
    assert not verdict(journal_url, publics=(), anchors={"main": [anchor]}).ok
    assert not verdict(journal_url, tail=True).ok


def test_a_changed_checkpoint_is_found(journal_url):
    """A checkpoint whose columns or note were changed is none; the tail does not need its frontier."""
    changes = {"note": "'no note'", "root": "head", "head": "root", "frontier": "root"}
    for column, value in changes.items():
        sql = f"UPDATE checkpoints SET {column} = {value} WHERE size = 15"
        tamper(journal_url, "DELETE FROM checkpoints", tables=("checkpoints",))
        signed(journal_url, size=15)
        assert verdict(journal_url).ok
        tamper(journal_url, sql, tables=("checkpoints",))
        assert not verdict(journal_url).ok, column
        assert verdict(journal_url, tail=True).ok is (column == "frontier"), column
    tamper(journal_url, "UPDATE checkpoints SET size = 14", tables=("checkpoints",))
    assert not verdict(journal_url).ok


def test_pruned_rows_still_verify_and_still_show_tampering(journal_url):
    """Without its bytes a row keeps its place in the chain; an hour in the past nothing is old enough."""
    assert dict(prune_all(journal_url, ["main"], T0)) == {"main": 0}
    assert dict(prune_all(journal_url, ["main"], T0.replace(hour=13))) == {"main": ROWS}
    assert dict(prune_all(journal_url, ["main"], T0.replace(hour=13))) == {"main": 0}
    found = verdict(journal_url)
    assert (found.ok, found.pruned) == (True, ROWS)
    tamper(journal_url, (BYTES.format("digest"), {"value": b"d" * 32}))
    assert verdict(journal_url).broken.seq == 23


def test_only_the_bytes_can_be_pruned(journal_url):
    """The trigger lets nothing go but the raw bytes, also not the columns that were added later."""
    engine = writer_engine(journal_url)
    for change in ("loaded_seq = 7", "live_since = NULL", "head = salt", "event_time = NULL"):
        with pytest.raises(Exception, match="append-only"), engine.begin() as conn:
            conn.exec_driver_sql(f"UPDATE journal SET raw = NULL, {change} WHERE seq = 9")
    with pytest.raises(Exception, match="append-only"), engine.begin() as conn:
        conn.exec_driver_sql("DELETE FROM checkpoints")
    engine.dispose()


def test_missing_triggers_are_said(journal_url):
    """A database without its append-only triggers verifies, with a warning that names them."""
    engine = reader_engine(journal_url)
    assert Journals(engine).warnings() == []
    writer = writer_engine(journal_url)
    with writer.begin() as conn:
        on = "" if conn.dialect.name == "sqlite" else " ON journal"
        conn.exec_driver_sql(f"DROP TRIGGER journal_no_delete{on}")
    writer.dispose()
    assert Journals(engine).warnings() == ["trigger journal_no_delete is missing"]
    engine.dispose()


def test_a_head_row_is_put_right_unless_rows_are_missing(journal_url):
    """A head row that fell back would keep everything new out; one that is ahead tells of a truncation."""
    tamper(journal_url, "UPDATE heads SET seq = 39 WHERE account_id = 'main'")
    engine = writer_engine(journal_url)
    with reading(engine) as conn:
        assert mend_head(conn, "main")
        assert not mend_head(conn, "main")
    assert verdict(journal_url).ok
    tamper(journal_url, "UPDATE heads SET seq = 50 WHERE account_id = 'main'")
    with reading(engine) as conn:
        assert not mend_head(conn, "main")
    engine.dispose()


def test_a_note_says_what_was_signed(journal_url):
    """A checkpoint can be read again from its note alone."""
    made, note = signed(journal_url, size=7)
    assert parse(note) == made
    assert KEY.public_key().public_bytes_raw() == PUBLIC


def test_a_journal_of_the_first_schema_still_verifies(database_url):
    """Rows whose salts commit to nothing go on being verified, together with those that come after them."""
    write_old(database_url, 12)
    write(database_url, 10)
    found = verdict(database_url)
    assert (found.ok, found.rows) == (True, 22)
    tamper(database_url, "UPDATE journal SET loaded_seq = 3 WHERE seq = 5")
    assert verdict(database_url).broken.seq == 5
