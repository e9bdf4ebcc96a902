"""Where checkpoints are kept besides the database: a file on another volume, a webhook."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path

import msgspec
import structlog

from accountd.core.alerts import time_text
from accountd.core.checkpoint import Checkpoint, parse, split
from accountd.errors import SinkError
from accountd.runtime.clock import Clock
from accountd.runtime.metrics import Metrics
from accountd.settings_journal import Journal
from accountd.sinks.base import Message, Sink

log = structlog.get_logger("accountd.anchors")

TYPE = "journal.checkpoint"
TIMEOUT = 10.0  # seconds for one post
RETRY = 30.0  # seconds until a target that failed is tried again

Put = Callable[[Checkpoint, str], Awaitable[None]]


def append(path: Path, note: str) -> None:
    """Append a note and an empty line, and see to it that it is on the disk.

    Raises:
        OSError: it is not.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        data = f"{note}\n".encode()
        if os.write(handle, data) != len(data):
            raise OSError("the note was not written whole")
        os.fsync(handle)
    finally:
        os.close(handle)


def read_notes(path: Path) -> tuple[dict[str, list[tuple[Checkpoint, str]]], int]:
    """Read a file of notes, by account and the shortest first; also say how many pieces were no notes.

    Raises:
        OSError: it cannot be read.
    """
    found: dict[str, list[tuple[Checkpoint, str]]] = {}
    torn = 0
    for note in split(path.read_text(encoding="utf-8", errors="replace")):
        try:
            told = parse(note)
        except ValueError:
            torn += 1
            continue
        found.setdefault(told.account, []).append((told, note))
    for notes in found.values():
        notes.sort(key=lambda one: one[0].size)
    return found, torn


class Anchors:
    """Brings each account's newest checkpoint to every target; a target that fails is tried again."""

    def __init__(self, settings: Journal, clock: Clock, metrics: Metrics) -> None:
        self.clock = clock
        self.metrics = metrics
        self._file = settings.anchor_file
        self._sink: Sink | None = None
        if settings.anchor_url is not None:
            from accountd.sinks.webhook import WebhookSink  # its HTTP library is loaded only where it is used

            secrets = [one.get_secret_value().removeprefix("whsec_") for one in settings.anchor_secret]
            keys = [base64.b64decode(secret) for secret in secrets]
            self._sink = WebhookSink(
                settings.anchor_url, keys, TIMEOUT, allow_private=settings.anchor_allow_private
            )
        self._waiting: dict[tuple[str, str], tuple[Checkpoint, str]] = {}
        self._retry_at: dict[str, float] = {}

    def add(self, made: Checkpoint, note: str) -> None:
        """Take a checkpoint; one of the same account that still waits is covered by it."""
        for target in self._targets():
            self._waiting[(target, made.account)] = (made, note)

    async def settle(self, *, now: bool = False) -> None:
        """Bring to each target what waits for it; ``now`` also where the last attempt has just failed."""
        for target, put in self._targets().items():
            if not now and self.clock.monotonic() < self._retry_at.get(target, 0.0):
                continue
            for key in [key for key in self._waiting if key[0] == target]:
                made, note = self._waiting[key]
                try:
                    await put(made, note)
                except (OSError, SinkError) as error:
                    log.error("checkpoint not anchored", target=target, account=key[1], error=str(error))
                    self.metrics.anchor_failures.labels(target).inc()
                    self._retry_at[target] = self.clock.monotonic() + RETRY
                    break
                if self._waiting.get(key) == (made, note):
                    del self._waiting[key]

    async def close(self) -> None:
        """Let go of connections."""
        if self._sink is not None:
            await self._sink.close()

    def _targets(self) -> dict[str, Put]:
        targets: dict[str, Put] = {}
        if self._file is not None:
            targets["file"] = self._to_file
        if self._sink is not None:
            targets["webhook"] = self._post
        return targets

    async def _to_file(self, made: Checkpoint, note: str) -> None:
        assert self._file is not None
        await asyncio.to_thread(append, self._file, note)

    async def _post(self, made: Checkpoint, note: str) -> None:
        assert self._sink is not None
        data = {
            "account": made.account, "size": made.size, "root": base64.b64encode(made.root).decode(),
            "head": base64.b64encode(made.head).decode(), "note": note,
        }  # fmt: skip
        body = msgspec.json.encode({"type": TYPE, "timestamp": time_text(made.at), "data": data})
        name = "chk_" + sha256(note.encode()).hexdigest()[:32]
        await self._sink.send(Message(id=name, type=TYPE, body=body, attempted_at=self.clock.now()))
