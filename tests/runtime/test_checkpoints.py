"""The running daemon signs its journals, brings the checkpoints elsewhere, and looks back when it starts."""

import json
import stat
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accountd.core.checkpoint import Checkpoint, is_signed, parse, public_bytes, sign, split
from accountd.errors import SettingsError
from accountd.runtime import journal_key
from accountd.runtime.anchors import RETRY, Anchors, append, read_notes
from accountd.runtime.metrics import Metrics
from accountd.settings_journal import Journal
from accountd.store import tables
from tests.fake_clock import FakeClock
from tests.journals import KEY, PUBLIC, tamper, verdict
from tests.world import World


def anchored(hook):
    """Return the bodies of the checkpoints that came to a webhook."""
    told = [json.loads(bodies[0]) for name, bodies in hook.bodies.items() if name.startswith("chk_")]
    return [one["data"] for one in told if one["type"] == "journal.checkpoint"]


def told(hook):
    """Return the findings that rang at a webhook."""
    bodies = [json.loads(bodies[0]) for bodies in hook.bodies.values()]
    return [one["data"]["finding_id"] for one in bodies if one["type"] == "finding.opened"]


def own_key(database):
    """Return the key beside a database, which only its owner can read and the database does not hold."""
    path = database.with_name(database.name + ".key")
    key = journal_key.load(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert key.private_bytes_raw() not in database.read_bytes()
    return key


async def test_the_daemon_signs_and_anchors_its_journal(sqlite_url, tmp_path):
    """After so many rows, and at a stop for the rest; the key is its owner's only and not in the database."""
    file = tmp_path / "elsewhere" / "anchors"
    file.parent.mkdir()
    async with World(sqlite_url, JOURNAL__CHECKPOINT_ROWS="20", JOURNAL__ANCHOR_FILE=str(file)) as world:
        await world.stop()
        world.more |= {"JOURNAL__ANCHOR_URL": world.hook.url, "JOURNAL__ANCHOR_ALLOW_PRIVATE": "true"}
        await world.start()
        await world.trade(40)
        before = {row["size"] for row in world.rows(tables.checkpoints)}
        await world.until(lambda: {row["size"] for row in world.rows(tables.checkpoints)} - before)
        await world.trade(10)
        await world.stop()
        posted = anchored(world.hook)
        kept = world.rows(tables.checkpoints)
        (end,) = world.rows(tables.heads)
    key = own_key(Path(sqlite_url.removeprefix("sqlite:///")))
    assert max(row["size"] for row in kept) == end["seq"]
    assert all(is_signed(row["note"], [public_bytes(key)]) for row in kept)
    notes, torn = read_notes(file)
    assert torn == 0
    assert {note for _, note in notes["main"]} == {row["note"] for row in kept}
    assert {one["note"] for one in posted} <= {row["note"] for row in kept}
    assert max(one["size"] for one in posted) == end["seq"]
    found = verdict(sqlite_url, publics=[public_bytes(key)], anchors=notes)
    assert (found.ok, found.proven, found.anchors) == (True, end["seq"], len(kept))


async def test_a_broken_journal_is_said_at_the_start_and_signed_no_more(sqlite_url):
    """The daemon starts all the same, with a finding; what it would sign would bless what was changed."""
    async with World(sqlite_url) as world:
        await world.trade(20)
        await world.stop()
        (end,) = world.rows(tables.heads)
        tamper(sqlite_url, f"UPDATE journal SET kind = 'x' WHERE seq = {end['seq'] - 3}")
        tamper(sqlite_url, "UPDATE heads SET seq = seq - 1")
        signed = {row["size"] for row in world.rows(tables.checkpoints)}
        world.more |= {"JOURNAL__CHECKPOINT_ROWS": "1", "JOURNAL__KEEP": "100ms"}
        tamper(sqlite_url, "DELETE FROM checkpoints", tables=("checkpoints",))
        await world.start()
        broken = tables.findings.c.kind == "journal_broken"
        (finding,) = world.rows(tables.findings, broken)
        assert (finding["severity"], finding["subject"]) == ("error", f"journal:{end['seq'] - 3}")
        await world.until(lambda: finding["finding_id"] in told(world.hook))
        await world.trade(20)
        await world.agreed()
        (now,) = world.rows(tables.heads)
        assert now["seq"] > end["seq"]
        pruned = tables.journal.c.raw.is_(None)
        await world.until(lambda: world.rows(tables.journal, pruned))
    assert signed
    assert world.rows(tables.checkpoints) == []
    assert verdict(sqlite_url, publics=()).broken.seq == end["seq"] - 3


def note(size, account="main"):
    """Make a checkpoint and its note."""
    at = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(seconds=size)
    made = Checkpoint(account=account, size=size, root=bytes(32), head=b"h" * 32, at=at)
    return made, sign(made, KEY)


async def test_an_anchor_that_fails_is_tried_again(tmp_path):
    """A volume that is away gets the newest checkpoint once it is back, and is not asked all the time."""
    clock, file = FakeClock(), tmp_path / "away" / "anchors"
    metrics = Metrics()
    anchors = Anchors(Journal(anchor_file=file), clock, metrics)
    anchors.add(*note(5))
    await anchors.settle()
    anchors.add(*note(7))
    file.parent.mkdir()
    await anchors.settle()
    assert not file.exists()
    assert metrics.anchor_failures.labels("file")._value.get() == 1
    clock.advance(RETRY)
    await anchors.settle()
    await anchors.close()
    assert [one.size for one, _ in read_notes(file)[0]["main"]] == [7]


def test_notes_are_cut_out_of_a_file(tmp_path):
    """Notes stand one behind the other; what is torn is counted, and the others are still read."""
    file = tmp_path / "anchors"
    for made in (note(5), note(3, "other one"), note(9)):
        append(file, made[1])
    assert len(split(file.read_text())) == 3
    with file.open("a") as end:
        end.write(note(11)[1][:60])
    found, torn = read_notes(file)
    assert ({name: [one.size for one, _ in notes] for name, notes in found.items()}, torn) == (
        {"main": [5, 9], "other one": [3]},
        1,
    )


@pytest.mark.parametrize("change", ["size", "root", "origin", "head", "time", "more"])
def test_a_note_that_was_changed_is_not_signed(change):
    """Each line of a note is under its signature."""
    made, text = note(5)
    assert (parse(text), is_signed(text, [PUBLIC]), is_signed(text, [b"x" * 32])) == (made, True, False)
    changed = {
        "size": text.replace("\n5\n", "\n6\n"), "root": text.replace("\nAAAA", "\nAAAB"),
        "origin": text.replace("/main\n5", "/mail\n5"), "head": text.replace("head a", "head b"),
        "time": text.replace("00:00:05", "00:00:06"), "more": text.replace("\n\n", "\nmore\n\n"),
    }[change]  # fmt: skip
    assert changed != text
    assert not is_signed(changed, [PUBLIC])


def test_a_key_is_made_once_and_kept(tmp_path):
    """A key that is there stays; one that is no key is said, and so is a folder that is none."""
    path = tmp_path / "journal.key"
    made = journal_key.ensure(path)
    assert journal_key.ensure(path).private_bytes_raw() == made.private_bytes_raw()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        journal_key.make(path)
    assert [one.name for one in tmp_path.iterdir()] == ["journal.key"]
    path.write_text("no key")
    for bad in (path, tmp_path / "nowhere" / "key"):
        with pytest.raises(SettingsError):
            journal_key.ensure(bad)


def test_a_public_key_is_read_in_every_form(tmp_path):
    """As base64, in the form of signed notes, from the private file, or from a file with either text."""
    key = journal_key.make(tmp_path / "k.pem")
    public = public_bytes(key)
    plain = b64encode(public).decode()
    (tmp_path / "pub").write_text(plain + "\n")
    noted = f"accountd.journal/main+69e43dca+{b64encode(bytes([1]) + public).decode()}"
    for written in (plain, str(tmp_path / "k.pem"), str(tmp_path / "pub"), noted):
        assert journal_key.public(written) == public
    for bad in ("", "abc", plain[:-4], str(tmp_path)):
        with pytest.raises(SettingsError):
            journal_key.public(bad)
    assert Ed25519PrivateKey.generate().public_key().public_bytes_raw() != public
