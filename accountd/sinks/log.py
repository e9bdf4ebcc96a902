"""Alerts as lines in accountd's own log."""

from __future__ import annotations

import msgspec
import structlog

from accountd.config import Hook
from accountd.sinks.base import Message


class LogSink:
    """Writes one line for each message; it cannot fail in a way that a second attempt would mend."""

    def __init__(self) -> None:
        self._log = structlog.get_logger("accountd.alerts")

    async def send(self, message: Message) -> None:
        """Log the alert with its id and its data."""
        told = msgspec.json.decode(message.body)
        self._log.info(
            "alert", alert=told["type"], message_id=message.id, at=told["timestamp"], data=told["data"]
        )

    async def close(self) -> None:
        """Hold nothing, so let go of nothing."""


def make(hook: Hook) -> LogSink:
    """Return the sink; a log hook has no settings of its own."""
    return LogSink()
