"""Journals to be tampered with: written through the fold, signed, and changed behind the writer's back."""

from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text

from accountd.core import journal
from accountd.core.beliefs import Beliefs
from accountd.core.chain import Chain
from accountd.core.checkpoint import Checkpoint, Frontier, public_bytes, sign
from accountd.core.fold import Fold
from accountd.core.told import Telling
from accountd.store import journal_read, journal_write
from accountd.store.engine import reader_engine, reading, writer_engine
from accountd.store.migrate import upgrade
from accountd.store.types import time_text
from accountd.store.verify import Journals
from accountd.store.writer import Writer
from accountd.venues import open_venue

T0 = datetime(2026, 11, 1, 12, 0, 0, 123456, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = public_bytes(KEY)
VENUE = open_venue("binance-usdm")


def telling(account, n):
    """Tell a balance, every third time by REST."""
    at = T0 + timedelta(seconds=n)
    ms = round(at.timestamp() * 1000)
    if n % 3:
        kind, source = "ACCOUNT_UPDATE", "stream"
        assets = f'[{{"a":"USDT","wb":"{n}","cw":"{n}","bc":"0"}}]'
        raw = f'{{"e":"{kind}","E":{ms},"T":{ms},"a":{{"m":"ORDER","B":{assets},"P":[]}}}}'.encode()
        told = VENUE.decode_kept(kind, raw, at)
    else:
        kind, source = "account.totals", "rest"
        raw = f'{{"assets":[{{"asset":"USDT","walletBalance":"{n}","updateTime":{ms}}}]}}'.encode()
        told = VENUE.decode_page(kind, raw, at)
    assert told
    return Telling(
        account_id=account, source=source, kind=kind, raw=raw, received_at=at, told=told, event_time=at,
        session_id="s1" if n % 2 else None, live_since=T0 if n % 3 == 0 else None,
    )  # fmt: skip


def write(url, count, accounts=("main",)):
    """Make a record whose accounts have ``count`` journal rows each."""
    upgrade(url)
    writer = Writer(writer_engine(url), lambda: T0)
    try:
        for account in accounts:
            writer.open_account(account, account, "binance-usdm", "live", T0)
            head = writer.take_head(account)
            beliefs = Beliefs(account, head.seq, head.head)
            for first in range(1, count + 1, 7):
                group = [telling(account, n) for n in range(first, min(first + 7, count + 1))]
                writer.write([Fold(beliefs, T0).run(group)])
    finally:
        writer.close()


def write_old(url, count, account="main"):
    """Make a record as the first landed schema had it: 16 random bytes of salt, no later column."""
    upgrade(url, "0003")
    engine = writer_engine(url)
    head = journal.GENESIS
    columns = "account_id, seq, source, kind, event_time, received_at, raw, salt, digest, head"
    marks = ", ".join(f":{name.strip()}" for name in columns.split(","))
    try:
        with engine.begin() as conn:
            sql = text(f"INSERT INTO journal ({columns}) VALUES ({marks})")
            for n in range(1, count + 1):
                one, salt = telling(account, n), bytes([n]) * journal.SALT_BYTES
                digest = journal.digest(salt, one.raw)
                leaf = journal.leaf(n, one.received_at, account.encode(), one.kind, one.source, digest)
                head = journal.advance(head, leaf)
                at = one.received_at
                moment = at if conn.dialect.name == "postgresql" else time_text(at)
                conn.execute(sql, {
                    "account_id": account, "seq": n, "source": one.source, "kind": one.kind, "raw": one.raw,
                    "event_time": moment, "received_at": moment, "salt": salt, "digest": digest, "head": head,
                })  # fmt: skip
            born = T0 if conn.dialect.name == "postgresql" else time_text(T0)
            conn.execute(
                text("INSERT INTO accounts VALUES (:a, :a, 'binance-usdm', 'live', :born)"),
                {"a": account, "born": born},
            )
            conn.execute(
                text("INSERT INTO heads (account_id, seq, epoch, head) VALUES (:a, :n, 1, :h)"),
                {"a": account, "n": count, "h": head},
            )
    finally:
        engine.dispose()


def signed(url, account="main", size=None, key=KEY):
    """Sign the journal's first ``size`` rows, keep the checkpoint and return its note."""
    engine = writer_engine(url)
    try:
        with reading(engine) as conn:
            size = size or journal_read.head_row(conn, account).seq
            chain = Chain(account, frontier=Frontier())
            for row in journal_read.chain_rows(conn, account, 0, size):
                assert chain.take(row) is None
            made = Checkpoint(
                account=account, size=size, root=chain.frontier.root(), head=chain.head,
                at=(T0 + timedelta(seconds=size)).replace(microsecond=0),
            )  # fmt: skip
            note = sign(made, key)
            journal_write.add_checkpoint(conn, made, note, chain.frontier.packed(), T0)
    finally:
        engine.dispose()
    return made, note


def tamper(url, *statements, tables=("journal",)):
    """Run statements as somebody who owns the database: triggers out of the way, and back afterwards."""
    engine = writer_engine(url)
    try:
        with engine.begin() as conn:
            if conn.dialect.name == "sqlite":
                sql = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN ({})"
                names = ", ".join(f"'{name}'" for name in tables)
                triggers = conn.execute(text(sql.format(names))).all()
                for name, _ in triggers:
                    conn.execute(text(f"DROP TRIGGER {name}"))
                _run(conn, statements)
                for _, made in triggers:
                    conn.exec_driver_sql(made)
            else:
                for name in tables:
                    conn.execute(text(f"ALTER TABLE {name} DISABLE TRIGGER USER"))
                _run(conn, statements)
                for name in tables:
                    conn.execute(text(f"ALTER TABLE {name} ENABLE TRIGGER USER"))
    finally:
        engine.dispose()


def _run(conn, statements):
    for one in statements:
        sql, told = one if isinstance(one, tuple) else (one, {})
        conn.execute(text(sql), told)


def rewritten(url, first, account="main", raw=b'{"n":666}'):
    """Return the statements that change a row and make the whole chain behind it fit again."""
    engine = reader_engine(url)
    statements = []
    try:
        with reading(engine) as conn:
            head = journal_read.head_at(conn, account, first - 1) or journal.GENESIS
            end = journal_read.head_row(conn, account).seq
            for row in journal_read.chain_rows(conn, account, first - 1, end):
                told = raw if row.seq == first else row.raw
                digest = journal.digest(row.salt, told)
                leaf = journal.leaf(row.seq, row.received_at, account.encode(), row.kind, row.source, digest)
                head = journal.advance(head, leaf)
                statements.append((
                    "UPDATE journal SET raw = :raw, digest = :digest, head = :head "
                    "WHERE account_id = :account AND seq = :seq",
                    {"raw": told, "digest": digest, "head": head, "account": account, "seq": row.seq},
                ))  # fmt: skip
    finally:
        engine.dispose()
    last = {"head": head, "account": account}
    return [*statements, ("UPDATE heads SET head = :head WHERE account_id = :account", last)]


def verdict(url, account="main", *, tail=False, publics=(PUBLIC,), anchors=None):
    """Verify one account's journal."""
    engine = reader_engine(url)
    try:
        journals = Journals(engine, publics, anchors)
        return journals.tail(account, 10) if tail else journals.full(account)
    finally:
        engine.dispose()
